"""Things that happen many times at once: refusals, timeouts, retries, fallbacks. Told once where they become unusual.

Unusual: at least LEAST of them from a fault's begin until a while after its end, and OFTEN times as many as before the first fault.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .moments import Clock, Moment
from .sentences import SENTENCES

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

LEAST, OFTEN = 5, 3.0
AFTERMATH = 0.25  # of the time of the faults, for what they leave behind
TOLD_ELSEWHERE = frozenset({
    "fault.on", "fault.off", "fault.missed", "instances", "abort", "instance.down", "instance.up", "circuit_breaker.state_transition",
    "circuit_breaker.rejected", "circuit_breaker.failure_rate_exceeded", "circuit_breaker.slow_call_rate_exceeded", "retry.retry_succeeded",
    "saga.started", "saga.step", "saga.undo", "saga.completed",
})
TONES = {"fallback.fallback": "warn", "retry.retry": "warn", "stale_cache.stale_served": "warn", "registry.view": "plain"}


def counted_moments(result: RunResult, clock: Clock) -> Iterator[Moment]:
    """One moment for each kind of event and place where it became unusual."""
    start, until = _watched(result)
    usual = max(start - result.warmup, 0.0)
    for (kind, subject), times in _by_kind(result).items():
        mine = times[bisect_left(times, start) : bisect_left(times, until)]
        before = len(times[bisect_left(times, result.warmup) : bisect_left(times, start)])
        expected = before / usual * (until - start) if usual else 0.0
        if len(mine) >= LEAST and len(mine) > OFTEN * expected:
            yield _moment(clock, kind, subject, mine)


def _watched(result: RunResult) -> tuple[float, float]:
    """From the first fault until a while after the last one; without faults all after the warm-up."""
    if not result.faults:
        return result.warmup, result.duration
    start = min(fault.start for fault in result.faults)
    end = max(result.duration if fault.until is None else fault.until for fault in result.faults)
    return start, min(result.duration, end + AFTERMATH * (end - start) + 1e-9) + 1e-9


def _by_kind(result: RunResult) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for event in result.events:
        kind = str(event["kind"])
        if kind not in TOLD_ELSEWHERE:
            found.setdefault((kind, _subject(event)), []).append(float(event["at"]))
    return found


def _subject(event: Any) -> str:
    """What it happened to."""
    return str(next((event[key] for key in ("edge", "node", "saga", "name", "instance") if key in event), ""))


def _moment(clock: Clock, kind: str, subject: str, times: list[float]) -> Moment:
    about = {"count": clock.words.number(len(times)), "until": clock.at(times[-1])}
    name = subject.replace("->", "→")
    known = kind in SENTENCES
    parts = clock.tell(kind, edge=name, node=name, saga=name, **about) if known else \
        clock.tell("other", kind=kind, subject=name, **about)
    return Moment(times[0], 2, parts, TONES.get(kind, "bad" if known else "plain"), times[-1], weight=3.0 if known else 1.0)
