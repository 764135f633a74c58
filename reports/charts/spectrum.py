"""HDR percentile spectrum: latency by percentile, with as much room for 99.9 % as for 90 %. Tails are compared here.

Source of the form: Tene's HdrHistogram, whose plots have 1 / (1 - percentile) on a logarithmic axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ecdf import curve, finding, labelled, latencies
from .style import Look, heading, legend, seconds_axis, signature, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

TICKS = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, second: RunResult | None = None, workload: str | None = None) -> None:
    """One line a run, as far as its number of requests reaches: of 1,000 requests nothing is known beyond 99.9 %."""
    from matplotlib.ticker import FixedLocator, NullLocator

    look = look or Look()
    curves = [(label, latencies(run, workload)) for label, run in labelled(result, second)]
    most = max(len(values) for _, values in curves)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for index, (label, values) in enumerate(curves):
        ax.plot(*spectrum(values), color=look.series(index), label=label, drawstyle="steps-pre",
                marker="o" if len(values) == 1 else None, clip_on=len(values) > 1)  # a line of one point would not be seen
    ax.set_xlim(1, max(most, 2))
    ticks = [share for share in TICKS if 1 / (1 - share) <= most]
    ax.xaxis.set_major_locator(FixedLocator([1 / (1 - share) for share in ticks]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * (1 - 1 / value):.7g} %".replace(".", look.words.decimal_mark))
    seconds_axis(ax.yaxis, look)
    ax.set_xlabel(look.words("percentile"))
    ax.set_ylabel(look.words("latency from start"))
    if second is not None:
        legend(ax, len(curves))
    heading(ax, look, title(look, "spectrum"), finding(curves, look))
    signature(ax, look, result)


def spectrum(values: Any) -> tuple[Any, Any]:
    """(1 / (1 - share), latency) of sorted *values*; the largest stands at their number."""
    import numpy as np

    latency, share = curve(values)
    count = len(values)
    return np.minimum(1 / np.maximum(1 - share, 1 / count), count), latency
