"""Where two runs that should be the same part ways: the first event, span or request that differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


def first_difference(before: RunResult, after: RunResult) -> str:
    """In words, the earliest thing in simulated time that *before* and *after* do not share."""
    found = [difference for difference in (
        _in_rows("request", before.requests.rows, after.requests.rows, "start", before.names.operations, after.names.operations),
        _in_rows("span", before.spans.rows, after.spans.rows, "start", before.names.operations, after.names.operations),
        _in_events(before, after),
    ) if difference is not None]
    if not found:
        return "the digests differ, but no request, span or event does: the manifest was changed by hand"
    return min(found)[1]


def _in_rows(what: str, before: Any, after: Any, time: str, names: Any, new_names: Any) -> tuple[float, str] | None:
    import numpy as np

    common = min(len(before), len(after))
    pairs = zip(before[:common], after[:common], strict=True)
    unequal = np.flatnonzero(np.array([left.tobytes() != right.tobytes() for left, right in pairs]))
    if len(unequal):
        row = int(unequal[0])
        left, right = before[row], after[row]
        columns = [name for name in before.dtype.names if left[name].tobytes() != right[name].tobytes()]
        changes = ", ".join(f"{name} {left[name]} became {right[name]}" for name in columns)
        at = float(left[time])
        return at, f"first at t={at:.6f}s: {what} {int(left['id'])} ({names[int(left['operation'])]}): {changes}"
    if len(before) != len(after):
        longer, table = (before, names) if len(before) > len(after) else (after, new_names)
        at = float(longer[common][time])
        name = table[int(longer[common]["operation"])]
        return at, f"first at t={at:.6f}s: {what} {int(longer[common]['id'])} ({name}) is in one run only"
    return None


def _in_events(before: RunResult, after: RunResult) -> tuple[float, str] | None:
    for left, right in zip(before.events, after.events, strict=False):
        if dict(left) != dict(right):
            return float(left["at"]), f"first at t={left['at']:.6f}s: event {left} became {right}"
    if len(before.events) != len(after.events):
        common = min(len(before.events), len(after.events))
        event = (before.events if len(before.events) > common else after.events)[common]
        return float(event["at"]), f"first at t={event['at']:.6f}s: event {event} is in one run only"
    return None
