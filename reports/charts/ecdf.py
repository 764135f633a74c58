"""Cumulative share of requests by latency: percentiles and the share of each mode are read off without any bins.

Source of the form: Brooker, *Histogram vs eCDF*, 2022. The lower panel is the same curve, its last tenth enlarged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .outcomes import of_workload
from .style import Look, NotApplicable, heading, panels, seconds_axis, signature, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

POINTS = 800  # of a drawn curve; more cannot be seen
ZOOM = 0.9
TAIL = ("the slowest tenth", "la décima más lenta")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, second: RunResult | None = None, workload: str | None = None) -> None:
    """The whole above, the slowest tenth below; *second* is another run to compare with."""
    look = look or Look()
    curves = [(label, latencies(run, workload)) for label, run in labelled(result, second)]
    whole, tail = panels(ax, (1.5, 1.0))
    whole.set_xscale("log")
    for index, (label, values) in enumerate(curves):
        x, y = curve(values)
        for panel in (whole, tail):
            panel.plot(x, y, color=look.series(index), drawstyle="steps-post", label=label)
    whole.set_ylim(0, 1)
    tail.set_ylim(ZOOM, 1.0)
    least = min(float(values[0]) for _, values in curves)
    whole.set_xlim(least, max(float(values[-1]) for _, values in curves) * 1.05)
    for panel in (whole, tail):
        panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    seconds_axis(whole.xaxis, look)
    whole.tick_params(labelbottom=False)
    tail.set_xlabel(look.words("latency from start"))
    tail.annotate(look.words.pick(TAIL), (0.01, 0.9), xycoords="axes fraction", va="top", color=look.theme.muted)
    if second is not None:
        whole.legend(loc="lower right")
    heading(whole, look, title(look, "ecdf"), finding(curves, look))
    signature(tail, look, result)


def latencies(result: RunResult, workload: str | None) -> Any:
    """Sorted latencies of the finished requests that arrived after the warm-up, in seconds; at least 1 µs, for the axis."""
    import numpy as np

    done = of_workload(result, workload).finished
    done = done[done.intended >= result.warmup]
    if not len(done):
        raise NotApplicable("no request that arrived after the warm-up has ended")
    return np.sort(np.maximum(done.latency, 1e-6))


def curve(values: Any) -> tuple[Any, Any]:
    """The cumulative share at each of sorted *values*; of many, those that can be told apart, the tail always."""
    import numpy as np

    count = len(values)
    ranks = np.arange(1, count + 1)
    if count > POINTS:
        body = np.linspace(1, count, POINTS // 2)
        tail = count + 1 - np.geomspace(1, count, POINTS // 2)
        ranks = np.unique(np.concatenate((body, tail)).round().astype(int))
    return values[ranks - 1], ranks / count


def labelled(result: RunResult, second: RunResult | None) -> list[tuple[str, RunResult]]:
    """The runs with what tells them apart: variant, name or seed."""
    if second is None:
        return [(result.name, result)]
    for tell in (lambda run: run.variant or run.name, lambda run: run.name, lambda run: f"{run.name} {run.seed}"):
        if tell(result) != tell(second):
            return [(tell(result), result), (tell(second), second)]
    return [(f"{result.name} 1", result), (f"{result.name} 2", second)]


def finding(curves: list[tuple[str, Any]], look: Look) -> str:
    """Median and p99 of each curve."""
    import numpy as np

    seconds = look.words.seconds
    parts = []
    for label, values in curves:
        p50, p99 = np.quantile(values, [0.5, 0.99])
        parts.append(f"{label}: p50 {seconds(float(p50))}, p99 {seconds(float(p99))}")
    return "; ".join(parts)
