"""The spans that an export writes, in chunks, with the three things their columns do not say by themselves.

    number     of the trace: the user request's id; background work (trace 0) forms one trace for each of its roots
    ended      a span that was under way when the run ended is cut off there
    repeated   a logical call whose attempts are spans of their own: the attempts went over the network, it did not
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import SpanKind

from .ids import Ids
from .semantics import keys
from .time import EPOCH_NS

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

CHUNK = 8192  # rows that are in memory as text at one time
BACKGROUND = 2**32  # traces of background work are numbered from here on by their root span's id


@dataclass(frozen=True, eq=False)
class Traces:
    """The spans *which* (indices into the run's rows, ascending) of a run. Beside the run itself it holds 17 bytes a span."""

    result: RunResult
    which: Any

    @cached_property
    def ids(self) -> Ids:
        return Ids(self.result.seed)

    @cached_property
    def rows(self) -> Any:
        return self.result.spans.rows

    @cached_property
    def number(self) -> Any:
        return trace_numbers(self.rows)

    @cached_property
    def repeated(self) -> Any:
        return repeated(self.rows)

    def chunks(self, order: Any = None, size: int = CHUNK) -> Iterator[Any]:
        """Indices of the spans to write, *size* at a time, in the given *order* (of indices) or as they were recorded."""
        which = self.which if order is None else order
        for at in range(0, len(which), size):
            yield which[at : at + size]

    def columns(self, which: Any) -> Iterator[tuple[tuple[Any, ...], int, int, int, int, int, float]]:
        """For each of the spans *which*: its key (semantics.SpanKey), id, parent, trace number, start and end in nanoseconds
        since 1970, and the seconds that it queued."""
        import numpy as np

        rows = self.rows[which]
        starts = EPOCH_NS + np.rint(rows["start"] * 1e9).astype(np.int64)
        ends = EPOCH_NS + np.rint(ended(rows["end"], self.result.duration) * 1e9).astype(np.int64)
        plain = (column.tolist() for column in (rows["id"], rows["parent"], self.number[which], starts, ends, rows["queued"]))
        return zip(keys(rows, self.repeated[which]), *plain, strict=True)


def ended(end: Any, duration: float) -> Any:
    """*end* with *duration*, the end of the run, where it is not a number."""
    import numpy as np

    return np.where(np.isnan(end), duration, end)


def repeated(rows: Any) -> Any:
    """A mask over spans: the logical calls that have attempts of their own."""
    import numpy as np

    parents = np.unique(rows["parent"][rows["kind"] == SpanKind.ATTEMPT])
    return (rows["kind"] == SpanKind.CLIENT) & np.isin(rows["id"], parents)


def trace_numbers(rows: Any) -> Any:
    """Each span's trace: the request's id, or BACKGROUND plus the id of the span at the root where there is no request."""
    import numpy as np

    number = rows["trace"].astype(np.uint64)
    background = np.flatnonzero(number == 0)
    if not len(background):
        return number
    ids, parents = rows["id"][background], rows["parent"][background]
    by_id = np.argsort(ids)
    found = np.minimum(np.searchsorted(ids, parents, sorter=by_id), len(ids) - 1)
    parent = by_id[found]
    root = np.where(ids[parent] == parents, parent, np.arange(len(ids)))
    while not np.array_equal(root, root[root]):
        root = root[root]
    number[background] = BACKGROUND + ids[root].astype(np.uint64)
    return number
