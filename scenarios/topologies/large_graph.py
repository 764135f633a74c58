"""Generates a large system: a thousand services in five thousand instances, whose calls go six levels deep.

    python -m scenarios.topologies.large_graph > large.yaml
    mesocosm run large.yaml

The shape follows what is published of large systems (Luo et al., SoCC 2021, on Alibaba's traces): of the services 13 % are entered
from outside, 48 % are in the middle, 39 % call nobody; a service calls a few others and some call many, the same ones are called by
many, and a call graph is a tree of a handful of levels. The same numbers and seed give the same text.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

ENTRIES, LEAVES = 0.13, 0.39  # shares of the services
MOST_CHILDREN = 10
RATE = 500  # requests per second


class Made(NamedTuple):
    """A service: its level (0: entered from outside), its instances and whom it calls."""

    name: str
    level: int
    instances: int
    calls: list[str]


def services(number: int, instances: int, depth: int, seed: int) -> list[Made]:
    """*number* services with *instances* in all; the longest chain of calls has *depth* of them."""
    dice = Random(seed)
    entries, leaves = max(1, round(ENTRIES * number)), max(1, round(LEAVES * number))
    levels = [0] * entries + [1 + index % (depth - 2) for index in range(number - entries - leaves)] + [depth - 1] * leaves
    names = [f"s{index:04d}" for index in range(number)]
    by_level = {level: [name for name, at in zip(names, levels, strict=True) if at == level] for level in range(depth)}
    shares = [dice.paretovariate(1.5) for _ in names]  # most services are small, and a few are large
    counts = _apportioned(instances, shares)
    return [Made(name, level, count, _children(by_level, level, depth, dice))
            for name, level, count in zip(names, levels, counts, strict=True)]


def _apportioned(total: int, shares: list[float]) -> list[int]:
    """Whole numbers, each at least 1, that add up to *total* and follow the shares."""
    spare, whole = total - len(shares), sum(shares)
    counts, given, reached = [], 0, 0.0
    for share in shares:
        reached += share
        upto = round(spare * reached / whole)
        counts.append(1 + upto - given)
        given = upto
    return counts


def _children(by_level: dict[int, list[str]], level: int, depth: int, dice: Random) -> list[str]:
    """One on the next level, so that chains reach the bottom; now and then some more on any level below. Few are called by many."""
    if level == depth - 1:
        return []
    below = by_level[level + 1] or by_level[depth - 1]
    children = [_popular(below, dice)]
    more = min(MOST_CHILDREN - 1, int(dice.paretovariate(1.6)) - 1)
    children.extend(_popular(by_level[dice.randrange(level + 1, depth)] or below, dice) for _ in range(more))
    return children


def _popular(names: list[str], dice: Random) -> str:
    """Some are called far more often than others."""
    return names[min(int(len(names) * dice.random() ** 2), len(names) - 1)]


def large_graph(number: int = 1000, instances: int = 5000, depth: int = 6, rate: float = RATE, duration: float = 60, seed: int = 1) -> str:
    """The scenario as YAML."""
    made = services(number, instances, depth, seed)
    entries = [one.name for one in made if one.level == 0]
    lines = [
        f"name: large-graph-{number}",
        f"title: A graph of {number} services in {instances} instances",
        f"seed: {seed}",
        f"duration: {duration:g}s",
        "network: {default: {latency: {exponential: 300us}}}",
        "services:",
        "  edge:",
        "    kind: gateway",
        "    instances: 4",
        "    routes:",
        *(f"      - {{path: /api/{name}, to: {name}}}" for name in entries),
        *(line for one in made for line in _service(one)),
        "workloads:",
        "  users:",
        "    executor: constant-arrival-rate",
        f"    rate: {rate:g}/s",
        "    to: edge",
        "    timeout: 5s",
        "    mix:",
        *(f"      - {{send: GET /api/{name}}}" for name in entries),
    ]
    return "\n".join(lines) + "\n"


def _service(one: Made) -> list[str]:
    calls = "".join(f", {{call: {callee} GET /{callee}}}" for callee in one.calls)
    steps = f"[{{work: {{exponential: 1ms}}}}{calls}]"
    return [f"  {one.name}:", f"    instances: {one.instances}", f"    endpoints: {{GET /{one.name}: {steps}}}"]


if __name__ == "__main__":
    print(large_graph(), end="")
