"""What a plan did, told along time: what broke, and along which edges it spread, compared with the good run of the same seed.

An edge is told of where more of its calls fail, or where they take longer, than chance would explain: from the end of the first such
call on, because then its caller knows. So a failure that causes another one stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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


LINES = {  # how each is told in English; times in seconds
    "unwell": "does not hold without any fault: {name}",
    "broken": "broken: {title}: {measured}, {op} {bound} was asked for",
    "struck": "{part} is struck by {fault} ({kind})",
    "over": "{fault} is over",
    "fails": "{edge} fails: {failed} of the {among} calls that began until {until:.1f}s",
    "slow": "{edge} is slow: at worst it takes {worst_ms:.0f}ms on average, {usual_ms:.0f}ms in the good run; until {until:.1f}s",
    "hangs": "{edge} hangs: {calls} of its calls have not come to an end when the run is over",
    "takes over": "{edge} takes over: {calls} calls, none in the good run",
}


@dataclass(frozen=True)
class Line:
    """One thing that happened, at a time if it has one: by its *key* and what there is to say of it; as text it is English."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    at: float | None = None

    def __str__(self) -> str:
        text = LINES[self.key].format(**{**self.values, **_in_words(self.values)})
        return text if self.at is None else f"t={self.at:.3f}s  {text}"


def _in_words(values: Mapping[str, Any]) -> Mapping[str, str]:
    """Of a check what was measured and what was asked for, as a scenario writes it; of others nothing."""
    if "measure" not in values:
        return {}
    measure, bound = values["measure"], values["bound"]
    return {"measured": measures.told(values["measured"], measure, bound), "bound": measures.told(bound, measure),
            "op": values["op"].replace("_", " ")}


def told(failed: Iterable[Mapping[str, Any]], bad: RunResult, good: RunResult, struck: Mapping[str, str]) -> list[Line]:
    """What of the checks *failed*, then what happened in the order of time; *struck* says by fault's name at what part it was aimed."""
    lines = [*_of_faults(bad, struck), *_of_edges(bad, good, set(struck.values()))]
    return [*(Line("broken", check) for check in failed), *sorted(lines, key=lambda line: line.at or 0.0)]


def _of_faults(bad: RunResult, struck: Mapping[str, str]) -> Iterator[Line]:
    for fault in bad.faults:
        yield Line("struck", {"part": struck[fault.name], "fault": fault.name, "kind": fault.kind}, fault.start)
        if fault.until is not None and fault.until > fault.start:
            yield Line("over", {"fault": fault.name}, fault.until)


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
            change = Line("takes over", {"calls": len(calls)}, float(calls["start"].min()))
        if change is not None:
            yield replace(change, values={"edge": edge, **change.values})


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
    return Line("fails", {"failed": len(failed), "among": among, "until": float(last)}, float(failed["end"].min()))


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
    values = {"worst_ms": 1000 * float(mean[slow].max()), "usual_ms": 1000 * usual, "until": float(bins[last + 1])}
    return Line("slow", values, float(calls["end"][late].min()))


def _hanging(edge: str, bad: RunResult, good: RunResult, since: float) -> Line | None:
    """How many calls that began *since* have no end; calls that are under way leave no row, and when they began is not known."""
    now, usual = (result.summary["calls"].get(edge, {}).get("unfinished", 0) for result in (bad, good))
    return Line("hangs", {"calls": now}, since) if now - usual >= HANGING else None
