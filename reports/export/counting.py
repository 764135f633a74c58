"""Recorded rows as what a monitoring system would have scraped: counts and histograms that only ever grow, read at regular times.

Nothing is estimated: a scrape at time t counts exactly the rows that ended at or before t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from .time import EPOCH_S

SCRAPES = 60  # about so many of a run
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)  # seconds between scrapes
HELD = 2_000_000  # numbers of one family that are in memory at one time

HTTP_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0)  # OpenTelemetry's, and on
DB_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)  # OpenTelemetry's for database clients
CLIENT_LIBRARY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # prometheus client libraries' default


class Grid:
    """The times of the scrapes: 0, then every *step* seconds, then the end."""

    def __init__(self, duration: float, scrapes: int = SCRAPES) -> None:
        import numpy as np

        wanted = duration / scrapes
        self.step = next((step for step in STEPS if step >= wanted), max(STEPS[-1], STEPS[-1] * -(-wanted // STEPS[-1])))
        whole = np.arange(0, duration, self.step)
        self.times = np.append(whole, duration) if duration > 0 else np.zeros(1)

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def stamps(self) -> list[str]:
        """The times as OpenMetrics writes them: seconds since 1970."""
        return [f"{EPOCH_S + time:.3f}" for time in self.times.tolist()]

    def first_after(self, at: Any) -> Any:
        """For each time in *at* the index of the first scrape that sees it; what the last one misses counts there."""
        import numpy as np

        return np.minimum(np.searchsorted(self.times, at, side="left"), len(self.times) - 1)


class Labelled(NamedTuple):
    """Rows by the label set that they belong to: row i belongs to `labels[codes[i]]`, or to none where the code is -1."""

    labels: list[str]
    codes: Any


def labelled(columns: Sequence[Any], label: Callable[[tuple[int, ...]], str | None]) -> Labelled:
    """Group rows by *columns*; *label* turns one combination of values into label text, or None to leave its rows out.

    Combinations with the same text become one series.
    """
    import numpy as np

    combinations, codes = distinct(columns)
    texts = [label(combination) for combination in combinations]
    index: dict[str, int] = {}
    series = [index.setdefault(text, len(index)) if text is not None else -1 for text in texts]
    return Labelled(list(index), np.array(series, dtype=np.int64)[codes] if series else codes)


def distinct(columns: Sequence[Any]) -> tuple[list[tuple[int, ...]], Any]:
    """The combinations of values that occur in integer *columns*, ascending, and for each row the index of its own."""
    import numpy as np

    if not len(columns[0]):
        return [], np.zeros(0, dtype=np.int64)
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:  # codes stay small: after each column they are numbered anew
        numbers, count = _numbered(column)
        codes, _ = _numbered(codes * count + numbers)
    first = np.zeros(codes.max() + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return list(zip(*(np.asarray(column)[first].tolist() for column in columns), strict=True)), codes


def _numbered(values: Any) -> tuple[Any, int]:
    """Each value's rank among the different ones, and how many those are. A table
    does it where it is small enough: sorting takes ten times as long."""
    import numpy as np

    lowest, highest = int(values.min()), int(values.max())
    if highest - lowest > 4 * len(values) + 2**16:
        different, ranks = np.unique(values, return_inverse=True)
        return ranks, len(different)
    offsets = values.astype(np.int64) - lowest
    present = np.zeros(highest - lowest + 1, dtype=np.int64)
    present[offsets] = 1
    return (present.cumsum() - 1)[offsets], int(present.sum())


def counts(grid: Grid, by: Labelled, at: Any) -> Iterator[tuple[str, Any]]:
    """Labels and a count for each scrape."""
    yield from zip(by.labels, _counted(grid, by, at), strict=True)


def under_way(grid: Grid, by: Labelled, starts: Any, ends: Any) -> Iterator[tuple[str, Any]]:
    """Labels and, for each scrape, how many had started and not yet ended."""
    yield from zip(by.labels, _counted(grid, by, starts) - _counted(grid, by, ends), strict=True)


def _counted(grid: Grid, by: Labelled, at: Any) -> Any:
    """For each label set and scrape the number of rows with *at* not after it."""
    import numpy as np

    kept = by.codes >= 0
    cells = by.codes[kept] * len(grid) + grid.first_after(at[kept])
    return np.bincount(cells, minlength=len(by.labels) * len(grid)).reshape(len(by.labels), len(grid)).cumsum(axis=1)


class Histogram(NamedTuple):
    """*buckets*: for each scrape the number of values at or below each bound, and of all (+Inf) at last; *sums*: of the values."""

    buckets: Any
    sums: Any


def histograms(grid: Grid, by: Labelled, at: Any, values: Any, bounds: Sequence[float]) -> Iterator[tuple[str, Histogram]]:
    """Labels and a histogram for each scrape; a few series at a time, so that memory stays bounded."""
    import numpy as np

    width = len(bounds) + 1
    order = np.argsort(by.codes, kind="stable")
    edges = np.searchsorted(by.codes[order], np.arange(len(by.labels) + 1))
    block = max(1, HELD // (len(grid) * width))
    for start in range(0, len(by.labels), block):
        labels = by.labels[start : start + block]
        rows = order[edges[start] : edges[start + len(labels)]]
        scrape = (by.codes[rows] - start) * len(grid) + grid.first_after(at[rows])
        cells = scrape * width + np.searchsorted(bounds, values[rows], side="left")
        shape = (len(labels), len(grid))
        buckets = np.bincount(cells, minlength=shape[0] * shape[1] * width).reshape(*shape, width).cumsum(axis=2).cumsum(axis=1)
        sums = np.bincount(scrape, weights=values[rows], minlength=shape[0] * shape[1]).reshape(shape).cumsum(axis=1)
        for label, bucket, total in zip(labels, buckets, sums, strict=True):
            yield label, Histogram(bucket, total)
