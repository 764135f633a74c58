"""The rows that families are counted from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reports.export.counting import Grid, Labelled, labelled
from reports.export.openmetrics import labels_text
from reports.export.semantics import STORES, Semantics
from reports.export.traces import ended, repeated
from sim.telemetry.codes import Outcome, SpanKind

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

class Measured:
    """A run with its spans sorted into what servers did (`served`) and what callers sent over the network (`sent`)."""

    def __init__(self, result: RunResult, grid: Grid) -> None:
        self.result, self.grid, self.names = result, grid, result.names
        self.semantics = Semantics(result)

    @cached_property
    def spans(self) -> Any:
        return self.result.spans.rows

    @cached_property
    def served(self) -> SpanRows:
        """Requests in an instance, queueing included."""
        return self.rows_where(self.spans["kind"] == SpanKind.SERVER)

    @cached_property
    def calls(self) -> SpanRows:
        """Logical calls, all attempts included."""
        return self.rows_where(self.spans["kind"] == SpanKind.CLIENT)

    @cached_property
    def sent(self) -> SpanRows:
        """Attempts: a call that can have one only is its own attempt. A call that a policy refused sent nothing and has none."""
        spans = self.spans
        once = (spans["kind"] == SpanKind.CLIENT) & (spans["attempt"] > 0) & ~repeated(spans)
        return self.rows_where(once | (spans["kind"] == SpanKind.ATTEMPT))

    def rows_where(self, mask: Any) -> SpanRows:
        """The spans of *mask*."""
        return SpanRows(self, self.spans[mask])

    def is_store(self, node: int) -> bool:
        """Whether callers of *node* are database clients."""
        return self.names.node_kinds[node] in STORES

    def is_workload(self, node: int) -> bool:
        """Whether *node* is a workload: users, not a part of the system."""
        return self.names.node_kinds[node] == "workload"


class SpanRows:
    """Some of the spans, ready to be counted."""

    def __init__(self, measured: Measured, rows: Any) -> None:
        self.measured, self.rows = measured, rows

    @cached_property
    def ends(self) -> Any:
        return ended(self.rows["end"], self.measured.result.duration)

    @cached_property
    def durations(self) -> Any:
        return self.ends - self.rows["start"]

    def by(self, columns: Sequence[str], label: Callable[..., dict[str, Any] | None]) -> Labelled:
        """Group by *columns*; *label* is called with one value of each and gives the labels, or None to leave the rows out."""

        def text(values: tuple[int, ...]) -> str | None:
            labels = label(*values)
            return None if labels is None else labels_text(labels)

        return labelled([self.rows[column] for column in columns], text)

    def where(self, mask: Any) -> SpanRows:
        """Some of these."""
        return SpanRows(self.measured, self.rows[mask])

    @cached_property
    def failed(self) -> SpanRows:
        """Those that did not end well."""
        outcome = self.rows["outcome"]
        return self.where((outcome == Outcome.FAILED) | (outcome == Outcome.REJECTED))
