"""When a fault is on: from the start to the end, at a time, every so often, at random times, or after another fault.

    {at: 60s, for: 30s}                            once; without `for`, until the run ends
    {every: 45s, for: 5s, from: 1m, until: 3m, max: 3}
    {random: {rate: 0.5/min, for: {exponential: 20s}}, from: 1m}
    {after: slow-payments, for: 10s, delay: 5s}    each time that fault has ended
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, islice
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field, model_validator

from sim.distributions import TimeDistribution
from sim.spec import Mistake, OneKey, Spec, invalid
from sim.streams import Stream
from sim.units import Duration, PositiveDuration, PositiveRate, format_duration

MOST_TIMES = 100_000  # of one fault in one run: a plan that means more is refused


class Window(NamedTuple):
    """A time that the fault is on: from *start* for *length* seconds, or to the end of the run (None)."""

    start: float
    length: float | None


class Schedule(Spec):
    """Base of all schedules."""

    repeats: ClassVar[bool] = False

    @property
    def soonest(self) -> Window:
        """When it comes at the earliest, for how short a time; after another fault: counted from its end."""
        raise NotImplementedError

    @property
    def begins_by(self) -> str:
        """The field that says when it begins."""
        return "at"

    @property
    def lasts(self) -> bool:
        """It says itself how long the fault is on."""
        return False

    @property
    def follows(self) -> str | None:
        """The name of the fault that this one comes after."""
        return None

    def times(self, end: float) -> float:
        """About how often it comes up to *end*, the run's own."""
        return 1.0

    def windows(self, stream: Stream, end: float) -> Iterator[Window]:
        """The times up to *end*, the run's own, in order; chance comes from *stream*. After another fault: counted from its end."""
        raise NotImplementedError


def _sooner(end: float, until: float | None) -> float:
    return end if until is None else min(until, end)


def _refuse_never(first: float, until: float | None) -> None:
    """Raise what says so where there is no time between *first* and *until*."""
    if until is not None and until <= first:
        raise invalid(Mistake(("until",), f"it never comes: its time begins at {format_duration(first)}", "let `until` be later"))


class WholeRun(Schedule):
    """From the start to the end; what a fault without a schedule does."""

    @property
    def soonest(self) -> Window:
        return Window(0.0, None)

    def windows(self, stream: Stream, end: float) -> Iterator[Window]:
        yield self.soonest


class At(Schedule):
    """Once, at that time."""

    shorthand: ClassVar[str] = "at"
    beside: ClassVar[tuple[str, ...]] = ("for",)
    at: Duration
    for_: PositiveDuration | None = Field(default=None, alias="for")

    @property
    def soonest(self) -> Window:
        return Window(self.at, self.for_)

    @property
    def lasts(self) -> bool:
        return self.for_ is not None

    def windows(self, stream: Stream, end: float) -> Iterator[Window]:
        yield self.soonest


class Every(Schedule):
    """Again and again, *every* so often, first at `from` (default: once that time has passed), at most *max* times."""

    shorthand: ClassVar[str] = "every"
    beside: ClassVar[tuple[str, ...]] = ("for", "from", "until", "max")
    repeats: ClassVar[bool] = True
    every: PositiveDuration
    for_: PositiveDuration | None = Field(default=None, alias="for")
    from_: Duration | None = Field(default=None, alias="from")
    until: Duration | None = None
    max: int | None = Field(default=None, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _comes(self) -> Every:
        _refuse_never(self.first, self.until)
        return self

    @property
    def first(self) -> float:
        """When it comes for the first time."""
        return self.every if self.from_ is None else self.from_

    @property
    def soonest(self) -> Window:
        return Window(self.first, self.for_)

    @property
    def begins_by(self) -> str:
        return "every" if self.from_ is None else "from"

    @property
    def lasts(self) -> bool:
        return self.for_ is not None

    def times(self, end: float) -> float:
        return min(max(0.0, _sooner(end, self.until) - self.first) / self.every + 1, self.max or math.inf)

    def windows(self, stream: Stream, end: float) -> Iterator[Window]:
        first, last = self.first, _sooner(end, self.until)
        for number in islice(count(), self.max):
            start = first + number * self.every
            if start >= last:
                return
            yield Window(start, self.for_)


class RandomTimes(Schedule):
    """At random: on average *rate* times in so long, each for a time drawn from `for`. Times may overlap."""

    shorthand: ClassVar[str] = "rate"
    beside: ClassVar[tuple[str, ...]] = ("for", "from", "until", "max")
    repeats: ClassVar[bool] = True
    rate: PositiveRate
    for_: TimeDistribution | None = Field(default=None, alias="for")
    from_: Duration = Field(default=0.0, alias="from")
    until: Duration | None = None
    max: int | None = Field(default=None, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _comes(self) -> RandomTimes:
        _refuse_never(self.from_, self.until)
        return self

    @property
    def soonest(self) -> Window:
        return Window(self.from_, None if self.for_ is None else 0.0)

    @property
    def begins_by(self) -> str:
        return "from"

    @property
    def lasts(self) -> bool:
        return self.for_ is not None

    def times(self, end: float) -> float:
        return min(max(0.0, _sooner(end, self.until) - self.from_) * self.rate, self.max or math.inf)

    def windows(self, stream: Stream, end: float) -> Iterator[Window]:
        draw = self.for_.sampler(stream) if self.for_ is not None else None
        last = _sooner(end, self.until)
        start = self.from_
        for _ in islice(count(), self.max):
            start += stream.expovariate(self.rate)
            if start >= last:
                return
            yield Window(start, draw() if draw is not None else None)


class After(Schedule):
    """*delay* after the fault of that name has ended, each time that it has."""

    shorthand: ClassVar[str] = "after"
    beside: ClassVar[tuple[str, ...]] = ("for", "delay")
    after: str
    for_: PositiveDuration | None = Field(default=None, alias="for")
    delay: Duration = 0.0

    @property
    def soonest(self) -> Window:
        return Window(self.delay, self.for_)

    @property
    def begins_by(self) -> str:
        return "after"

    @property
    def lasts(self) -> bool:
        return self.for_ is not None

    @property
    def follows(self) -> str | None:
        return self.after

    def windows(self, stream: Stream, end: float) -> Iterator[Window]:
        yield self.soonest


SCHEDULES: dict[str, type[Schedule]] = {"at": At, "every": Every, "random": RandomTimes, "after": After}
AnySchedule = Annotated[Schedule, OneKey("schedule", lambda: SCHEDULES)]


class Ramp(Spec):
    """The fault's severity rises in a straight line during the first *up* of its time, and falls during the last *down* of it."""

    up: Duration = 0.0
    down: Duration = 0.0

    def strength(self, now: float, start: float, until: float | None) -> float:
        """0 (nothing) to 1 (all of it). Where both do not fit, each gets its part of the time."""
        up, down = self._fitted(start, until)
        rising = (now - start) / up if up else 1.0
        falling = (until - now) / down if until is not None and down else 1.0
        return max(0.0, min(1.0, rising, falling))

    def ends(self, start: float, until: float | None) -> Iterator[tuple[float, float]]:
        """The times (from, to) during which the severity changes."""
        up, down = self._fitted(start, until)
        if up:
            yield start, start + up
        if down and until is not None:
            yield until - down, until

    def _fitted(self, start: float, until: float | None) -> tuple[float, float]:
        whole = self.up + self.down
        fit = 1.0 if until is None or whole <= until - start else (until - start) / whole
        return self.up * fit, self.down * fit
