"""Strikes: single faults at one part of a system, whose severity and length stand on ladders of round numbers.

A ladder has a worst end to search with, and steps below it to shrink along; what is written into a plan is then a number that
somebody might have chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.lab.explore.support import Support
from sim.scenario.scenario import Scenario

LATENCIES = ("5ms", "10ms", "20ms", "50ms", "100ms", "200ms", "500ms", "1s", "2s", "5s")
FACTORS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
SURGES = (1.2, 1.5, 2.0, 3.0, 5.0)
SHARES = ("1%", "2%", "5%", "10%", "20%", "50%", "100%")
LENGTHS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)  # seconds
ONCE = (None,)


@dataclass(frozen=True)
class Strike:
    """One fault. *field* is what its severity is called, *ladder* its values; *rung* and *length* say how hard and how long."""

    kind: str
    part: str  # the edge, node or workload that it hits
    target: tuple[tuple[str, Any], ...]
    field: str | None
    ladder: Sequence[Any]
    rung: int
    at: float
    length: int
    weight: float
    more: tuple[tuple[str, Any], ...] = ()
    momentary: bool = False  # it happens and is over

    def fault(self, name: str) -> dict[str, Any]:
        """As a fault plan writes it."""
        schedule = {"at": f"{self.at:g}s"} if self.momentary else {"at": f"{self.at:g}s", "for": f"{self.length}s"}
        severity = {self.field: self.ladder[self.rung]} if self.field is not None else {}
        return {"name": name, "kind": self.kind, "target": dict(self.target), "schedule": schedule, **severity, **dict(self.more)}

    def smaller(self, **changes: Any) -> Strike:
        """The same, changed."""
        return replace(self, **changes)


def length_below(seconds: float) -> int:
    """The longest length on the ladder that is not above *seconds*; at least the first."""
    return max([length for length in LENGTHS if length <= seconds], default=LENGTHS[0])


def strikes(scenario: Scenario, support: Support, at: float, length: int) -> list[Strike]:
    """Every single strike at its worst, the most promising first: how many requests pass the part, times how surely it stops them.

    The front door is left alone: that users who cannot reach the system are not served, nobody needs to be told.
    """
    found = [*_on_edges(scenario, support, at, length), *_on_nodes(scenario, support, at, length), *_on_load(scenario, at, length)]
    return sorted(found, key=lambda strike: (-strike.weight, strike.part, strike.kind))


def _on_edges(scenario: Scenario, support: Support, at: float, length: int) -> Iterator[Strike]:
    for edge, share in sorted(support.edges.items()):
        if edge.partition("->")[0] in scenario.workloads:
            continue
        reach = share * (0.3 if edge in support.soft else 1.0)
        link = (("link", edge), ("direction", "both"))
        there = (("link", edge), ("direction", "to"))
        yield Strike("network.partition", edge, link, None, ONCE, 0, at, length, reach)
        yield Strike("network.delay", edge, there, "latency", LATENCIES, len(LATENCIES) - 1, at, length, 0.9 * reach)
        yield Strike("network.loss", edge, there, "loss", SHARES, len(SHARES) - 2, at, length, 0.6 * reach)
        unavailable = (("status", 503),)
        yield Strike("http.abort", edge, (("link", edge),), "probability", SHARES, len(SHARES) - 1, at, length, 0.95 * reach, unavailable)


def _on_nodes(scenario: Scenario, support: Support, at: float, length: int) -> Iterator[Strike]:
    doors = {workload.to for workload in scenario.workloads.values()}
    for name, spec in sorted(scenario.services.items()):
        reach = support.nodes.get(name, 0.0)
        if not reach or name in doors:
            continue
        if all(edge in support.soft for edge in support.edges if edge.endswith(f"->{name}")):
            reach *= 0.3
        everyone = (("service", name), ("mode", "all"))
        one = (("service", name), ("mode", "one"))
        yield Strike("instance.pause", name, everyone, None, ONCE, 0, at, length, 0.95 * reach)
        yield Strike("instance.unavailable", name, everyone, None, ONCE, 0, at, length, 0.97 * reach)
        yield Strike("instance.slow", name, everyone, "factor", FACTORS, len(FACTORS) - 1, at, length, 0.85 * reach)
        if spec.instances > 1:
            yield Strike("instance.pause", name, one, None, ONCE, 0, at, length, 0.9 * reach / spec.instances)
            yield Strike("instance.slow", name, one, "factor", FACTORS, len(FACTORS) - 1, at, length, 0.7 * reach / spec.instances)
            restart = (("restart_after", f"{length}s"),)
            yield Strike("instance.kill", name, one, None, ONCE, 0, at, length, 0.8 * reach / spec.instances, restart, momentary=True)
        if spec.word == "cache":
            yield Strike("cache.flush", name, (("service", name),), None, ONCE, 0, at, length, 0.5 * reach, momentary=True)


def _on_load(scenario: Scenario, at: float, length: int) -> Iterator[Strike]:
    for name in sorted(scenario.workloads):
        target = (("workload", name),)
        yield Strike("load.surge", name, target, "factor", SURGES, len(SURGES) - 1, at, length, 0.7 / len(scenario.workloads))
