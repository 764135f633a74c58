"""Phase portrait of a metastable system: requests waiting against calls that wait to try again.

A healthy system is pulled back to the corner at the lower left. If after the fault it circles elsewhere, the load that
keeps it there is its own: retries of work that comes too late. After Habibi et al., *metafor* (2023), and Bronson et al.,
*Metastable failures in distributed systems*, HotOS 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import SpanKind

from .style import SMALL, Look, NotApplicable, heading, side, signature, time_ticks
from .tallies import level, round_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

POINTS = 240
GRID = 12  # cells each way, of the field of arrows
TITLE = ("Queue against retries: where the system settles", "Cola frente a reintentos: dónde se asienta el sistema")
FINDING = ("waiting and retrying: {before} in the first tenth after the warm-up, {after} in the last tenth of the run",
           "en espera y reintentando: {before} en la primera décima tras el calentamiento, {after} en la última de la ejecución")
X = ("requests waiting in queues", "peticiones en espera en las colas")
Y = ("calls on their second or later attempt", "llamadas en su segundo intento o posterior")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, node: str | None = None) -> None:
    """The way of one run, coloured by time, with arrows for its mean motion; *node* restricts the queue to one node."""
    import numpy as np
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    look = look or Look()
    times, waiting, retrying = orbit(result, node)
    points = np.column_stack([waiting, retrying])
    pieces: Any = np.stack([points[:-1], points[1:]], axis=1)
    lines = LineCollection(pieces, cmap=look.theme.heat_map, norm=Normalize(0, result.duration), lw=2.2, zorder=2)
    lines.set_array(times[1:])
    ax.add_collection(lines)
    ax.set_xlim(0, max(1.0, 1.08 * float(waiting.max())))
    ax.set_ylim(0, max(1.0, 1.08 * float(retrying.max())))
    _field(ax, look, waiting, retrying)
    _marks(ax, look, result, times, waiting, retrying)
    ax.set_xlabel(look.words.pick(X))
    ax.set_ylabel(look.words.pick(Y))
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(lines, cax=side(ax))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, length=3)
    bar.set_label(time_ticks(bar.ax.yaxis, look, result.duration), fontsize=SMALL)
    heading(ax, look, look.words.pick(TITLE), finding(result, look, times, waiting, retrying))
    signature(ax, look, result)


def orbit(result: RunResult, node: str | None) -> tuple[Any, Any, Any]:
    """(end of each bin, mean requests waiting, mean calls that have failed at least once and are not yet done)."""
    import numpy as np

    names = [node] if node else [name for name, kind in zip(result.names.nodes, result.names.node_kinds, strict=True) if kind != "workload"]
    gauges = [found for name in names if (found := level(result, name, "queue")) is not None]
    if not gauges:
        raise NotApplicable("no gauge of waiting requests was kept")
    starts, ends = retrying_calls(result)
    width = max(round_width(result.duration, POINTS), float(np.diff(gauges[0][0]).min()) if len(gauges[0][0]) > 1 else 0.0)
    edges = np.arange(0, result.duration + width / 2, width)
    waiting = sum(_resampled(at, values, edges) for at, values in gauges)
    return edges[1:], waiting, mean_level(starts, ends, edges)


def retrying_calls(result: RunResult) -> tuple[Any, Any]:
    """When calls began to retry (their first attempt had ended) and when they were done with; NotApplicable if none ever did."""
    import numpy as np

    tries, calls = result.spans.of(SpanKind.ATTEMPT), result.spans.of(SpanKind.CLIENT)
    first = tries[tries.attempt == 1]
    again = calls[(calls.attempt > 1) & np.isin(calls.id, first.parent)]
    if not len(again):
        raise NotApplicable("no call was ever tried again")
    order = np.argsort(first.parent, kind="stable")
    begun = first.end[order][np.searchsorted(first.parent[order], again.id)]
    return begun, again.end


def mean_level(starts: Any, ends: Any, edges: Any) -> Any:
    """Time-weighted mean number of intervals that cover each bin, exact."""
    import numpy as np

    def begun_before(times: Any) -> Any:  # total time since *times* that has passed at each edge
        ordered = np.sort(times)
        passed = np.concatenate(([0.0], np.cumsum(ordered)))
        count = np.searchsorted(ordered, edges)
        return count * edges - passed[count]

    return np.diff(begun_before(starts) - begun_before(ends)) / np.diff(edges)


def _resampled(at: Any, values: Any, edges: Any) -> Any:
    import numpy as np

    area = np.concatenate(([0.0], np.cumsum(values * np.diff(at, prepend=0.0))))
    return np.diff(np.interp(edges, np.concatenate(([0.0], at)), area)) / np.diff(edges)


def _field(ax: Axes, look: Look, waiting: Any, retrying: Any) -> None:
    """Where the run went from each cell of a grid, on average."""
    import numpy as np

    across, up = ax.get_xlim()[1] / GRID, ax.get_ylim()[1] / GRID
    cell = (waiting[:-1] // across).astype(int) * GRID + (retrying[:-1] // up).astype(int)
    moves_x, moves_y = np.diff(waiting) / across, np.diff(retrying) / up
    found, place, count = np.unique(cell, return_inverse=True, return_counts=True)
    dx, dy = np.bincount(place, moves_x) / count, np.bincount(place, moves_y) / count
    length = np.hypot(dx, dy)
    some = length > 0.05
    if not some.any():
        return
    size = np.minimum(length[some], 1.0) / length[some] * 0.8
    x, y = (found[some] // GRID + 0.5) * across, (found[some] % GRID + 0.5) * up
    ax.quiver(x, y, dx[some] * size * across, dy[some] * size * up, angles="xy", scale_units="xy", scale=1, width=0.004,
              color=look.theme.muted, alpha=0.7, zorder=1.5)


def _marks(ax: Axes, look: Look, result: RunResult, times: Any, waiting: Any, retrying: Any) -> None:
    """Begin and end of the first fault, and the end of the run."""
    import numpy as np

    marks = [(result.duration, ("end", "fin"), "s")]
    if result.faults:
        first = min(result.faults, key=lambda fault: fault.start)
        marks.append((first.start, ("fault on", "empieza el fallo"), "^"))
        marks.append((first.until or result.duration, ("fault off", "termina el fallo"), "v"))
    for at, name, shape in marks:
        index = min(int(np.searchsorted(times, at)), len(times) - 1)
        ax.plot(waiting[index], retrying[index], shape, ms=11, color=look.theme.fault, mec=look.theme.paper, mew=1.2, zorder=4,
                clip_on=False, label=look.words.pick(name))
    ax.legend(loc="upper right", numpoints=1)


def finding(result: RunResult, look: Look, times: Any, waiting: Any, retrying: Any) -> str:
    """Where the system was at the beginning and at the end."""
    tenth, words = (result.duration - result.warmup) / 10, look.words

    def place(chosen: Any) -> str:
        return f"({words.short(float(waiting[chosen].mean()))}, {words.short(float(retrying[chosen].mean()))})" if chosen.any() else "–"

    before = (times > result.warmup) & (times <= result.warmup + tenth)
    return words.pick(FINDING).format(before=place(before), after=place(times > result.duration - tenth))
