"""Where two runs that should be the same part ways: the first event, span or request that differs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


def first_difference(before: RunResult, after: RunResult, until: float = math.inf) -> str | None:
    """In words, the earliest thing in simulated time that *before* and *after* do not share, or None.

    With *until* only what was over before then is compared: of a run that was interrupted, what it had measured.
    """
    found = [difference for difference in (
        _in_rows("request", _over(before.requests.rows, until), _over(after.requests.rows, until), "start",
                 before.names.operations, after.names.operations),
        _in_rows("span", _over(before.spans.rows, until), _over(after.spans.rows, until), "start",
                 before.names.operations, after.names.operations),
        _in_events([event for event in before.events if event["at"] < until], [event for event in after.events if event["at"] < until]),
    ) if difference is not None]
    return min(found)[1] if found else None


def _over(rows: Any, until: float) -> Any:
    return rows if until == math.inf else rows[rows["end"] < until]


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


def _in_events(before: Any, after: Any) -> tuple[float, str] | None:
    for left, right in zip(before, after, strict=False):
        if dict(left) != dict(right):
            return float(left["at"]), f"first at t={left['at']:.6f}s: event {left} became {right}"
    if len(before) != len(after):
        common = min(len(before), len(after))
        event = (before if len(before) > common else after)[common]
        return float(event["at"]), f"first at t={event['at']:.6f}s: event {event} is in one run only"
    return None
