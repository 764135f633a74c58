"""Strikes: single faults at one part of a system, whose severity and length stand on ladders of round numbers.

A ladder has a worst end to search with, and steps below it to shrink along; what is written into a plan is then a number that
somebody might have chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.scenario.calls import callees
from sim.scenario.scenario import Scenario

LATENCIES = ("5ms", "10ms", "20ms", "50ms", "100ms", "200ms", "500ms", "1s", "2s", "5s")
FACTORS = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
SURGES = (1.2, 1.5, 2.0, 3.0, 5.0)
SHARES = ("1%", "2%", "5%", "10%", "20%", "50%", "100%")
LOSSES = SHARES[:-1]  # a link that loses everything is a partition
LENGTHS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)  # seconds
ONCE = (None,)


@dataclass(frozen=True)
class Means:
    """A kind of fault. *stops* and *slows* say how surely it does that, at its worst, to what passes the part: a guess (0..1) that only
    decides what is tried first."""

    kind: str
    stops: float
    slows: float
    field: str | None = None  # what its severity is called
    ladder: Sequence[Any] = ONCE
    target: tuple[tuple[str, Any], ...] = ()  # what else its target says
    more: tuple[tuple[str, Any], ...] = ()  # what else it says itself
    momentary: bool = False  # it happens and is over


ON_EDGES = (
    Means("network.partition", 1.0, 0.9, target=(("direction", "both"),)),
    Means("http.abort", 0.95, 0.05, "probability", SHARES, more=(("status", 503),)),
    Means("network.reset", 0.9, 0.05, "probability", SHARES),
    Means("network.delay", 0.8, 1.0, "latency", LATENCIES),
    Means("network.loss", 0.5, 0.9, "loss", LOSSES),
)
ON_WIRES = tuple(means for means in ON_EDGES if means.kind.startswith("network."))  # to what is no service: the registry
ON_INSTANCES = (  # of one service: all of them, or one where there are several
    Means("instance.unavailable", 0.97, 0.05),
    Means("instance.pause", 0.95, 0.95),
    Means("instance.kill", 0.93, 0.1),
    Means("instance.slow", 0.5, 0.9, "factor", FACTORS),
)
ON_STORES = {
    "database": (Means("db.lock", 0.6, 0.7, "share", SHARES),),
    "cache": (Means("cache.flush", 0.1, 0.4, momentary=True),),
    "broker": (Means("broker.slow_consumer", 0.1, 0.3, "delay", LATENCIES),),
}
ON_LOAD = Means("load.surge", 0.5, 0.6, "factor", SURGES)
ON_ZONES = Means("zone.outage", 1.0, 0.5)
ON_REGISTRY = Means("registry.down", 0.2, 0.1)
SHARED = 0.5  # how much a surge of one workload matters to the others, which share the system with it


@dataclass(frozen=True)
class Strike:
    """One fault: by what *means*, and *hits*: which parts it takes how much of. *rung* and *length* say how hard and how long."""

    means: Means
    part: str  # as people are told
    hits: tuple[tuple[str, float], ...]
    target: tuple[tuple[str, Any], ...]
    at: float
    length: int
    rung: int

    @property
    def kind(self) -> str:
        """The kind of fault."""
        return self.means.kind

    def fault(self, name: str) -> dict[str, Any]:
        """As a fault plan writes it."""
        means = self.means
        target = {"target": dict(self.target)} if self.target else {}
        schedule = {"at": f"{self.at:g}s"} if means.momentary else {"at": f"{self.at:g}s", "for": f"{self.length}s"}
        severity = {means.field: means.ladder[self.rung]} if means.field is not None else {}
        return {"name": name, "kind": means.kind, **target, "schedule": schedule, **severity, **dict(means.more)}

    def changed(self, **changes: Any) -> Strike:
        """The same, changed."""
        return replace(self, **changes)


def length_below(seconds: float) -> int:
    """The longest length on the ladder that is not above *seconds*; at least the first."""
    return max([length for length in LENGTHS if length <= seconds], default=LENGTHS[0])


def strikes(scenario: Scenario, seen: Iterable[str], at: float, length: int) -> list[Strike]:
    """Every single strike at its worst: on all edges that the scenario writes down or that were *seen*, on all nodes, zones and loads.

    The front door is left alone: that users who cannot reach the system are not served, nobody needs to be told.
    """
    def strike(means: Means, part: str, hits: dict[str, float], **target: Any) -> Strike:
        whom = tuple({**target, **dict(means.target)}.items()) if target else ()
        return Strike(means, part, tuple(hits.items()), whom, at, length, len(means.ladder) - 1)

    def found() -> Iterator[Strike]:
        for edge in sorted({*_written_edges(scenario), *seen}):
            caller, _, callee = edge.partition("->")
            if caller not in scenario.workloads:
                some = ON_EDGES if callee in scenario.services else ON_WIRES
                yield from (strike(means, edge, {edge: 1.0}, link=edge) for means in some)
        doors = {workload.to for workload in scenario.workloads.values()}
        for name, spec in sorted(scenario.services.items()):
            if name not in doors:
                several = {"mode": "all"} if spec.instances > 1 else {}
                yield from (strike(means, name, {name: 1.0}, service=name, **several) for means in ON_INSTANCES)
                yield from (strike(means, name, {name: 1.0}, service=name) for means in ON_STORES.get(spec.word, ()))
            if name not in doors and spec.instances > 1:
                yield from (strike(means, name, {name: 1 / spec.instances}, service=name, mode="one") for means in ON_INSTANCES)
        for name in sorted(scenario.workloads):
            others = dict.fromkeys(sorted(scenario.workloads), SHARED)
            yield strike(ON_LOAD, name, {**others, name: 1.0}, workload=name)
        for zone in sorted(scenario.network.zones):
            means = replace(ON_ZONES, more=(("zone", zone),))
            yield strike(means, f"zone {zone}", dict(_lost_with(zone, scenario)))
        if scenario.registry is not None:
            yield strike(ON_REGISTRY, "registry", {"registry": 1.0})

    return list(found())


def _written_edges(scenario: Scenario) -> Iterator[str]:
    for name, spec in scenario.services.items():
        yield from (f"{name}->{callee}" for callee in callees(spec) if callee in scenario.services)


def _lost_with(zone: str, scenario: Scenario) -> Iterator[tuple[str, float]]:
    for name, spec in scenario.services.items():
        if spec.zone in (zone, "spread"):
            yield name, 1.0 if spec.zone == zone else 1 / len(scenario.network.zones)
