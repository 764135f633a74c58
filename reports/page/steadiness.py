"""When the steady state of the scenario was lost and when it was back, measured in short windows over the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.texts import Words
from sim.lab.measuring import Evidence, measured
from sim.lab.recovery import last_end, recovery_time
from sim.scenario.measures import SteadyState, within

from .moments import Clock, Moment

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

WINDOW = 5.0  # seconds that a window has at least
STEPS = 400  # windows in a run, at most
MOST = 3  # times that one condition is told to be lost


@dataclass(frozen=True)
class Lost:
    """A condition that was broken from *start* to *until*, None if to the end: what broke it lies between the two."""

    asked: SteadyState
    key: str  # at_least or at_most
    bound: float
    start: float
    until: float | None
    worst: float


def moments(result: RunResult, clock: Clock) -> Iterator[Moment]:
    """Each condition lost and found, and when all of them were back after the faults."""
    wanted = [SteadyState.model_validate(dict(asked)) for asked in result.scenario.get("steady_state") or []]
    if not wanted:
        return
    evidence = Evidence.of(result)
    over = last_end(result.faults, result.duration)
    after = recovery_time(evidence, wanted, result.faults, result.duration) if over is not None else None
    well = over + after if over is not None and after is not None else None
    for asked in wanted:
        for key, bound in asked.bounds():
            found = [back_by(lost, well, result) for lost in losses(result, evidence, asked, key, bound)]
            for lost in worth_telling(found, clock.words):
                yield from _told(clock, lost)
    if over is not None and over < result.duration:
        yield _recovery(result, clock, over, after)


def losses(result: RunResult, evidence: Evidence, asked: SteadyState, key: str, bound: float) -> list[Lost]:
    """The times after the warm-up at which *asked* did not hold, found in windows that follow each other closely.

    The first window that is broken has just taken in the cause at its end; the first that holds has just left it behind.
    """
    length, step = _looks(result)
    found: list[Lost] = []
    broken: Lost | None = None
    at = result.warmup
    while at + length <= result.duration + 1e-9:
        value = measured(evidence, asked, at, at + length)
        if value is not None and not within(value, key, bound):
            worst = value if broken is None else (min if key == "at_least" else max)(broken.worst, value)
            broken = Lost(asked, key, bound, at + length if broken is None else broken.start, None, worst)
        elif broken is not None:
            found.append(replace(broken, start=min(broken.start, at), until=at))
            broken = None
        at += step
    return found if broken is None else [*found, broken]


def _looks(result: RunResult) -> tuple[float, float]:
    """How long the windows are, and how far apart."""
    length = max(WINDOW, result.duration / 60)
    return length, max(length / 10, result.duration / STEPS)


def back_by(lost: Lost, well: float | None, result: RunResult) -> Lost:
    """The same, back when all of the steady state is *well* again: that time is looked for in finer steps than the losses are."""
    if well is None or lost.until is None or not max(lost.start, lost.until - _looks(result)[1]) < well < lost.until:
        return lost
    return replace(lost, until=well)


def worth_telling(found: list[Lost], words: Words) -> list[Lost]:
    """The longest ones, and of those that were over at once the worst; none that reads as if it had held."""
    real = [lost for lost in found if words.measure(lost.asked.measure, lost.worst) != words.measure(lost.asked.measure, lost.bound)]
    long = sorted((lost for lost in real if _length(lost) >= WINDOW), key=lambda lost: -_length(lost))[:MOST]
    short = sorted((lost for lost in real if _length(lost) < WINDOW), key=lambda lost: -abs(lost.worst - lost.bound))
    return [*long, *short[:1]]


def _length(lost: Lost) -> float:
    return float("inf") if lost.until is None else lost.until - lost.start


def _told(clock: Clock, lost: Lost) -> Iterator[Moment]:
    words, asked, brief = clock.words, lost.asked, _length(lost) < WINDOW
    key = "steady lost" if lost.key == "at_least" else "steady exceeded"
    parts = clock.tell(f"{key} briefly" if brief else key, name=asked.title, measure=asked.measure,
                     of_name=(asked.of or "").replace("->", "→"), worst=words.measure(asked.measure, lost.worst),
                     bound=words.measure(asked.measure, lost.bound))
    yield Moment(lost.start, 6, parts, "warn" if brief else "bad", lost.until, weight=3 if brief else 7)
    if lost.until is not None and not brief:
        seconds = clock.length(lost.until - lost.start)
        back = clock.tell("steady back", name=asked.title, seconds=seconds, after=clock.after(lost.until))
        yield Moment(lost.until, 6, back, "good", weight=6)


def _recovery(result: RunResult, clock: Clock, over: float, seconds: float | None) -> Moment:
    if seconds is None:
        return Moment(result.duration, 7, clock.tell("never recovered"), "bad", weight=9)
    if seconds == 0:
        return Moment(over, 7, clock.tell("recovered at once"), "good", weight=8)
    return Moment(over + seconds, 7, clock.tell("recovered", seconds=clock.length(seconds)), "good", weight=9)
