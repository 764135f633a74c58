"""Places for the nodes of a call graph: callers left of whom they call, few crossings, long edges led around boxes.

After Sugiyama, Tagawa, Toda, *Methods for visual understanding of hierarchical system structures* (1981): layers by the
longest way from a caller, a bend for each layer that an edge passes, order by the neighbours' mean, then heights.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 8
BEND_ROOM = 0.62  # of a box's height: a passing edge needs less room


@dataclass(frozen=True)
class Layout:
    """x is the layer, counted from 0; y is a height, 1 being one box. Each edge passes its points, ends included."""

    nodes: dict[str, tuple[float, float]]
    routes: dict[tuple[str, str], list[tuple[float, float]]]
    rows: int = 1  # of layers, if they are folded

    @property
    def layers(self) -> int:
        """How many columns of boxes there are."""
        return 1 + int(max(x for x, _ in self.nodes.values()))

    def folded(self, rows: int) -> Layout:
        """The same in that many rows below each other, which run to and fro; then x is the column."""
        columns = math.ceil(self.layers / rows)
        heights: list[list[float]] = [[] for _ in range(rows)]
        for x, y in [*self.nodes.values(), *(point for route in self.routes.values() for point in route)]:
            heights[int(x) // columns].append(y)
        lifts, lowest = [], 0.0
        for some in heights:
            lifts.append(lowest - min(some, default=0.0))
            lowest = lifts[-1] + max(some, default=0.0) + 1.0

        def place(point: tuple[float, float]) -> tuple[float, float]:
            row, column = divmod(int(point[0]), columns)
            return float(column if row % 2 == 0 else columns - 1 - column), point[1] + lifts[row]

        return Layout({name: place(point) for name, point in self.nodes.items()},
                      {edge: [place(point) for point in route] for edge, route in self.routes.items()}, rows)


def layout(edges: Mapping[tuple[str, str], float], first: Collection[str] = ()) -> Layout:
    """Lay out the graph of *edges* (source, target), each with its number of calls. Equal input gives equal places; circles are allowed.

    The nodes *first* stand in the first layer, whoever calls them, and push nobody onward.
    """
    wanted = {edge: calls for edge, calls in edges.items() if edge[0] != edge[1]}
    layer = layers_of(wanted, first)
    chains = {edge: _chain(edge, layer) for edge in wanted}
    columns = _columns(layer, chains)
    near = _neighbours(chains)
    for sweep in range(SWEEPS):
        order = range(1, len(columns)) if sweep % 2 == 0 else range(len(columns) - 2, -1, -1)
        for index in order:
            _sort(columns[index], columns[index - 1 if sweep % 2 == 0 else index + 1], near)
    heights = _heights(columns, near)
    places = {name: (float(index), heights[name]) for index, column in enumerate(columns) for name in column}
    return Layout({name: places[name] for name in layer}, {edge: [places[name] for name in chain] for edge, chain in chains.items()})


def layers_of(edges: Mapping[tuple[str, str], float], first: Collection[str]) -> dict[str, int]:
    """The longest way from a node that nobody calls. Where calls go round in a circle, the edge with the fewest of them goes back."""
    import networkx as nx

    whole = nx.DiGraph()
    whole.add_nodes_from(name for edge in edges for name in edge)
    whole.add_edges_from(edge for edge in edges if not set(edge) & set(first))
    circle = {name: number for number, members in enumerate(nx.strongly_connected_components(whole)) for name in members}
    onward = nx.DiGraph()
    onward.add_nodes_from(whole)
    for source, target in sorted(whole.edges, key=lambda edge: -edges[edge]):
        if circle[source] != circle[target] or not nx.has_path(onward, target, source):
            onward.add_edge(source, target)
    layer = {name: depth for depth, generation in enumerate(nx.topological_generations(onward)) for name in generation}
    return {name: layer[name] for name in whole}


def _chain(edge: tuple[str, str], layer: dict[str, int]) -> list[str]:
    """The edge's ends with a bend in every layer between them; backward edges have their bends too."""
    source, target = edge
    a, b = layer[source], layer[target]
    step = 1 if b >= a else -1
    return [source, *(f"{source}\0{target}\0{depth}" for depth in range(a + step, b, step)), target]


def _columns(layer: dict[str, int], chains: dict[tuple[str, str], list[str]]) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in range(1 + max(layer.values()))]
    for name, depth in layer.items():
        columns[depth].append(name)
    for chain in chains.values():
        for bend in chain[1:-1]:
            columns[int(bend.rsplit("\0", 1)[1])].append(bend)
    return columns


def _neighbours(chains: dict[tuple[str, str], list[str]]) -> dict[str, list[str]]:
    near: dict[str, list[str]] = {}
    for chain in chains.values():
        for one, other in pairwise(chain):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    return near


def _sort(column: list[str], beside: list[str], near: dict[str, list[str]]) -> None:
    rank = {name: index / max(len(beside) - 1, 1) for index, name in enumerate(beside)}
    here = {name: index / max(len(column) - 1, 1) for index, name in enumerate(column)}

    def mean(name: str) -> float:
        ranks = [rank[other] for other in near[name] if other in rank]
        return sum(ranks) / len(ranks) if ranks else here[name]

    column.sort(key=mean)


def _heights(columns: list[list[str]], near: dict[str, list[str]]) -> dict[str, float]:
    """Each name as near to the mean of its neighbours as the order and the room between boxes allow."""
    heights: dict[str, float] = {}
    for column in columns:
        heights.update(_apart(column, {name: index - (len(column) - 1) / 2 for index, name in enumerate(column)}))
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            pull = {name: sum(heights[other] for other in near[name]) / len(near[name]) for name in column}
            heights.update(_apart(column, pull))
    return heights


def _apart(column: list[str], wanted: dict[str, float]) -> dict[str, float]:
    """The nearest heights to *wanted* (least squares) that keep the order and the room: pool neighbours that collide."""
    offsets, total = [], 0.0
    for index, name in enumerate(column):
        if index:
            total += BEND_ROOM if "\0" in name or "\0" in column[index - 1] else 1.0
        offsets.append(total)
    blocks: list[tuple[float, int]] = []  # mean, size
    for name, offset in zip(column, offsets, strict=True):
        mean, size = wanted[name] - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, many = blocks.pop()
            mean, size = (mean * size + other * many) / (size + many), size + many
        blocks.append((mean, size))
    levels = [mean for mean, size in blocks for _ in range(size)]
    return {name: level + offset for name, level, offset in zip(column, levels, offsets, strict=True)}
