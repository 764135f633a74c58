"""Open load: requests come at a rate, whatever becomes of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sim.spec import Spec
from sim.units import PositiveDuration, PositiveRate, Rate
from sim.workload.arrivals import Arrivals, Stages, batch_sizes
from sim.workload.patterns import AnyPattern, Poisson
from sim.workload.workload import WorkloadSpec

if TYPE_CHECKING:
    from sim.workload.load import Executor, Load


class OpenSpec(WorkloadSpec):
    """Open load: arrivals do not wait for answers. A `batch` is `batch_size` requests at once, and the rate still counts requests."""

    arrivals: AnyPattern = Poisson.model_construct()
    batch_size: float = Field(default=10, ge=1, le=1e6)
    batch_sizes: Literal["fixed", "geometric"] = "fixed"

    def stages_of(self) -> Stages:
        """The rate over time."""
        raise NotImplementedError

    def executor_for(self, load: Load) -> Executor:
        return OpenExecutor(self, load)

    def expected_requests(self, duration: float) -> float:
        return self.stages_of().integral(0.0, duration)

    def dispersion(self, duration: float) -> float:
        """Of batches: mean square over mean of their size."""
        if not self.arrivals.in_batches:
            return self.arrivals.dispersion(self.mean_rate(duration) or 0.0)
        size, part = self.batch_size, self.batch_size % 1
        return 2 * size - 1 if self.batch_sizes == "geometric" else size + part * (1 - part) / size

    def peak(self) -> float:
        return self.arrivals.peak() if not self.arrivals.in_batches else math.inf


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
        streams, pattern = load.world.streams, spec.arrivals
        batch = spec.batch_size if pattern.in_batches else 1.0
        self._load = load
        self._size = batch_sizes(spec.batch_sizes, batch, streams[f"workload {load.name} batches"]) if pattern.in_batches else None
        self._phases = pattern.phases(streams[f"workload {load.name} bursts"])
        self._surge = self._phase = 1.0
        gap = pattern.gaps(streams[f"workload {load.name} arrivals"], batch)
        self.arrivals = Arrivals(load.loop, spec.stages_of(), gap, load.send if self._size is None else self._send_batch)

    def start(self) -> None:
        """Begin."""
        self._next_phase()
        self.arrivals.start()

    def surge(self, factor: float) -> None:
        """Multiply the rate."""
        self._surge = factor
        self.arrivals.factor = factor * self._phase

    def _next_phase(self) -> None:
        phase = next(self._phases, None)
        if phase is not None:
            self._phase, lasts = phase
            self.arrivals.factor = self._surge * self._phase
            self._load.loop.after(lasts, self._next_phase)

    def _send_batch(self) -> None:
        assert self._size is not None
        for _ in range(self._size()):
            self._load.send()
