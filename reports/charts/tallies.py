"""Counting recorded columns over time: bins of a round width, outcomes, quantiles, levels. Seconds throughout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.telemetry.result import Requests, RunResult

MOST_BINS = 180


def round_width(duration: float, most: int = MOST_BINS) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that cuts *duration* into at most *most* bins."""
    least = duration / most
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def time_edges(duration: float, most: int = MOST_BINS) -> NDArray[Any]:
    """Edges of bins of a round width over the whole run; the last bin is shorter where the width does not divide it."""
    import numpy as np

    width = round_width(duration, most)
    edges = width * np.arange(math.ceil(duration / width - 1e-9) + 1)
    edges[-1] = duration
    return edges


def per_second(times: Any, edges: Any) -> NDArray[Any]:
    """How many of *times* fall in each bin, as a rate. Times outside the edges do not count."""
    import numpy as np

    rates: NDArray[Any] = np.histogram(times, edges)[0] / np.diff(edges)
    return rates


def outcome_rates(requests: Requests, edges: Any) -> dict[Outcome, NDArray[Any]]:
    """Requests that ended in each bin, per second, for each outcome but UNFINISHED, which has no end."""
    ended = [outcome for outcome in Outcome if outcome is not Outcome.UNFINISHED]
    return {outcome: per_second(requests.end[requests.outcome == outcome], edges) for outcome in ended}


def bin_of(times: Any, edges: Any) -> NDArray[Any]:
    """The index of each time's bin; the last edge belongs to the last bin, as in numpy.histogram."""
    import numpy as np

    index: NDArray[Any] = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
    return index


def quantiles_over_time(times: Any, values: Any, edges: Any, shares: Sequence[float]) -> NDArray[Any]:
    """Nearest-rank quantiles of *values* in each bin: one row for each share; NaN where a bin is empty."""
    import numpy as np

    bins = bin_of(times, edges)
    ordered = values[np.lexsort((values, bins))]
    counts = np.bincount(bins, minlength=len(edges) - 1)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    rows = np.full((len(shares), len(counts)), np.nan)
    some = counts > 0
    for row, share in enumerate(shares):
        rank = np.clip(np.ceil(share * counts[some]).astype(int) - 1, 0, counts[some] - 1)
        rows[row, some] = ordered[first[some] + rank]
    return rows


def steps(edges: Any, values: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The corners of a line that stands at each value from one edge to the next."""
    import numpy as np

    return np.repeat(edges, 2)[1:-1], np.repeat(values, 2)


def level(result: RunResult, node: str, measure: str, of: str = "mean") -> tuple[NDArray[Any], NDArray[Any]] | None:
    """A node's gauge over time as (at, value): the node's own, or the sum of its instances'; None if it was not kept."""
    import numpy as np

    whole = result.series(node, measure)
    if whole is not None:
        return (whole.at, getattr(whole, of)) if len(whole.at) else None
    parts = [index for index, (name, _, what) in enumerate(result.names.gauges) if name == node and what == measure]
    rows = result.samples[np.isin(result.samples["gauge"], parts)]
    if not len(rows):
        return None
    at, place = np.unique(rows["at"], return_inverse=True)
    return at, np.bincount(place, weights=rows[of].astype(float))


def intervals(at: Any, values: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Corners of a sampled level: each value stands from the sample before to its own time."""
    import numpy as np

    return steps(np.concatenate(([max(0.0, 2 * at[0] - at[1]) if len(at) > 1 else 0.0], at)), values)
