"""Trace waterfall: one request, every span a bar, with the critical path that decided how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.texts import shortened
from sim.telemetry.codes import Outcome, SpanKind

from .style import GREY, ORANGE, SMALL, VERMILLION, Look, heading, points_wide, signature, title
from .traces import Node, Pick, Segment, choose, critical_path, tree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

MOST_ROWS = 34
NAMES_SHARE = 0.3  # of the width
INDENT, INDENTED = 9.0, 0.4  # points for each level, and the share of the names' room that they take at most
FINDING = ("request {id}: {latency}; on the critical path: {parts}", "petición {id}: {latency}; en la ruta crítica: {parts}")
AXIS = ("time since the request began", "tiempo desde el inicio")
KEY = (("in a service", "en un servicio"), ("waiting for a worker", "esperando turno"), ("call", "llamada"), ("failed", "fallida"),
       ("critical path", "ruta crítica"))
HIDDEN = ("{count} shorter spans are not shown", "no se muestran {count} tramos más cortos")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, trace: int | None = None, pick: Pick = "slowest") -> None:
    """The spans of *trace*, or of the slowest, slowest failed or median request; times count from the request's start.

    Right of the dotted line, nobody waits any more for what is done there.
    """
    look = look or Look()
    trace = choose(result, pick) if trace is None else trace
    every = tree(result, trace)
    path = critical_path(every)
    nodes = longest(every)
    zero = every[0].start
    ax.set_axis_off()
    chart = ax.inset_axes((NAMES_SHARE, 0, 1 - NAMES_SHARE, 1))
    chart.grid(axis="y", visible=False)
    chart.tick_params(axis="y", left=False, labelleft=False)
    chart.set_ylim(len(nodes) - 0.4, -0.6)
    chart.set_xlim(0, 1000 * max(node.end - zero for node in every))
    size = min(SMALL, 250 / len(nodes))
    wide = 1.2 * NAMES_SHARE * points_wide(ax)  # the layout leaves more room than there is at first
    step = min(INDENT, INDENTED * wide / max(1, *(node.depth for node in nodes)))
    for row, node in enumerate(nodes):
        _bar(chart, look, row, node, zero)
        _name(ax, chart, node, row, size, step * node.depth, wide)
    rows = {node.id: row for row, node in enumerate(nodes)}
    for segment in path:
        if segment.span in rows:
            times = [1000 * (segment.start - zero), 1000 * (segment.end - zero)]
            chart.plot(times, [rows[segment.span] + 0.36] * 2, color=look.theme.ink, lw=2.5, solid_capstyle="butt", zorder=4)
    chart.axvline(1000 * (every[0].end - zero), color=look.theme.muted, lw=1.2, ls=":", zorder=1)
    chart.set_xlabel(f"{look.words.pick(AXIS)} (ms)")
    _key(ax, look)
    heading(ax, look, title(look, "waterfall"), finding(trace, every, path, look, len(every) - len(nodes)), lift=20)
    signature(chart, look, result)


def _name(ax: Axes, chart: Axes, node: Node, row: int, size: float, indent: float, wide: float) -> None:
    """The span's name in the column at the left, *wide* points, after *indent* and cut to the room there."""
    text = shortened(node.label, int((wide - indent) / (0.58 * size)))
    share = 1 - (row + 0.6) / (chart.get_ylim()[0] + 0.6)
    ax.annotate(text, (0, share), (indent, 0), xycoords="axes fraction", textcoords="offset points", ha="left", va="center", fontsize=size)


def longest(nodes: list[Node], most: int = MOST_ROWS) -> list[Node]:
    """At most *most* spans: the longest ones with all their ancestors, in the tree's order."""
    if len(nodes) <= most:
        return nodes
    by_id = {node.id: node for node in nodes}
    kept: set[int] = set()
    for node in sorted(nodes, key=lambda node: (node.start - node.end, node.id)):
        line = []
        at: Node | None = node
        while at is not None and at.id not in kept:
            line.append(at.id)
            at = by_id.get(at.parent)
        if len(kept) + len(line) <= most:
            kept.update(line)
    return [node for node in nodes if node.id in kept]


def _bar(ax: Axes, look: Look, row: int, node: Node, zero: float) -> None:
    start, length = 1000 * (node.start - zero), 1000 * (node.end - node.start)
    bad = node.outcome in (Outcome.FAILED, Outcome.REJECTED)
    if node.kind in (SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.INTERNAL):
        ax.barh(row, length, left=start, height=0.62, color=VERMILLION if bad else look.theme.line, lw=0, zorder=3)
        if node.queued > 0:
            ax.barh(row, 1000 * node.queued, left=start, height=0.62, color=ORANGE, lw=0, zorder=3)
    else:
        ax.barh(row, length, left=start, height=0.22, color=VERMILLION if bad else GREY, lw=0, zorder=3)
    ax.plot([start, start], [row - 0.31, row + 0.31], color=look.theme.muted, lw=0.8, zorder=3)  # a span of no length is seen too


def _key(ax: Axes, look: Look) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=colour) for colour in (look.theme.line, ORANGE, GREY, VERMILLION)]
    handles.append(Line2D([], [], color=look.theme.ink, lw=2.5))
    ax.legend(handles, [look.words.pick(text) for text in KEY], loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, borderaxespad=0.2,
              handlelength=1.2, columnspacing=1.2)


def finding(trace: int, nodes: list[Node], path: list[Segment], look: Look, hidden: int) -> str:
    """How long the request took, and which nodes had the largest shares of its critical path."""
    where = {node.id: node.where for node in nodes}
    total = path[-1].end - path[0].start if path else 0.0
    spent: dict[str, float] = {}
    for segment in path:
        spent[where[segment.span]] = spent.get(where[segment.span], 0.0) + segment.end - segment.start
    first = sorted(spent.items(), key=lambda item: (-item[1], item[0]))[:3]
    parts = ", ".join(f"{name} {look.words.percent(seconds / total, 0)}" for name, seconds in first) if total else ""
    text = look.words.pick(FINDING).format(id=trace, latency=look.words.seconds(total), parts=parts)
    return f"{text}; {look.words.pick(HIDDEN).format(count=hidden)}" if hidden else text
