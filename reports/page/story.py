"""What happened, as a timeline in words: faults, breakers, refusals, full services, the steady state lost and found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.faults import kind_of, reason
from reports.texts import Words

from . import steadiness
from .breaker_story import breaker_moments
from .counted import counted_moments
from .moments import Clock, Moment
from .saturation import saturated, turned_away

if TYPE_CHECKING:
    from sim.telemetry.result import FaultInterval, RunResult

SETTLED = 1.0  # seconds, within a warm-up, in which instances come up for the first time
MOST_TIMES = 4  # of one fault; more are told in one sentence
MOST = 40  # moments; beyond it those of the least weight are left out


def story(result: RunResult, words: Words) -> list[Moment]:
    """In order of time; what happens at one time stands cause first."""
    clock = Clock(words, result.faults, result.duration)
    found = [
        *_frame(result, clock), *_faults(result, clock), *breaker_moments(result, clock), *counted_moments(result, clock),
        *_instances(result, clock), *_saturation(result, clock), *steadiness.moments(result, clock),
    ]
    kept = sorted(found, key=lambda moment: -moment.weight)[:MOST]
    return sorted(kept)


def _frame(result: RunResult, clock: Clock) -> Iterator[Moment]:
    if result.warmup > 0:
        yield Moment(result.warmup, 0, clock.tell("warm-up ends"))
    aborted = result.summary.get("aborted")
    if aborted:
        at, name = float(aborted.get("at_s", result.duration)), str(aborted.get("name", ""))
        yield Moment(at, 8, clock.tell("aborted", name=name), "bad", weight=9)
    yield Moment(result.duration, 9, clock.tell("end"), weight=5)


def _faults(result: RunResult, clock: Clock) -> Iterator[Moment]:
    by_name: dict[str, list[FaultInterval]] = {}
    for fault in result.faults:
        by_name.setdefault(fault.name, []).append(fault)
    for times in by_name.values():
        if len(times) > MOST_TIMES:
            yield _often(result, clock, times)
        else:
            yield from (moment for fault in times for moment in _fault(clock, fault))
    for event in result.events:
        if event["kind"] == "fault.missed":
            parts = clock.tell("fault missed", name=str(event.get("name", "")), why=reason(event, clock.words))
            yield Moment(float(event["at"]), 7, parts, "warn", weight=7)


def _fault(clock: Clock, fault: FaultInterval) -> Iterator[Moment]:
    key = "fault on" if fault.targets else "fault on anywhere"
    parts = clock.tell(key, name=fault.name, kind=kind_of(fault.kind, clock.words), targets=_few(fault.targets))
    yield Moment(fault.start, 0, parts, "fault", fault.until, weight=8)
    if fault.until is not None:
        over = clock.tell("fault off", name=fault.name, seconds=clock.length(fault.until - fault.start))
        yield Moment(fault.until, 0, over, "fault", weight=7)


def _often(result: RunResult, clock: Clock, times: list[FaultInterval]) -> Moment:
    first, until = times[0], max(result.duration if fault.until is None else fault.until for fault in times)
    parts = clock.tell("fault often", name=first.name, kind=kind_of(first.kind, clock.words), count=len(times), until=clock.at(until))
    return Moment(first.start, 0, parts, "fault", until, weight=8)


def _few(targets: tuple[str, ...], most: int = 4) -> str:
    shown = ", ".join(target.replace("->", "→") for target in targets[:most])
    return shown if len(targets) <= most else f"{shown} … ({len(targets)})"


def _instances(result: RunResult, clock: Clock) -> Iterator[Moment]:
    """Each time that some of a service's instances cannot be reached, or all can again. How a run starts is no news."""
    before: dict[str, int] = {}
    for event in result.events:
        if event["kind"] != "instances":
            continue
        node, reachable, of, at = str(event["node"]), int(event["reachable"]), int(event["of"]), float(event["at"])
        known = before.get(node, of)
        before[node] = reachable
        if at <= min(SETTLED, result.warmup) or reachable == known:
            continue
        back = reachable == of
        parts = clock.tell("instances back" if back else "instances lost", node=node, count=reachable, many=of, after=clock.after(at))
        yield Moment(at, 1, parts, "good" if back else "bad", weight=4)


def _saturation(result: RunResult, clock: Clock) -> Iterator[Moment]:
    for full in saturated(result):
        lasting = full.until < result.duration
        parts = clock.tell("saturated" if lasting else "saturated to the end", node=full.node, count=clock.words.number(full.workers),
                         seconds=clock.length(full.until - full.start), until=clock.at(full.until))
        yield Moment(full.start, 4, parts, "bad", full.until, weight=6)
    for node, count, first, last in turned_away(result):
        parts = clock.tell("turned away", node=node, count=clock.words.number(count), until=clock.at(last))
        yield Moment(first, 5, parts, "bad", last, weight=6)
