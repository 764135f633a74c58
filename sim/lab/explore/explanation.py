"""What a plan did, told along time: what broke, and along which edges it spread, compared with the good run of the same seed.

An edge is told of where more of its calls fail, or where they take longer, than chance would explain: from the end of the first such
call on, because then its caller knows. So a failure that causes another one stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sim.scenario import measures
from sim.telemetry.codes import Outcome, SpanKind
from sim.telemetry.result import RunResult

LOOKS = 120  # parts that the run is looked at in, if no fault is shorter than one
MORE = 3.0  # failures, and standard deviations of their number, that an edge must have more than in the good run
SLOWER = 2.0  # times the mean latency of the good run
LEAST = 0.005  # seconds; what is slower by less than that is not told
SURE = 5.0  # standard errors of a mean latency that it must be above that of the good run
FEW = 5  # calls; of the latency of fewer nothing is said
HANGING = 3  # calls that have no end more than in the good run


@dataclass(frozen=True)
class Line:
    """What happened then, for people."""

    at: float
    text: str


def told(failed: Iterable[Mapping[str, Any]], bad: RunResult, good: RunResult, struck: Mapping[str, str]) -> list[str]:
    """What of the checks *failed*, then what happened in the order of time; *struck* says by fault's name at what part it was aimed."""
    broken = [f"broken: {_of_check(check)}" for check in failed]
    lines = sorted([*_of_faults(bad, struck), *_of_edges(bad, good, set(struck.values()))], key=lambda line: line.at)
    return broken + [f"t={line.at:.3f}s  {line.text}" for line in lines]


def _of_check(check: Mapping[str, Any]) -> str:
    measure, bound = check["measure"], check["bound"]
    asked = f"{check['op'].replace('_', ' ')} {measures.told(bound, measure)} was asked for"
    return f"{check['title']}: {measures.told(check['measured'], measure, bound)}, {asked}"


def _of_faults(bad: RunResult, struck: Mapping[str, str]) -> Iterator[Line]:
    for fault in bad.faults:
        yield Line(fault.start, f"{struck[fault.name]} is struck by {fault.name} ({fault.kind})")
        if fault.until is not None and fault.until > fault.start:
            yield Line(fault.until, f"{fault.name} is over")


def _of_edges(bad: RunResult, good: RunResult, struck: set[str]) -> Iterator[Line]:
    import numpy as np

    if not bad.faults:
        return
    since = min(fault.start for fault in bad.faults)
    lengths = [fault.until - fault.start for fault in bad.faults if fault.until is not None and fault.until > fault.start]
    bins = np.append(np.arange(since, bad.duration, min([bad.duration / LOOKS, *lengths])), bad.duration)
    usual, now, nothing = dict(_by_edge(good)), dict(_by_edge(bad)), good.spans.rows[:0]
    for edge in sorted({*usual, *now}, key=lambda edge: (edge not in struck, edge)):
        before, calls = usual.get(edge, nothing), now.get(edge, nothing)
        change = _failing(calls[calls["start"] >= since], before) or _slow(calls, before, bins) or _hanging(edge, bad, good, since)
        if change is None and not len(before):
            change = Line(float(calls["start"].min()), f"takes over: {len(calls)} calls, none in the good run")
        if change is not None:
            yield Line(change.at, f"{edge} {change.text}")


def _by_edge(result: RunResult) -> Iterator[tuple[str, Any]]:
    import numpy as np

    calls = result.spans.of(SpanKind.CLIENT).rows
    keys = (calls["node"].astype(np.uint32) << 16) | calls["peer"]
    order = np.argsort(keys, kind="stable")
    names = result.names.nodes
    kinds, first = np.unique(keys[order], return_index=True)
    for key, rows in zip(kinds.tolist(), np.split(calls[order], first[1:]), strict=True):
        yield f"{names[key >> 16]}->{names[key & 0xFFFF]}", rows


def _failing(calls: Any, before: Any) -> Line | None:
    """From when on how many *calls* failed, if that is more than the failures *before*, in the good run, lead to expect."""
    failed = calls[calls["outcome"] >= Outcome.FAILED]
    expected = len(calls) * int((before["outcome"] >= Outcome.FAILED).sum()) / max(1, len(before))
    if len(failed) - expected < MORE * max(1.0, expected**0.5):
        return None
    first, last = failed["start"].min(), failed["start"].max()
    among = int(((calls["start"] >= first) & (calls["start"] <= last)).sum())
    return Line(float(failed["end"].min()), f"fails: {len(failed)} of the {among} calls that began until {last:.1f}s")


def _slow(calls: Any, before: Any, bins: Any) -> Line | None:
    """From when on *calls* took longer than *before*, by the parts of the run between *bins*."""
    import numpy as np

    look = np.digitize(calls["start"], bins) - 1
    inside = (look >= 0) & (look < len(bins) - 1)
    calls, look = calls[inside], look[inside]
    took, took_before = calls["end"] - calls["start"], before["end"] - before["start"]
    if not len(took_before):
        return None
    usual = float(took_before.mean())
    many = np.bincount(look, minlength=len(bins) - 1)
    mean = np.bincount(look, weights=took, minlength=len(bins) - 1) / np.maximum(many, 1)
    by_chance = SURE * float(took_before.std()) / np.sqrt(np.maximum(many, 1))
    slow = np.flatnonzero((many >= FEW) & (mean > SLOWER * usual) & (mean > usual + np.maximum(by_chance, LEAST)))
    if not len(slow):
        return None
    first, last = slow[0], slow[-1]
    here = look == first
    late = here & (took >= min(took_before.max(), took[here].max()))  # longer than any before; the longest, if none is
    worst = f"{1000 * mean[slow].max():.0f}ms on average, {1000 * usual:.0f}ms in the good run"
    text = f"is slow: at worst it takes {worst}; until {bins[last + 1]:.1f}s"
    return Line(float(calls["end"][late].min()), text)


def _hanging(edge: str, bad: RunResult, good: RunResult, since: float) -> Line | None:
    """How many calls that began *since* have no end; calls that are under way leave no row, and when they began is not known."""
    now, usual = (result.summary["calls"].get(edge, {}).get("unfinished", 0) for result in (bad, good))
    return Line(since, f"hangs: {now} of its calls have not come to an end when the run is over") if now - usual >= HANGING else None
