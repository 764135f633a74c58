"""The service graph as a drawing: boxes, curves and places for labels, in pixels. What changes over time is painted in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from reports.charts.graph import asking
from reports.charts.layered import Layout, layout
from reports.texts import shortened

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

LETTER, BOX, ROW, GAP, MARGIN = 7.4, 44.0, 74.0, 110.0, 14.0
NARROWEST, LONGEST_NAME = 92.0, 26
LABEL = (84.0, 17.0)
ASIDE = 16.0  # of a line, where its label stands beside it
TURN = 40.0  # how far out a line bends that goes to a box in the same column
SPOTS = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73)  # of an edge's way, where its label may stand


@dataclass(frozen=True)
class Box:
    """A node; x and y are those of its corner."""

    name: str
    shown: str  # the name, cut if it is long
    kind: str
    x: float
    y: float
    width: float
    height: float = BOX


@dataclass(frozen=True)
class Curve:
    """An edge: the path of its line, and the middle of its label."""

    source: str
    target: str
    path: str
    label: tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """The whole picture and its size."""

    width: float
    height: float
    boxes: Sequence[Box]
    curves: Sequence[Curve]


def drawing(result: RunResult, calls: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """Callers left, callees right. None if nobody called anybody; a node that calls itself has no line."""
    pairs = {(str(edge["source"]), str(edge["target"])): sum(edge["calls"]) for edge in calls if edge["source"] != edge["target"]}
    if not pairs:
        return None
    plan = layout(pairs, asking(result))
    kinds = dict(zip(result.names.nodes, result.names.node_kinds, strict=True))
    lefts, widths = _columns(plan)
    top = min(y for route in plan.routes.values() for _, y in route)
    boxes = [Box(name, shortened(name, LONGEST_NAME), kinds[name], lefts[int(x)], MARGIN + (y - top) * ROW, widths[int(x)])
             for name, (x, y) in plan.nodes.items()]
    canvas = _Canvas(plan, lefts, widths, top)
    curves = [Curve(source, target, *canvas.curve(source, target)) for source, target in pairs]
    bottom = max(y for route in plan.routes.values() for _, y in route)
    return Drawing(lefts[-1] + widths[-1] + MARGIN, (bottom - top) * ROW + BOX + 2 * MARGIN, boxes, curves)


def _columns(plan: Layout) -> tuple[list[float], list[float]]:
    """The left side and the width of each layer's boxes."""
    lefts, widths, at = [], [], MARGIN
    for layer in range(plan.layers):
        longest = max((len(shortened(name, LONGEST_NAME)) for name, (x, _) in plan.nodes.items() if x == layer), default=0)
        lefts.append(at)
        widths.append(max(NARROWEST, LETTER * longest + 26))
        at += widths[-1] + GAP
    return lefts, widths


class _Canvas:
    """Draws curves and remembers what is taken, so that labels keep apart."""

    def __init__(self, plan: Layout, lefts: Sequence[float], widths: Sequence[float], top: float) -> None:
        self.plan, self.lefts, self.widths, self.top = plan, lefts, widths, top
        self.taken = [(*self._middle(x, y), widths[int(x)], BOX) for x, y in plan.nodes.values()]

    def _middle(self, x: float, y: float) -> tuple[float, float]:
        return self.lefts[round(x)] + self.widths[round(x)] / 2, MARGIN + (y - self.top) * ROW + BOX / 2

    def curve(self, source: str, target: str) -> tuple[str, tuple[float, float]]:
        """The path of an edge as SVG has it, and a free place for its label."""
        points = self._points(source, target)
        out = TURN if self._turns(source, target) else 0.0
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            bend = (x0 + x1) / 2 + out
            path += f"C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        spots = [(x + 0.75 * out, y) for x, y in (_along(points, share) for share in SPOTS)]
        (x0, y0), (x1, y1) = points[0], points[-1]
        if abs(x1 - x0) < 2 * LABEL[0] and abs(y1 - y0) < LABEL[1]:  # short and level: a label on the line would hide all of it
            spots = [(x, y + aside) for aside in (-ASIDE, ASIDE) for x, y in spots] + spots
        best = min(spots, key=lambda spot: (round(self._overlap(spot)), spots.index(spot)))
        self.taken.append((*best, *LABEL))
        return path, best

    def _points(self, source: str, target: str) -> list[tuple[float, float]]:
        """From the border of the caller's box over the bends to that of the callee's; passing edges go straight through a layer."""
        route = self.plan.routes[source, target]
        points = [self._middle(x, y) for x, y in route]
        onward = points[-1][0] >= points[0][0]
        through = [point for (x, _), (mx, my) in zip(route[1:-1], points[1:-1], strict=True)
                   for point in _across(mx, my, self.widths[round(x)] / 2, onward)]
        half, last = self.widths[round(route[0][0])] / 2, self.widths[round(route[-1][0])] / 2
        sign = 1 if onward else -1
        begin = points[0][0] + sign * half, points[0][1] + self._port(source, target, 0)
        side = -sign if self._turns(source, target) else sign
        end = points[-1][0] - side * (last + 7), points[-1][1] + self._port(target, source, -1)
        return [begin, *through, end]

    def _turns(self, source: str, target: str) -> bool:
        """Whether the edge goes round at the right, to a box in the same column."""
        return self.plan.nodes[source][0] == self.plan.nodes[target][0]

    def _port(self, name: str, other: str, end: int) -> float:
        """How far from a box's middle an edge begins (*end* 0) or arrives (-1): in the order of the next points, none cross."""
        here = sorted((route[1 + 3 * end][1], edge) for edge, route in self.plan.routes.items() if edge[end] == name)
        wanted = (name, other) if end == 0 else (other, name)
        index = [edge for _, edge in here].index(wanted)
        return (index - (len(here) - 1) / 2) * min(0.8 * BOX / len(here), 11)

    def _overlap(self, spot: tuple[float, float]) -> float:
        wide, high = LABEL
        return sum(max(0.0, (wide + w) / 2 - abs(spot[0] - x)) * max(0.0, (high + h) / 2 - abs(spot[1] - y)) for x, y, w, h in self.taken)


def _across(x: float, y: float, half: float, onward: bool) -> list[tuple[float, float]]:
    return [(x - half, y), (x + half, y)] if onward else [(x + half, y), (x - half, y)]


def _along(points: Sequence[tuple[float, float]], share: float) -> tuple[float, float]:
    """The point at *share* of the way, on the curve; ways through a layer count as parts too."""
    position = share * (len(points) - 1)
    index = min(int(position), len(points) - 2)
    t = position - index
    (x0, y0), (x1, y1) = points[index], points[index + 1]
    across = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3
    return x0 + (x1 - x0) * across, y0 + (y1 - y0) * t * t * (3 - 2 * t)
