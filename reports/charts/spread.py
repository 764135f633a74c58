"""Means over seeds with confidence intervals: what charts of several runs share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sim.mistakes import did_you_mean, nearest

T_975 = (  # Student's t, two-sided 95 %, by degrees of freedom from 1 (any table of it)
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)


def t_975(degrees: int) -> float:
    """The 97.5 % quantile of Student's t; beyond 30 degrees within 0.1 %, by the first term of its expansion."""
    if degrees < 1:
        raise ValueError("an interval needs at least two runs")
    return T_975[degrees - 1] if degrees <= len(T_975) else 1.95996 + 2.3722 / degrees + 2.8225 / degrees**2


def mean_and_half_width(rows: Any) -> tuple[Any, Any]:
    """Mean over the first axis, and half the width of its 95 % interval: NaN where fewer than two runs have a value."""
    import numpy as np

    rows = np.asarray(rows, dtype=float)
    known = ~np.isnan(rows)
    count = known.sum(axis=0)
    filled = np.where(known, rows, 0.0)
    mean = np.divide(filled.sum(axis=0), count, out=np.full(rows.shape[1:], np.nan), where=count > 0)
    squares = np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0)
    t = np.array([np.nan, np.nan, *(t_975(degrees) for degrees in range(1, len(rows)))])
    half = t[count] * np.sqrt(np.divide(squares, np.maximum(count - 1, 1)) / np.maximum(count, 1))
    return mean, half


BY_WHAT_HAPPENS = {  # whose keys a run brings, and what stands for one that it did not bring: no value, or a count of what did not happen
    "calls": math.nan, "by_request": math.nan, "sagas": math.nan, "projections": math.nan, "groups": math.nan,
    "by_status": 0.0, "policies": 0.0, "admission": 0.0,
}


class NoFigure(KeyError):
    """A path leads to no number. *instead* is what stands for it if another run, in which more happens, has one; None if none can."""

    def __init__(self, what: str, instead: float | None = None) -> None:
        super().__init__(what)
        self.instead = instead


def figure_at(summary: Mapping[str, Any], path: str) -> float:
    """The number at *path* in a summary, `workloads.shoppers.latency_s.p99`; NaN for null. Raise NoFigure with what there is.

    Names may hold dots themselves: the longest key that fits is taken.
    """
    at: Any = summary
    rest, key = path, ""
    while rest:
        if not isinstance(at, Mapping):
            raise NoFigure(f"{path!r}: nothing lies below {path[: -len(rest) - 1]!r}")
        keys = [key for key in at if rest == key or rest.startswith(f"{key}.")]
        if not keys:
            word = rest if nearest(rest, at) else rest.partition(".")[0]
            raise NoFigure(f"{path!r}: {word!r} is not there; {did_you_mean(word, at)}", BY_WHAT_HAPPENS.get(key))
        key = max(keys, key=len)
        at, rest = at[key], rest[len(key) + 1 :]
    if isinstance(at, Mapping):
        raise NoFigure(f"{path!r} is no number; it holds {', '.join(map(str, at))}")
    if not isinstance(at, int | float | None):
        raise NoFigure(f"{path!r} is no number")
    return float("nan") if at is None else float(at)


def figures_at(summaries: Iterable[Mapping[str, Any]], path: str) -> list[float]:
    """The number at *path* in each of the *summaries*, also of runs in which less happened; raise NoFigure where none has it."""
    found, missing = [], []
    for summary in summaries:
        try:
            found.append(figure_at(summary, path))
        except NoFigure as error:
            if error.instead is None:
                raise
            found.append(error.instead)
            missing.append(error)
    if missing and len(missing) == len(found):
        raise missing[0]
    return found
