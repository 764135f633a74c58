"""Instance strip: how the requests of one service were spread over its instances, and where they failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.texts import shortened
from sim.telemetry.codes import Outcome, SpanKind

from .faults import shade
from .states import downtimes
from .style import LONGEST_NAME, SMALL, VERMILLION, Look, NotApplicable, heading, side, signature, time_axis
from .tallies import time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult, Spans

MOST = 40
TITLE = ("Requests by instance: {node}", "Peticiones por instancia: {node}")
FINDING = ("{total} requests to {count} instances; busiest: {ratio} × its share; red line: share that failed; hatched: down",
           "{total} peticiones a {count} instancias; la más cargada: {ratio} × su parte; línea roja: fallidas; rayado: caída")
SCALE = ("requests per second", "peticiones por segundo")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, node: str | None = None) -> None:
    """A row for each instance of *node* (by default the service with the most requests that has several): colour is its rate.

    The red line on a row is the share of its requests that failed, from the row's bottom (none) to its top (all).
    """
    look = look or Look()
    served = result.spans.of(SpanKind.SERVER)
    node = node or busiest(result, served)
    names, counts, errors, edges = spread(result, served, node)
    _strip(ax, look, names, counts, errors, edges)
    time_axis(ax, look, result)
    for name, stays in downtimes(result).items():
        if name in names:
            for stay in stays:
                length = stay.until - stay.start
                ax.barh(names.index(name), length, left=stay.start, height=1, fill=False, hatch="///", edgecolor=look.theme.ink, lw=0)
    total = counts.sum(axis=1)
    words = look.words
    text = words.pick(FINDING).format(total=words.number(int(total.sum())), count=len(names),
                                      ratio=words.number(float(total.max() / max(total.mean(), 1e-12)), 2))
    heading(ax, look, words.pick(TITLE).format(node=shortened(node, LONGEST_NAME)), text, lift=shade([ax], look, result))
    signature(ax, look, result)


def busiest(result: RunResult, served: Spans) -> str:
    """Of the nodes with several instances one that had an instance down, else a service, and of those the one with the most requests."""
    import numpy as np

    down = downtimes(result)
    best: list[tuple[bool, bool, int, str]] = []
    for index, (name, kind) in enumerate(zip(result.names.nodes, result.names.node_kinds, strict=True)):
        mine = served[served.node == index]
        if len(np.unique(mine.instance)) > 1:
            fell = any(result.names.instances[one] in down for one in np.unique(mine.instance).tolist())
            best.append((fell, kind == "service", len(mine), name))
    if not best:
        raise NotApplicable("no node has more than one instance that served a request")
    return max(best)[-1]


def spread(result: RunResult, served: Spans, node: str) -> tuple[list[str], Any, Any, Any]:
    """(instances, requests by instance and bin, failed ones, edges of the bins), by the time at which a request arrived."""
    import numpy as np

    if node not in result.names.nodes:
        raise NotApplicable(f"no node {node!r}")
    mine = served[served.node == list(result.names.nodes).index(node)]
    present = np.unique(mine.instance)[:MOST]
    if not len(present):
        raise NotApplicable(f"{node} served no request")
    edges = time_edges(result.duration, 120)
    bad = (mine.outcome == Outcome.FAILED) | (mine.outcome == Outcome.REJECTED)
    counts = np.array([np.histogram(mine.start[mine.instance == one], edges)[0] for one in present])
    errors = np.array([np.histogram(mine.start[(mine.instance == one) & bad], edges)[0] for one in present])
    return [result.names.instances[one] for one in present.tolist()], counts, errors, edges


def _strip(ax: Axes, look: Look, names: list[str], counts: Any, errors: Any, edges: Any) -> None:
    import numpy as np

    rates = counts / np.diff(edges)
    rows = np.arange(len(names) + 1) - 0.5
    mesh = ax.pcolormesh(edges, rows, np.ma.masked_equal(rates, 0), cmap=look.theme.heat_map, vmin=0, rasterized=True)
    middles = (edges[1:] + edges[:-1]) / 2
    for row in range(len(names)):
        share = np.where(counts[row] > 0, errors[row] / np.maximum(counts[row], 1), np.nan)
        if errors[row].any():
            ax.plot(middles, row + 0.45 - 0.9 * share, color=VERMILLION, lw=1.5)
    ax.set_yticks(range(len(names)), [shortened(name, 20) for name in names], fontsize=min(SMALL, 300 / len(names)))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, cax=side(ax))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, length=3)
    bar.set_label(look.words.pick(SCALE), fontsize=SMALL)
