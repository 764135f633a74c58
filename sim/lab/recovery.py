"""How a run ends after its faults: when the system is well again, and whether it ever will be."""

from __future__ import annotations

from collections.abc import Sequence

from sim.lab.measuring import Evidence, measured
from sim.scenario.measures import SteadyState, within
from sim.telemetry.codes import Outcome
from sim.telemetry.result import FaultInterval

HOLD = 5.0  # seconds for which the steady state must hold to count as back
STEPS = 400  # in which the time after the faults is searched
LOST = 0.5  # of the usual share of good answers: below it the goodput is lost
DRAINS = 0.9  # a backlog that has shrunk below so much of itself is on its way out


def last_end(intervals: Sequence[FaultInterval], end: float) -> float | None:
    """When the last fault was over; None if one was not, or there was none."""
    if not intervals or any(interval.until is None for interval in intervals):
        return None
    return max(interval.until or end for interval in intervals)


def recovery_time(evidence: Evidence, wanted: Sequence[SteadyState], intervals: Sequence[FaultInterval], end: float) -> float | None:
    """Seconds from the end of the last fault until the steady state holds for HOLD seconds (or to the end); None if it never does."""
    over = last_end(intervals, end)
    if over is None or over >= end:
        return None
    step = (end - over) / STEPS
    for number in range(STEPS):
        start = over + number * step
        if _steady(evidence, wanted, start, min(start + HOLD, end)):
            return start - over
    return None


def _steady(evidence: Evidence, wanted: Sequence[SteadyState], start: float, until: float) -> bool:
    """All of it holds between two times; what cannot be measured does not."""
    return all(
        (value := measured(evidence, asked, start, until)) is not None and all(within(value, key, bound) for key, bound in asked.bounds())
        for asked in wanted
    )


def metastable(evidence: Evidence, workloads: Sequence[str], intervals: Sequence[FaultInterval], warmup: float, end: float) -> float | None:
    """1.0 if the goodput stays lost although the trigger has gone, else 0.0; None if that cannot be told.

    Lost: in the last quarter of the time after the faults a smaller part of the requests than LOST times the usual one is
    answered well. It stays so: the backlog of all nodes does not drain; a system that works off its queue is slow and not metastable
    (Bronson et al., *Metastable failures in distributed systems*, HotOS 2021).
    """
    over = last_end(intervals, end)
    first = min((interval.start for interval in intervals), default=end)
    if over is None or over >= end or first <= warmup:
        return None
    quarter = (end - over) / 4
    usual, now = _good_share(evidence, workloads, warmup, first), _good_share(evidence, workloads, end - quarter, end)
    if not usual or now is None:
        return None
    if now >= LOST * usual:
        return 0.0
    earlier, later = _backlog(evidence, end - 2 * quarter, end - quarter), _backlog(evidence, end - quarter, end)
    return float(later >= DRAINS * earlier)


def _good_share(evidence: Evidence, workloads: Sequence[str], start: float, until: float) -> float | None:
    """Answered well, of all that began; what is unfinished is not."""
    good = begun = 0
    for name in workloads:
        calls = evidence.calls(name).window(start, until)
        good += calls.count((Outcome.OK,))
        begun += len(calls.at)
    return good / begun if begun else None


def _backlog(evidence: Evidence, start: float, until: float) -> float:
    """Requests in all nodes, waiting or served, averaged over time."""
    rows = [evidence.sampled(node, measure, start, until) for node, instance, measure in evidence.names.gauges
            if not instance and measure in ("busy", "queue")]
    return float(sum(some["mean"].mean() for some in rows if len(some)))
