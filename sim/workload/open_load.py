"""Open load: requests come at a rate, whatever becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sim.spec import Spec
from sim.units import PositiveDuration, PositiveRate, Rate
from sim.workload.arrivals import ArrivalKind, Arrivals, Stages, batch_sizes, gaps
from sim.workload.workload import WorkloadSpec

if TYPE_CHECKING:
    from sim.workload.load import Executor, Load


class OpenSpec(WorkloadSpec):
    """Open load: arrivals do not wait for answers. A `batch` is `batch_size` requests at once, and the rate still counts requests."""

    arrivals: ArrivalKind = "poisson"
    batch_size: float = Field(default=10, ge=1, le=1e6)
    batch_sizes: Literal["fixed", "geometric"] = "fixed"

    def stages_of(self) -> Stages:
        """The rate over time."""
        raise NotImplementedError

    def executor_for(self, load: Load) -> Executor:
        return OpenExecutor(self, load)

    def expected_requests(self, duration: float) -> float:
        return self.stages_of().integral(0.0, duration)


class ConstantArrivalRate(OpenSpec):
    """So many requests a second, whatever becomes of them."""

    executor: Literal["constant-arrival-rate"] = "constant-arrival-rate"
    rate: PositiveRate

    def stages_of(self) -> Stages:
        return Stages(self.rate, [])


class RateStage(Spec):
    """The rate goes to *target* in a straight line, within *duration*."""

    duration: PositiveDuration
    target: Rate


class RampingArrivalRate(OpenSpec):
    """A rate that goes from stage to stage."""

    executor: Literal["ramping-arrival-rate"] = "ramping-arrival-rate"
    start_rate: Rate = 0.0
    stages: list[RateStage] = Field(min_length=1)

    def stages_of(self) -> Stages:
        return Stages(self.start_rate, [(stage.duration, stage.target) for stage in self.stages])


class OpenExecutor:
    """Arrivals at a rate."""

    def __init__(self, spec: OpenSpec, load: Load) -> None:
        streams = load.world.streams
        batch = spec.batch_size if spec.arrivals == "batch" else 1.0
        self._load = load
        self._size = batch_sizes(spec.batch_sizes, batch, streams[f"workload {load.name} batches"]) if spec.arrivals == "batch" else None
        gap = gaps(spec.arrivals, batch, streams[f"workload {load.name} arrivals"])
        self.arrivals = Arrivals(load.loop, spec.stages_of(), gap, load.send if self._size is None else self._send_batch)

    def start(self) -> None:
        """Begin."""
        self.arrivals.start()

    def surge(self, factor: float) -> None:
        """Multiply the rate."""
        self.arrivals.factor = factor

    def _send_batch(self) -> None:
        assert self._size is not None
        for _ in range(self._size()):
            self._load.send()
