"""k6's executors: open load sends at a rate whatever happens, closed load has users who wait for their answers."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sim.distributions import TimeDistribution
from sim.empirical import read_seconds
from sim.resilience.policies import AnyPolicy
from sim.spec import ByKind, Mistake, Spec, invalid
from sim.units import Duration, PositiveDuration, PositiveRate, Rate
from sim.workload.arrivals import ArrivalKind, Arrivals, Stages, batch_sizes, gaps
from sim.workload.mix import SendSpec

if TYPE_CHECKING:
    from sim.kernel import Timer
    from sim.workload.load import Executor, Load

ROUNDING = 1e-9  # of users and of requests: what arithmetic may be short of a whole one
BREATH = 1e-3  # seconds until a user who was answered in no time sends again: who is refused at once does not ask a million times a second


class WorkloadSpec(Spec):
    """What all workloads have. Requests go to the node *to*, usually a gateway; *timeout* is the user's patience."""

    to: str
    mix: list[SendSpec] = Field(min_length=1)
    timeout: PositiveDuration | None = None
    max_in_flight: int = Field(default=100_000, ge=1)
    policies: list[AnyPolicy] = []
    zone: str | None = None
    start_after: Duration = 0.0

    def executor_for(self, load: Load) -> Executor:
        """What decides when to send."""
        raise NotImplementedError

    def expected_requests(self, duration: float) -> float:
        """About how many requests the workload makes in *duration* seconds; for the check against absurd sizes."""
        raise NotImplementedError

    def mean_rate(self, duration: float) -> float | None:
        """Requests per second on average, or None where it depends on the answers."""
        return self.expected_requests(duration) / duration if duration else None


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


class ClosedSpec(WorkloadSpec):
    """Closed load: users who wait for their answers. Each sends, waits, *thinks*, and sends again; with *pacing* instead, it starts a
    request each so often, whenever the one before was answered."""

    think: TimeDistribution | None = None
    pacing: PositiveDuration | None = None

    @model_validator(mode="after")
    def _one_rhythm(self) -> ClosedSpec:
        if self.think is not None and self.pacing is not None:
            raise invalid(Mistake(("pacing",), "a user has a time to think, or a pace", "leave one of them out", at_key=True))
        return self

    def users(self) -> Stages:
        """Their number over time."""
        raise NotImplementedError

    def executor_for(self, load: Load) -> Executor:
        return VusExecutor(load, self.users(), self.think, self.pacing)

    def expected_requests(self, duration: float) -> float:
        pause = max(self.think.expectation() if self.think is not None else 0.0, self.pacing or 0.0, BREATH)
        return self.users().integral(0.0, duration) / pause

    def mean_rate(self, duration: float) -> float | None:
        return None


class ConstantVus(ClosedSpec):
    """Always as many users."""

    executor: Literal["constant-vus"] = "constant-vus"
    vus: int = Field(ge=0, le=1_000_000)

    def users(self) -> Stages:
        return Stages(self.vus, [])


class VuStage(Spec):
    """The number of users goes to *target* in a straight line, within *duration*."""

    duration: PositiveDuration
    target: int = Field(ge=0, le=1_000_000)


class RampingVus(ClosedSpec):
    """A number of users that goes from stage to stage; who is too many leaves after the answer at hand."""

    executor: Literal["ramping-vus"] = "ramping-vus"
    start_vus: int = Field(default=0, ge=0, le=1_000_000)
    stages: list[VuStage] = Field(min_length=1)

    def users(self) -> Stages:
        return Stages(self.start_vus, [(stage.duration, float(stage.target)) for stage in self.stages])


class Trace(WorkloadSpec):
    """Requests at given times: `at` as a list of durations, or a *file* with one time in seconds on each line."""

    executor: Literal["trace"] = "trace"
    at: list[Duration] | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Trace:
        if (self.at is None) == (self.file is None):
            raise PydanticCustomError("trace", "a trace needs either `at` or `file`")
        if self.file is not None:
            read_seconds(self.file)
        return self

    def times(self) -> list[float]:
        """Arrival times in seconds, in order."""
        return sorted(self.at if self.file is None else read_seconds(self.file))  # type: ignore[arg-type]

    def executor_for(self, load: Load) -> Executor:
        return TraceExecutor(load, self.times())

    def expected_requests(self, duration: float) -> float:
        return sum(time <= duration for time in self.times())


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


class VusExecutor:
    """Users who wait. Their number is that of the stages, to the nearest: a new one begins when it has grown, and one leaves after the
    answer at hand when there are too many."""

    def __init__(self, load: Load, stages: Stages, think: TimeDistribution | None, pacing: float | None) -> None:
        self._load, self._stages, self._pacing = load, stages, pacing
        self._think = think.sampler(load.world.streams[f"workload {load.name} think"]) if think is not None else None
        self._factor = 1.0
        self._users: dict[int, object] = {}  # by number; the task is kept referenced
        self._numbers = count()
        self._began: float | None = None
        self._next: Timer | None = None  # when another number of users is wanted

    def start(self) -> None:
        """Begin."""
        self._began = self._load.loop.time()
        self._follow()

    def surge(self, factor: float) -> None:
        """Multiply the number of users."""
        self._factor = factor
        if self._began is not None:
            self._follow()

    def _wanted(self) -> int:
        assert self._began is not None, "users come after the start"
        return math.floor(self._stages.rate(self._load.loop.time() - self._began) * self._factor + 0.5 + ROUNDING)

    def _follow(self) -> None:
        """Have as many users as are wanted, and again when their number changes."""
        loop, wanted = self._load.loop, self._wanted()
        while len(self._users) < wanted:
            number = next(self._numbers)
            self._users[number] = loop.create_task(self._user(number), name=f"{self._load.name} user {number}")
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._factor > 0 and self._began is not None:
            since = loop.time() - self._began
            change = self._stages.leaves(since, (wanted - 0.5 - 2 * ROUNDING) / self._factor, (wanted + 0.5) / self._factor)
            if change < math.inf:
                self._next = loop.after(change - since, self._follow)

    async def _user(self, number: int) -> None:
        load, loop = self._load, self._load.loop
        intended = loop.time()
        while len(self._users) <= self._wanted():
            began = loop.time()
            await load.send_and_wait(intended)
            if self._pacing is not None:  # who is late sends at once, and the delay counts as latency
                intended += self._pacing
                await loop.sleep(max(0.0, intended - loop.time()))
                continue
            if self._think is not None:
                await loop.sleep(self._think())
            elif loop.time() == began:
                await loop.sleep(BREATH)  # an answer in no time at all must not stop the clock
            intended = loop.time()
        del self._users[number]


class TraceExecutor:
    """Arrivals at given times; a surge sends each of them several times over."""

    def __init__(self, load: Load, times: list[float]) -> None:
        self._load = load
        self._times = iter(times)
        self._began = 0.0
        self._factor = 1.0
        self._owed = 0.0

    def start(self) -> None:
        """Begin; times count from now."""
        self._began = self._load.loop.time()
        self._next()

    def surge(self, factor: float) -> None:
        """Send each request so many times."""
        self._factor = factor

    def _next(self) -> None:
        time = next(self._times, None)
        if time is not None:
            self._load.loop.after(max(0.0, self._began + time - self._load.loop.time()), self._arrive)

    def _arrive(self) -> None:
        self._owed += self._factor
        while self._owed >= 1 - ROUNDING:
            self._owed -= 1
            self._load.send()
        self._next()


AnyWorkload = Annotated[
    WorkloadSpec, ByKind("workload", lambda: EXECUTORS, default="constant-arrival-rate", group="executors", key="executor")]

EXECUTORS: dict[str, type[WorkloadSpec]] = {
    "constant-arrival-rate": ConstantArrivalRate,
    "ramping-arrival-rate": RampingArrivalRate,
    "constant-vus": ConstantVus,
    "ramping-vus": RampingVus,
    "trace": Trace,
}
