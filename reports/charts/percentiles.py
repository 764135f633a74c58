"""Latency percentiles over time: the median tells what is usual, the tail what hurts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .faults import shade
from .outcomes import of_workload
from .style import Look, NotApplicable, end_labels, heading, seconds_axis, signature, time_axis, title
from .tallies import quantiles_over_time, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import Requests, RunResult

LINES = ((0.5, "p50", 2.6), (0.9, "p90", 2.0), (0.99, "p99", 2.0), (1.0, "max", 1.0))  # share, name, width of the line
MOST_BINS = 120
FINDING = (
    "all finished requests: p50 {p50}, p90 {p90}, p99 {p99}, slowest {most}; by intended start",
    "todas las terminadas: p50 {p50}, p90 {p90}, p99 {p99}, la más lenta {most}; según el inicio previsto",
)


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, workload: str | None = None) -> None:
    """Nearest-rank percentiles of what was begun in each bin, on a logarithmic axis; gaps where nothing ended."""
    look = look or Look()
    done = of_workload(result, workload).finished
    if not len(done):
        raise NotApplicable("no request ended within the run")
    edges = time_edges(result.duration, MOST_BINS)
    rows = over_time(done, edges)
    time_axis(ax, look, result)
    ax.set_yscale("log")
    for index, row in enumerate(rows):
        ax.plot(*steps(edges, row), color=colour(look, index), lw=LINES[index][2], zorder=3 - 0.2 * index)
    seconds_axis(ax.yaxis, look)
    ax.set_ylabel(look.words("latency"))
    end_labels(ax, look, [(last_number(row), LINES[index][1], colour(look, index)) for index, row in enumerate(rows)])
    heading(ax, look, title(look, "percentiles"), finding(done, look), lift=shade([ax], look, result))
    signature(ax, look, result)


def over_time(done: Requests, edges: Any) -> Any:
    """One row for each line. A latency of nothing is drawn as 1 µs, since the axis is logarithmic."""
    import numpy as np

    return quantiles_over_time(done.intended, np.maximum(done.latency, 1e-6), edges, [share for share, _, _ in LINES])


def colour(look: Look, index: int) -> str:
    """Grey for the single slowest, so that it does not shout."""
    return look.theme.muted if LINES[index][1] == "max" else look.series(index)


def last_number(row: Any) -> float:
    """The last value that is one, where the line ends."""
    import numpy as np

    good = row[~np.isnan(row)]
    return float(good[-1])


def finding(done: Requests, look: Look) -> str:
    """The same percentiles over all finished requests of the run, warm-up included."""
    import numpy as np

    p50, p90, p99, most = (look.words.seconds(float(q)) for q in np.quantile(done.latency, [0.5, 0.9, 0.99, 1.0]))
    return look.words.pick(FINDING).format(p50=p50, p90=p90, p99=p99, most=most)
