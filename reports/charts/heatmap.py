"""Latency heat map: time by latency by count. Two populations, a timeout's edge, a queue that fills: no percentile shows them.

Source of the form: Gregg, *Visualizing System Latency*, CACM 53(7), 2010.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .faults import shade
from .outcomes import of_workload
from .style import SMALL, Look, NotApplicable, heading, seconds_axis, side, signature, time_axis, title
from .tallies import time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import Requests, RunResult

ROWS_IN_DECADE = 15
LEAST = 1e-6  # seconds; what is faster is counted in the lowest row
FINDING = (
    "each cell counts the requests begun in {width} with that latency; {total} in all",
    "cada celda cuenta las peticiones iniciadas en {width} con esa latencia; {total} en total",
)


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, workload: str | None = None) -> None:
    """Every finished request is in exactly one cell. Colours are logarithmic; an empty cell has none."""
    from matplotlib.colors import LogNorm

    look = look or Look()
    done = of_workload(result, workload).finished
    if not len(done):
        raise NotApplicable("no request ended within the run")
    columns, rows, cells = counts(done, result.duration)
    time_axis(ax, look, result)
    ax.set_yscale("log")
    ax.set_ylim(rows[0], rows[-1])
    ax.grid(False)
    norm = LogNorm(1, max(int(cells.max()), 2))
    mesh = ax.pcolormesh(columns, rows, masked(cells).T, norm=norm, cmap=look.theme.heat_map, rasterized=True, zorder=1)
    seconds_axis(ax.yaxis, look)
    ax.set_ylabel(look.words("latency"))
    scale(ax, look, mesh)
    width = look.words.seconds(float(columns[1] - columns[0]))
    found = look.words.pick(FINDING).format(width=width, total=look.words.number(int(cells.sum())))
    heading(ax, look, title(look, "heatmap"), found, lift=shade([ax], look, result))
    signature(ax, look, result)


def counts(done: Requests, duration: float) -> tuple[Any, Any, Any]:
    """(time edges, latency edges in seconds, counts by time and latency)."""
    import numpy as np

    latency = np.maximum(done.latency, LEAST)
    low = math.floor(math.log10(latency.min()) * ROWS_IN_DECADE)
    high = math.floor(math.log10(latency.max()) * ROWS_IN_DECADE) + 1
    rows = 10.0 ** (np.arange(low, max(high, low + ROWS_IN_DECADE) + 1) / ROWS_IN_DECADE)
    columns = time_edges(duration)
    at = np.clip(done.intended, columns[0], columns[-1])
    return columns, rows, np.histogram2d(at, np.clip(latency, rows[0], rows[-1]), (columns, rows))[0]


def masked(cells: Any) -> Any:
    """Cells without a request have no colour."""
    import numpy as np

    return np.ma.masked_equal(cells, 0)


def scale(ax: Axes, look: Look, mesh: Any) -> None:
    """The colour bar, in whole requests."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, cax=side(ax))
    bar.outline.set_visible(False)
    most = int(mesh.norm.vmax)
    powers = [10**power for power in range(len(str(most))) if 2 * 10**power <= most]  # with room for the largest count above them
    bar.ax.yaxis.set_major_locator(FixedLocator([*powers, most]))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: look.words.number(value)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=SMALL, length=3)
    bar.set_label(look.words("requests"), fontsize=SMALL)
