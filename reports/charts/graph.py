"""Service graph: who calls whom, how often, with what errors, and how many attempts each call became."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .edges import Edge, edges
from .layered import Layout, layout
from .style import NORMAL, ORANGE, SMALL, VERMILLION, Look, NotApplicable, heading, side, signature, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

THINNEST, THICKEST = 1.2, 9.0  # points
BOX = 0.46  # height, where two boxes are 1 apart
FINDING = (
    "calls per second · errors · attempts per call (where not 1), {start} to {until}; width is the rate",
    "llamadas por segundo · errores · intentos por llamada (si no es 1), de {start} a {until}; el grosor es la tasa",
)
ERRORS = ("calls that failed or were refused", "llamadas fallidas o rechazadas")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, window: tuple[float, float] | None = None) -> None:
    """Callers left, callees right. Counts are of calls begun in *window* (seconds; by default all after the warm-up)."""
    look = look or Look()
    found = edges(result, window)
    if not found:
        raise NotApplicable("no call ended in this time")
    ax.set_axis_off()
    plan = layout((edge.source, edge.target) for edge in found)
    canvas = _Canvas(ax, look, plan, result)
    canvas.boxes()
    busiest = max(edge.rate for edge in found)
    for edge in found:
        if edge.source != edge.target:
            canvas.arrow(edge, THINNEST + (THICKEST - THINNEST) * edge.rate / busiest)
    for edge in sorted(found, key=lambda edge: -edge.rate):
        if edge.source != edge.target:
            canvas.label(edge)
    scale(ax, look)
    start, until = window or (result.warmup, result.duration)
    words = look.words
    heading(ax, look, title(look, "graph"), words.pick(FINDING).format(start=words.seconds(start), until=words.seconds(until)))
    signature(ax, look, result)


def error_colours(look: Look) -> Any:
    """From the colour of quiet things at no error to vermillion."""
    from matplotlib.colors import LinearSegmentedColormap

    quiet = look.theme.muted
    stops = [(0.0, quiet), (0.02, quiet), (0.15, ORANGE), (0.5, VERMILLION), (1.0, look.theme.alarm)]
    return LinearSegmentedColormap.from_list("errors", stops)


def scale(ax: Axes, look: Look) -> None:
    """The colour bar of errors."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import FuncFormatter

    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(cmap=error_colours(look)), cax=side(ax))
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    bar.ax.tick_params(labelsize=SMALL, length=3)
    bar.set_label(look.words.pick(ERRORS), fontsize=SMALL)


class _Canvas:
    """Boxes, arrows and labels in the axes' data: x counts layers, y counts boxes from the top."""

    def __init__(self, ax: Axes, look: Look, plan: Layout, result: RunResult) -> None:
        self.ax, self.look, self.plan, self.result = ax, look, plan, result
        heights = [y for route in plan.routes.values() for _, y in route] + [y for _, y in plan.nodes.values()]
        extent = ax.get_window_extent()
        dpi = ax.get_figure(root=True).dpi  # type: ignore[union-attr]
        ax.set_ylim(max(max(heights), 1.0) + 0.45, min(min(heights), -1.0) - 0.45)
        self.up = extent.height * 72 / dpi / abs(ax.get_ylim()[0] - ax.get_ylim()[1])  # points for 1 of y
        points = extent.width * 72 / dpi
        half = [max(_width(name, 9 if self.kind(name) != "service" else 0) for name in plan.nodes if plan.nodes[name][0] == layer) / 2
                for layer in range(plan.layers)]
        self.across = (points - half[0] - half[-1] - 8) / max(plan.layers - 1, 1)
        self.half = [width / self.across for width in half]
        ax.set_xlim(-self.half[0] - 4 / self.across, plan.layers - 1 + self.half[-1] + 4 / self.across)
        self.taken: list[tuple[float, float, float, float]] = []

    def kind(self, name: str) -> str:
        return self.result.names.node_kinds[list(self.result.names.nodes).index(name)]

    def boxes(self) -> None:
        """A rounded box for each node with its name, and its kind where it is no plain service."""
        from matplotlib.patches import FancyBboxPatch

        theme = self.look.theme
        for name, (x, y) in self.plan.nodes.items():
            half = self.half[int(x)]
            low = y - BOX / 2
            self.ax.add_patch(FancyBboxPatch((x - half, low), 2 * half, BOX, boxstyle="round,pad=0,rounding_size=0.06", fc=theme.grid,
                                             ec=theme.muted, lw=1.0, zorder=3, mutation_aspect=self.across / self.up))
            kind = self.kind(name)
            plain = kind == "service"
            self.ax.text(x, y - (0 if plain else 0.075), name, ha="center", va="center", fontsize=NORMAL - 0.5, fontweight="bold", zorder=4)
            if not plain:
                self.ax.text(x, y + 0.13, kind, ha="center", va="center", fontsize=SMALL - 1.5, color=theme.muted, zorder=4)
            self.taken.append((x - half, low, x + half, low + BOX))

    def arrow(self, edge: Edge, width: float) -> None:
        """A smooth line through the edge's points, with a head at the callee."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        points = self.route(edge)
        vertices, codes = [points[0]], [Path.MOVETO]
        for (x0, y0), (x1, y1) in pairwise(points):
            middle = (x0 + x1) / 2
            vertices += [(middle, y0), (middle, y1), (x1, y1)]
            codes += [Path.CURVE4] * 3
        colour = error_colours(self.look)(edge.error_share)
        self.ax.add_patch(FancyArrowPatch(path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=8 + 1.2 * width, lw=width,
                                          color=colour, zorder=2, capstyle="butt", joinstyle="miter"))

    def route(self, edge: Edge) -> list[tuple[float, float]]:
        """The edge's points, from the border of the caller's box to that of the callee's."""
        points = list(self.plan.routes[edge.source, edge.target])
        (x0, y0), (x1, y1) = points[0], points[-1]
        sign = 1 if x1 >= x0 else -1
        points[0] = (x0 + sign * self.half[int(x0)], y0 + self._port(edge.source, edge.target, 0))
        points[-1] = (x1 - sign * self.half[int(x1)] - sign * 2 / self.across, y1 + self._port(edge.target, edge.source, -1))
        return points

    def _port(self, name: str, other: str, end: int) -> float:
        """How far from a box's middle an edge begins (*end* 0) or arrives (-1): edges in the order of their next points do not cross."""
        here = sorted((route[1 + 3 * end][1], edge) for edge, route in self.plan.routes.items() if edge[end] == name)
        wanted = (name, other) if end == 0 else (other, name)
        index = [edge for _, edge in here].index(wanted)
        return (index - (len(here) - 1) / 2) * min(0.7 * BOX / len(here), 0.14)

    def label(self, edge: Edge) -> None:
        """Rate, errors and amplification on the line, at the first of several places where nothing else is written."""
        text = text_of(edge, self.look)
        lines = text.split("\n")
        wide = (0.56 * (SMALL - 1) * max(map(len, lines)) + 4) / self.across
        high = (1.25 * (SMALL - 1) * len(lines) + 3) / self.up
        spots = [self.along(edge, share) for share in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)]
        beside = [(x, y + lift * high) for lift in (-0.75, 0.75, -1.2, 1.2) for x, y in spots[:7]]
        start, end = self.route(edge)[0], self.route(edge)[-1]
        level = abs(end[1] - start[1]) < high and wide > 0.5 * abs(end[0] - start[0])  # on the line, it would hide all of it
        spots = beside + spots if level else spots + beside
        boxes = [(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2) for x, y in spots]
        best = min(range(len(boxes)), key=lambda index: (round(sum(_overlap(boxes[index], other) for other in self.taken), 6), index))
        self.taken.append(boxes[best])
        self.ax.text(*spots[best], text, ha="center", va="center", fontsize=SMALL - 1, linespacing=1.15, zorder=5,
                     bbox={"boxstyle": "round,pad=0.15", "fc": self.look.theme.paper, "ec": "none", "alpha": 0.85})

    def along(self, edge: Edge, share: float) -> tuple[float, float]:
        """The point at *share* of the way, on the drawn curve."""
        points = self.route(edge)
        position = share * (len(points) - 1)
        index = min(int(position), len(points) - 2)
        t = position - index
        (x0, y0), (x1, y1) = points[index], points[index + 1]
        ease = t * t * (3 - 2 * t)  # the height of a cubic with level ends
        across = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3
        return x0 + (x1 - x0) * across, y0 + (y1 - y0) * ease


def text_of(edge: Edge, look: Look) -> str:
    """`57/s · 2.1 % · ×1.10`, without what says nothing."""
    words = look.words
    parts = [f"{words.short(edge.rate)}/s"]
    if edge.errors:
        parts.append(words.percent(edge.error_share))
    if round(edge.amplification, 2) != 1:
        parts.append(f"×{words.number(edge.amplification, 2)}")
    return "\n".join([parts[0], " · ".join(parts[1:])]) if len(parts) > 1 else parts[0]


def _width(name: str, kind: int) -> float:
    """Points that a box needs for *name*."""
    return max(0.66 * NORMAL * len(name), 0.6 * SMALL * kind) + 12


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
