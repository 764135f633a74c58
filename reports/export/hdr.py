"""Latency as HdrHistogram's percentile text, which its plotter and wrk2's users read: milliseconds, finer towards the tail.

Every half of what remains to 100 % is cut into five steps, until a step holds less than one request. Values are exact,
not bucketed: the run kept every one. Source: HdrHistogram's AbstractHistogram.outputPercentileDistribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .answered import answered

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

TICKS = 5  # in each half of the distance to 100 %


def measured_latencies(result: RunResult) -> Any:
    """Seconds, ascending: of the requests that were answered and had arrived after the warm-up, as in the summary."""
    import numpy as np

    requests = answered(result.requests)
    return np.sort(requests.latency[requests.intended >= result.warmup])


def hgrm(result: RunResult) -> str:
    """The whole text."""
    milliseconds = 1000 * measured_latencies(result)
    count = len(milliseconds)
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    lines += [_line(milliseconds, share) for share in percentiles(count)]
    mean, deviation, highest = (milliseconds.mean(), milliseconds.std(), milliseconds[-1]) if count else (0.0, 0.0, 0.0)
    lines += [
        f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]",
        f"#[Max     = {highest:12.3f}, Total count    = {count:12d}]",
        f"#[Buckets = {0:12d}, SubBuckets     = {0:12d}]",
    ]
    return "\n".join(lines) + "\n"


def percentiles(count: int) -> Iterator[float]:
    """Shares (0..1) at which to write a line for *count* values: 0, 0.1 ... 0.5, 0.55 ... 0.75, 0.775 ... and at last 1."""
    if not count:
        return
    share, half = 0.0, 0.5
    while (1 - share) * count > 1 / TICKS:
        for _ in range(TICKS):
            yield share
            share += half / TICKS
        half /= 2
    yield 1.0


def _line(milliseconds: Any, share: float) -> str:
    count = len(milliseconds)
    rank = max(1, min(count, int(-(-share * count // 1))))  # the smallest rank with at least this share at or below it
    value = milliseconds[rank - 1]
    below = int(milliseconds.searchsorted(value, side="right"))
    inverse = "" if share >= 1 else f" {1 / (1 - share):14.2f}"
    return f"{value:12.3f} {share:14.12f} {below:10d}{inverse}"
