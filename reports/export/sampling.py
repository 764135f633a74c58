"""Which traces are written in full. Counts and percentiles never come from here: the summary and the metrics see every row.

Kept are, until the limit is reached: every trace with an error, the slowest, those that met a fault while it was on, and a share of
all the others ("head" sampling). Which of the others is decided by the trace's number alone, so that two runs of one
scenario keep the same user requests and can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import Outcome, SpanKind

from .traces import ended, trace_numbers

if TYPE_CHECKING:
    from sim.telemetry.result import FaultInterval, RunResult

REASONS = ("error", "slow", "fault", "head")  # in the order in which they are served when the limit is near


@dataclass(frozen=True)
class Sampling:
    """A *head* share of ordinary traces (0..1), the *slowest* ones, and at most about *limit* spans in all (None: no limit)."""

    head: float = 0.05
    slowest: int = 100
    limit: int | None = 100_000


EVERYTHING = Sampling(head=1.0, limit=None)


@dataclass(frozen=True)
class Sample:
    """The rows of the spans to write (indices, ascending), and how many traces were kept and why."""

    rows: Any
    spans: int  # recorded
    traces: int  # recorded
    kept: dict[str, int] = field(default_factory=dict)  # traces by reason
    dropped: dict[str, int] = field(default_factory=dict)  # traces that had a reason, but no room

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return {"spans": self.spans, "spans_written": len(self.rows), "traces": self.traces, "traces_written": self.kept,
                "no_room_for": {reason: count for reason, count in self.dropped.items() if count}}


def sample(result: RunResult, sampling: Sampling) -> Sample:
    """Choose whole traces: a span is written with all others of its trace."""
    import numpy as np

    spans = result.spans.rows
    if not len(spans):
        return Sample(np.arange(0), 0, 0)
    numbers, trace_of_row, size = np.unique(trace_numbers(spans), return_inverse=True, return_counts=True)
    reason = np.full(len(numbers), len(REASONS))
    for code, traces in reversed(list(enumerate(_with_reason(result, sampling, numbers, trace_of_row)))):
        reason[traces] = code
    order = np.lexsort((_scattered(numbers), reason))
    room = np.inf if sampling.limit is None else sampling.limit
    fits = np.cumsum(size[order]) <= room
    wanted = reason[order] < len(REASONS)
    kept = np.zeros(len(numbers), dtype=bool)
    kept[order] = wanted & fits
    return Sample(
        rows=np.flatnonzero(kept[trace_of_row]), spans=len(spans), traces=len(numbers),
        kept={name: int((kept & (reason == code)).sum()) for code, name in enumerate(REASONS)},
        dropped={name: int((~kept & (reason == code)).sum()) for code, name in enumerate(REASONS)},
    )


def _with_reason(result: RunResult, sampling: Sampling, numbers: Any, trace_of_row: Any) -> Iterator[Any]:
    """For each of REASONS, a mask over the traces."""
    import numpy as np

    spans = result.spans.rows

    def any_row(rows: Any) -> Any:
        mask = np.zeros(len(numbers), dtype=bool)
        mask[trace_of_row[rows]] = True
        return mask

    yield any_row((spans["outcome"] == Outcome.FAILED) | (spans["outcome"] == Outcome.REJECTED))
    roots = np.flatnonzero(spans["parent"] == 0)
    took = ended(spans["end"][roots], result.duration) - spans["start"][roots]
    longest = np.argsort(-took, kind="stable")[: sampling.slowest]
    yield any_row(roots[longest])
    met = np.zeros(len(spans), dtype=bool)
    for fault in result.faults:
        met |= meets(result, fault)
    yield any_row(met)
    yield _scattered(numbers) < sampling.head * 2**32


def meets(result: RunResult, fault: FaultInterval) -> Any:
    """A mask over the spans: at a target of *fault* while it was on. Targets are nodes, instances or `caller->callee`.

    A fault whose targets are none of these (a zone, a name in DNS) is met by everything that happens while it is on.
    """
    import numpy as np

    spans, names = result.spans.rows, result.names
    on = (ended(spans["end"], result.duration) >= fault.start) & (spans["start"] < (fault.until if fault.until is not None else np.inf))
    nodes = {name: index for index, name in enumerate(names.nodes)}
    instances = {name: index for index, name in enumerate(names.instances)}
    at = np.zeros(len(spans), dtype=bool)
    for target in fault.targets:
        caller, arrow, callee = (part.strip() for part in target.partition("->"))
        if arrow and caller in nodes and callee in nodes:
            at |= (spans["node"] == nodes[caller]) & (spans["peer"] == nodes[callee]) & (spans["kind"] != SpanKind.SERVER)
        elif target in instances:
            at |= spans["instance"] == instances[target]
        elif target in nodes:
            at |= spans["node"] == nodes[target]
        else:
            return on
    return on & at if fault.targets else on


def _scattered(numbers: Any) -> Any:
    """Each number as 32 bits that look random, always the same: Knuth's multiplicative hash, then mixed once."""
    import numpy as np

    mixed = numbers.astype(np.uint64) * np.uint64(2654435761) & np.uint64(0xFFFFFFFF)
    return (mixed ^ (mixed >> np.uint64(15))) * np.uint64(2246822519) & np.uint64(0xFFFFFFFF)
