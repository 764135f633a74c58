"""Service graph: who calls whom, how often, with what errors, and how many attempts each call became."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .edges import Edge, edges
from .layered import Layout, layout
from .style import HEIGHT, NORMAL, ORANGE, SMALL, VERMILLION, WIDTH, Look, NotApplicable, heading, points_wide, signature, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

THINNEST, THICKEST = 1.2, 8.0  # points
SHORTEST = 58.0  # points between two layers, so that a label fits on the arrow
CRAMPED = 25.0  # points; rather than that the layers are folded into rows
TURN = 24.0  # points beside the rows, for arrows from the end of one to the next
LABELS = ((20, SMALL - 1), (40, SMALL - 2.5))  # up to so many edges: points
MOST_LABELS = 60
GROWTH = 1.2  # the layout leaves the graph more room than it has at first
BOX = 0.5  # height, where two boxes are 1 apart
FINDING = (
    "calls per second · errors · attempts per call (where not 1), {start} to {until}; width is the rate",
    "llamadas por segundo · errores · intentos por llamada (si no es 1), de {start} a {until}; grosor: la tasa",
)
ERRORS = ("calls that failed or were refused", "llamadas fallidas o rechazadas")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, window: tuple[float, float] | None = None) -> None:
    """Callers left, callees right. Counts are of calls begun in *window* (seconds; by default all after the warm-up)."""
    look = look or Look()
    found = edges(result, window)
    if not found:
        raise NotApplicable("no call ended in this time")
    ax.set_axis_off()
    plan = layout({(edge.source, edge.target): edge.calls for edge in found}, asking(result))
    canvas = _Canvas(ax, look, plan, result)
    canvas.boxes()
    busiest = max(edge.rate for edge in found)
    for edge in found:
        if edge.source != edge.target:
            canvas.arrow(edge, THINNEST + (THICKEST - THINNEST) * edge.rate / busiest)
    size = next((size for most, size in LABELS if len(found) <= most), 6.0)
    for edge in worth_a_label(found):
        canvas.label(edge, size)
    scale(ax, look)
    start, until = window or (result.warmup, result.duration)
    words = look.words
    heading(ax, look, title(look, "graph"), words.pick(FINDING).format(start=words.seconds(start), until=words.seconds(until)))
    signature(ax, look, result)


def asking(result: RunResult) -> list[str]:
    """Registries: they ask everybody how they are, and everybody asks them, which would be a circle through the whole graph."""
    return [name for name, kind in zip(result.names.nodes, result.names.node_kinds, strict=True) if kind == "registry"]


def worth_a_label(found: Sequence[Edge]) -> list[Edge]:
    """All edges, busiest first; of very many those with errors or repeated attempts, then the busiest."""
    ranked = sorted((edge for edge in found if edge.source != edge.target), key=lambda edge: -edge.rate)
    if len(ranked) <= MOST_LABELS:
        return ranked
    return sorted(ranked, key=lambda edge: not edge.errors and round(edge.amplification, 2) == 1)[:MOST_LABELS]


def error_colours(look: Look) -> Any:
    """From the colour of quiet things at no error to vermillion."""
    from matplotlib.colors import LinearSegmentedColormap

    quiet = look.theme.muted
    stops = [(0.0, quiet), (0.02, quiet), (0.15, ORANGE), (0.5, VERMILLION), (1.0, look.theme.alarm)]
    return LinearSegmentedColormap.from_list("errors", stops)


def scale(ax: Axes, look: Look) -> None:
    """The colour bar of errors, small, at the left below the graph."""
    from matplotlib.cm import ScalarMappable

    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(cmap=error_colours(look)), cax=ax.inset_axes((0.015, -0.045, 0.2, 0.02)), orientation="horizontal")
    bar.outline.set_visible(False)
    bar.set_ticks([0, 0.5, 1], labels=["0 %", "50 %", "100 %"])
    bar.ax.tick_params(labelsize=SMALL - 1, length=2)
    bar.ax.annotate(look.words.pick(ERRORS), (1, 0.5), (16, 0), xycoords="axes fraction", textcoords="offset points", va="center",
                    fontsize=SMALL, color=look.theme.muted, annotation_clip=False)


@dataclass(frozen=True)
class Columns:
    """Where the layers stand, in points from the left, and how their names are written."""

    centres: list[float]
    halves: list[float]  # half the width of the boxes
    size: float  # of the names
    split: bool  # names are broken after hyphens
    gap: float  # between two layers


def in_rows(plan: Layout, points: float) -> tuple[Layout, Columns]:
    """*plan* in as few rows as leave room for arrows, and where its columns stand within *points*: one row, unless that is cramped."""
    for rows in range(1, max(plan.layers, 2)):
        made, least = (plan, CRAMPED) if rows == 1 else (plan.folded(rows), SHORTEST)
        layers = [[name for name, (x, _) in made.nodes.items() if x == layer] for layer in range(made.layers)]
        placed = columns(layers, points if rows == 1 else points - 2 * TURN)
        if placed.gap >= least or made.layers <= 3:
            break
    return made, placed


def columns(names: Sequence[Sequence[str]], points: float) -> Columns:
    """Fit the boxes of each layer into *points*: if the arrows between them become short, break the names, then write smaller."""
    for split, size in ((False, NORMAL), (True, NORMAL), (True, SMALL), (True, 9.0), (True, 8.0), (True, 7.0), (True, 6.0), (True, 5.0)):
        halves = [max((width(name, size, split) for name in layer), default=0.0) / 2 for layer in names]
        gap = (points - 2 * sum(halves)) / max(len(names) - 1, 1)
        if gap >= SHORTEST or (size == 5.0):
            break
    centres, at = [], 0.0
    for half in halves:
        centres.append(at + half)
        at += 2 * half + gap
    return Columns(centres, halves, size, split, gap)


def broken(name: str, split: bool) -> str:
    """*name* on two lines, cut after the hyphen that is nearest to its middle."""
    cuts = [index + 1 for index, sign in enumerate(name) if sign in "-_." and 0 < index < len(name) - 1]
    if not split or len(name) < 10 or not cuts:
        return name
    cut = min(cuts, key=lambda index: abs(index - len(name) / 2))
    return f"{name[:cut]}\n{name[cut:]}"


def width(name: str, size: float, split: bool) -> float:
    """Points that a box needs for *name*."""
    return max(0.68 * size * max(map(len, broken(name, split).split("\n"))), 40.0) + 12


class _Canvas:
    """Boxes, arrows and labels in the axes' data: x counts points, y counts boxes from the top."""

    def __init__(self, ax: Axes, look: Look, plan: Layout, result: RunResult) -> None:
        points = GROWTH * points_wide(ax)
        plan, self.columns = in_rows(plan, points)
        self.ax, self.look, self.plan, self.result = ax, look, plan, result
        heights = [y for route in plan.routes.values() for _, y in route] + [y for _, y in plan.nodes.values()]
        ax.set_ylim(max(max(heights), 1.0) + 0.45, min(min(heights), -1.0) - 0.45)
        self.up = points * HEIGHT / WIDTH * 0.8 / abs(ax.get_ylim()[0] - ax.get_ylim()[1])  # points for 1 of y
        beside = 2 if plan.rows == 1 else TURN
        ax.set_xlim(-beside, points + 4 - beside)
        self.taken: list[tuple[float, float, float, float]] = []

    def kind(self, name: str) -> str:
        return self.result.names.node_kinds[list(self.result.names.nodes).index(name)]

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """A place of the plan in the axes' data."""
        return self.columns.centres[round(point[0])], point[1]

    def boxes(self) -> None:
        """A rounded box for each node with its name; filled where it is a service, else with its kind if there is room."""
        from matplotlib.patches import FancyBboxPatch

        theme = self.look.theme
        style = f"round,pad=0,rounding_size={min(5.0, 0.45 * BOX * self.up):.2f}"
        for name, point in self.plan.nodes.items():
            (x, y), half = self.at(point), self.columns.halves[int(point[0])]
            fill = theme.grid if self.kind(name) in ("service", "gateway") else theme.paper
            self.ax.add_patch(FancyBboxPatch((x - half, y - BOX / 2), 2 * half, BOX, boxstyle=style, fc=fill,
                                             ec=theme.muted, lw=1.0, zorder=3, mutation_aspect=1 / self.up))
            kind = self.kind(name)
            text, size = max((self.fitted(broken(name, split), half) for split in (False, True)), key=lambda fit: fit[1])
            lines = text.count("\n") + 1
            small = max(size - 2, 6.0)
            beneath = kind != "service" and BOX * self.up > 1.2 * (lines * size + small)
            lift = 0.6 * small / self.up if beneath else 0.0
            self.ax.text(x, y - lift, text, ha="center", va="center", fontsize=size, fontweight="bold", linespacing=1.0, zorder=4)
            if beneath:
                below = y + 0.62 * lines * size / self.up
                self.ax.text(x, below, self.look.words.kind(kind), ha="center", va="center", fontsize=small, color=theme.muted, zorder=4)
            self.taken.append((x - half, y - BOX / 2, x + half, y + BOX / 2))

    def fitted(self, text: str, half: float) -> tuple[str, float]:
        """*text* and the size at which it fits into a box."""
        lines = text.split("\n")
        return text, min(self.columns.size, BOX * self.up / (1.25 * len(lines)), (2 * half - 10) / (0.68 * max(map(len, lines))))

    def arrow(self, edge: Edge, width: float) -> None:
        """A smooth line through the edge's points, with a head at the callee."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        points = self.route(edge)
        vertices, codes = [points[0]], [Path.MOVETO]
        for (x0, y0), (x1, y1), out in self._stretches(edge):
            middle = (x0 + x1) / 2 + out
            vertices += [(middle, y0), (middle, y1), (x1, y1)]
            codes += [Path.CURVE4] * 3
        colour = error_colours(self.look)(edge.error_share)
        self.ax.add_patch(FancyArrowPatch(path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=8 + 1.2 * width, lw=width,
                                          color=colour, zorder=2, capstyle="butt", joinstyle="miter"))

    def route(self, edge: Edge) -> list[tuple[float, float]]:
        """The edge's points, from the border of the caller's box to that of the callee's."""
        route = self.plan.routes[edge.source, edge.target]
        points = [self.at(point) for point in route]
        (x0, y0), (x1, y1) = points[0], points[-1]
        onward, came = (self._side(route[one], route[other]) for one, other in ((0, 1), (-2, -1)))
        if self._turns(route[-2], route[-1]):
            came = -came
        halves = self.columns.halves
        points[0] = (x0 + onward * halves[int(route[0][0])], y0 + self._port(edge.source, edge.target, 0))
        points[-1] = (x1 - came * (halves[int(route[-1][0])] + 2), y1 + self._port(edge.target, edge.source, -1))
        return points

    def _stretches(self, edge: Edge) -> list[tuple[tuple[float, float], tuple[float, float], float]]:
        """From where to where, and how far out of its way each stretch of the edge bends."""
        route = pairwise(self.plan.routes[edge.source, edge.target])
        return [(*ends, self._side(*planned) * TURN if self._turns(*planned) else 0.0)
                for ends, planned in zip(pairwise(self.route(edge)), route, strict=True)]

    def _turns(self, one: tuple[float, float], other: tuple[float, float]) -> bool:
        """Whether an edge between these places of the plan goes round: the end of a row, or to a box in its own column."""
        return one[0] == other[0]

    def _side(self, one: tuple[float, float], other: tuple[float, float]) -> int:
        """Towards the right (1) or the left (-1); where it turns, to where there is room for that."""
        if self._turns(one, other):
            return 1 if one[0] or self.plan.rows == 1 else -1
        return 1 if other[0] >= one[0] else -1

    def _port(self, name: str, other: str, end: int) -> float:
        """How far from a box's middle an edge begins (*end* 0) or arrives (-1): edges in the order of their next points do not cross."""
        here = sorted((route[1 + 3 * end][1], edge) for edge, route in self.plan.routes.items() if edge[end] == name)
        wanted = (name, other) if end == 0 else (other, name)
        index = [edge for _, edge in here].index(wanted)
        return (index - (len(here) - 1) / 2) * min(0.7 * BOX / len(here), 0.14)

    def label(self, edge: Edge, size: float) -> None:
        """Rate, errors and amplification on the line, at the first of several places where nothing else is written."""
        text = text_of(edge, self.look)
        lines = text.split("\n")
        wide = 0.56 * size * max(map(len, lines)) + 4
        high = (1.25 * size * len(lines) + 3) / self.up
        spots = [self.along(edge, share) for share in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)]
        beside = [(x, y + lift * high) for lift in (-0.75, 0.75, -1.2, 1.2) for x, y in spots[:7]]
        start, end = self.route(edge)[0], self.route(edge)[-1]
        level = abs(end[1] - start[1]) < high and wide > 0.5 * abs(end[0] - start[0])  # on the line, it would hide all of it
        spots = beside + spots if level else spots + beside
        low, top = sorted(self.ax.get_ylim())
        spots = [(x, min(max(y, low + high / 2), top - high / 2)) for x, y in spots]
        boxes = [(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2) for x, y in spots]
        best = min(range(len(boxes)), key=lambda index: (round(sum(_overlap(boxes[index], other) for other in self.taken), 6), index))
        self.taken.append(boxes[best])
        self.ax.text(*spots[best], text, ha="center", va="center", fontsize=size, linespacing=1.15, zorder=5,
                     bbox={"boxstyle": "round,pad=0.15", "fc": self.look.theme.paper, "ec": "none", "alpha": 0.85})

    def along(self, edge: Edge, share: float) -> tuple[float, float]:
        """The point at *share* of the way, on the drawn curve."""
        stretches = self._stretches(edge)
        position = share * len(stretches)
        index = min(int(position), len(stretches) - 1)
        t = position - index
        (x0, y0), (x1, y1), out = stretches[index]
        ease = t * t * (3 - 2 * t)  # the height of a cubic with level ends
        across = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3
        return x0 + (x1 - x0) * across + 3 * out * t * (1 - t), y0 + (y1 - y0) * ease


def text_of(edge: Edge, look: Look) -> str:
    """`57/s · 2.1 % · ×1.10`, without what says nothing."""
    words = look.words
    parts = [f"{words.short(edge.rate)}/s"]
    if edge.errors:
        parts.append(words.percent(edge.error_share))
    if round(edge.amplification, 2) != 1:
        parts.append(f"×{words.number(edge.amplification, 2)}")
    return "\n".join([parts[0], " · ".join(parts[1:])]) if len(parts) > 1 else parts[0]


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
