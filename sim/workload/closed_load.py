"""Closed load: users who wait for their answers before they send again."""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from sim.distributions import TimeDistribution
from sim.spec import Mistake, Spec, invalid
from sim.units import PositiveDuration
from sim.workload.arrivals import Stages
from sim.workload.workload import ROUNDING, WorkloadSpec

if TYPE_CHECKING:
    from sim.kernel import Timer
    from sim.workload.load import Executor, Load

MOMENT = 1e-9  # seconds: times that are reckoned by adding up come that near to the end
BREATH = 1e-3  # seconds until a user who was answered in no time sends again: who is refused at once does not ask a million times a second


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
        return self.rate_if_answered_in(0.0, duration) * duration

    def mean_rate(self, duration: float) -> float | None:
        return None

    def rate_if_answered_in(self, seconds: float, duration: float) -> float:
        """By the law of the interactive response time."""
        think = self.think.expectation() if self.think is not None else 0.0
        return self.users().integral(0.0, duration) / duration / max(think + seconds, self.pacing or 0.0, BREATH) if duration else 0.0


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


class VusExecutor:
    """Users who wait. Their number is that of the stages, to the nearest: a new one begins when it has grown, and one leaves after the
    answer at hand when there are too many. In the moment in which the run ends none sends again: nobody could answer that any more."""

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
        while len(self._users) <= self._wanted() and loop.time() < load.ends - MOMENT:
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
