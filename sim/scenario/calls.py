"""Who calls whom: the targets that a scenario names, and the operations that they lead to.

An operation is a node with the endpoint (or, at a gateway, the path) that a request reaches there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sim.mistakes import Loc
from sim.model.gateway import GatewaySpec, RouteSpec
from sim.model.health import PATH as HEALTH
from sim.model.messaging import DELIVER, Subscription
from sim.model.node import NodeSpec
from sim.model.paths import Routes, Target, is_pattern
from sim.model.service import ServiceSpec
from sim.model.steps import Step
from sim.model.subjects import matches
from sim.scenario.scenario import Scenario
from sim.spec import Spec

from .walk import word_of, written

OWN_HEALTH = "GET " + HEALTH  # what services and gateways answer by themselves
_DRAWN = re.compile(r"\{[^{}]*\}")

# steps that name a node of one kind by its name alone: the field, and the kind
BY_NAME = {
    "query": ("database", "database"), "append": ("to", "database"), "project": ("from", "database"), "cache": ("in", "cache"),
    "publish": ("to", "broker"),
}
EVENT_STEPS = ("append", "project")  # of those, the ones about the event store in a database


@dataclass(frozen=True)
class Reference:
    """A place that names a node; *wants* is the kind it must be, if only one will do for the step *word*."""

    loc: Loc
    target: Target
    wants: str = ""
    word: str = ""


class Operation(NamedTuple):
    """What a request reaches: *key* is the endpoint as the scenario spells it, or a path where the node has no list of endpoints."""

    node: str
    key: str

    def __str__(self) -> str:
        return f"{self.node} {self.key}".rstrip()


def references(spec: Spec, loc: Loc) -> Iterator[Reference]:
    """Every node that *spec*, which stands at *loc*, names as somebody to call."""
    for place, part in written(spec, loc):
        if isinstance(part, Target):
            yield Reference(place, part)
        elif isinstance(part, RouteSpec):
            yield from (Reference((*place, "to") if name == part.to else (*place, "split", name), Target(name, "", ""))
                        for name in part.services)
        elif isinstance(part, Step) and word_of(part) in BY_NAME:
            field, kind = BY_NAME[word_of(part)]
            yield from (Reference((*place, field), target, kind, word_of(part)) for target in part.targets())


def callees(spec: NodeSpec) -> list[str]:
    """Everybody whom a node calls, or says how it would."""
    return list(dict.fromkeys([*(reference.target.node for reference in references(spec, ())), *spec.uses]))


class Directory:
    """Finds operations in a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.nodes = scenario.nodes()
        self._routes: dict[str, Routes[str] | None] = {}

    def kind(self, node: str) -> str:
        """The `kind` of a node, as the scenario writes it."""
        return str(getattr(self.nodes[node], "kind", self.nodes[node].word))

    def of_kind(self, kind: str) -> list[str]:
        """The names of all nodes of a kind."""
        return [name for name in self.nodes if self.kind(name) == kind]

    def routes(self, node: str) -> Routes[str] | None:
        """What *node* listens on; None if it answers whatever comes."""
        if node not in self._routes:
            self._routes[node] = _routes(self.nodes[node])
        return self._routes[node]

    def find(self, target: Target) -> Operation | None:
        """The operation that a request to *target* reaches, None if that is a 404."""
        routes, path = self.routes(target.node), concrete(target.path)
        if routes is None:
            return Operation(target.node, target.operation)
        found = routes.find(target.method, path)
        if found is None:
            return Operation(target.node, OWN_HEALTH) if f"{target.method} {path.partition('?')[0]}" == OWN_HEALTH else None
        return Operation(target.node, f"{target.method} {path}" if self.kind(target.node) == "gateway" else found)

    def broker(self, name: str | None) -> str | None:
        """The broker called *name*, or the only one; None where that is not so."""
        brokers = self.of_kind("broker")
        if name is not None:
            return name if name in brokers else None
        return brokers[0] if len(brokers) == 1 else None

    def subscribers(self, broker: str, subject: str) -> Iterator[tuple[str, str, float]]:
        """Who gets what is published as *subject*: the service, by which pattern, and how many of the messages."""
        groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for name, spec in self.nodes.items():
            for pattern, subscription in subscriptions(spec).items():
                if self.broker(subscription.broker) == broker and matches(pattern, concrete(subject)):
                    if subscription.everyone:
                        yield name, pattern, float(spec.instances)
                    else:
                        groups.setdefault((pattern, subscription.group or name), []).append((name, pattern))
        for members in groups.values():
            together = sum(self.nodes[name].instances for name, _ in members)
            yield from ((name, pattern, self.nodes[name].instances / together) for name, pattern in members if together)

    def behind(self, gateway: Operation) -> Iterator[tuple[float, Target]]:
        """Whom a request at a gateway is passed on to, and how often."""
        spec = self.nodes[gateway.node]
        routes = self.routes(gateway.node)
        assert isinstance(spec, GatewaySpec)
        assert routes is not None
        method, _, path = gateway.key.partition(" ")
        index = routes.find(method, path)
        if not index:
            return
        route = spec.routes[int(index)]
        weights = route.split or dict.fromkeys(route.services, 1)
        for name, weight in weights.items():
            if name in self.nodes:
                yield weight / sum(weights.values()), Target(name, method, self._inner(spec, path, name))
        yield from ((1.0, part.send) for part in (route.compose or {}).values())

    def _inner(self, spec: GatewaySpec, path: str, node: str) -> str:
        prefix = spec.strip_prefix
        routes = self.routes(node)
        if not prefix or not path.startswith(f"{prefix}/") or (routes is not None and routes.methods_of(path)):
            return path
        return path.removeprefix(prefix)


def runs(spec: NodeSpec, key: str, loc: Loc) -> Iterator[tuple[Loc, list[Step]]]:
    """The lists of steps behind an operation of *spec*, which stands at *loc*, and where they stand; those of checks run side by side."""
    if key in spec.calls():
        yield (*loc, "endpoints", key), spec.calls()[key]
    elif key == OWN_HEALTH and isinstance(spec, ServiceSpec) and spec.health is not None:
        yield from (((*loc, "health", "checks", name), steps) for name, steps in spec.health.checks.items())
    elif isinstance(spec, ServiceSpec) and key.startswith(delivery("")):
        yield from (((*loc, "subscribe", pattern), subscription.do) for pattern, subscription in spec.subscribe.items()
                    if key == delivery(pattern))


def delivery(pattern: str) -> str:
    """The key of the operation that handles what comes by a subscription to *pattern*."""
    return f"{DELIVER} {pattern}"


def subscriptions(spec: NodeSpec) -> dict[str, Subscription]:
    """By pattern: those that its `subscribe` lists, and those of its code."""
    listed = spec.subscribe if isinstance(spec, ServiceSpec) else {}
    return {**spec.code_subscriptions(), **{pattern: subscription.subscription() for pattern, subscription in listed.items()}}


def concrete(path: str) -> str:
    """A path as a request may have it: what is drawn stands there as 1."""
    return _DRAWN.sub("1", path)


def _routes(spec: NodeSpec) -> Routes[str] | None:
    routes: Routes[str] = Routes()
    if isinstance(spec, GatewaySpec):
        for index, route in sorted(enumerate(spec.routes), key=lambda route: is_pattern(route[1].path)):
            for method in route.methods or ["*"]:
                routes.add(method, route.path, str(index))
        if not any(route.path == HEALTH and "GET" in (route.methods or ["GET"]) for route in spec.routes):
            routes.add("GET", HEALTH, "")  # no pattern takes it
        return routes
    if not isinstance(spec, ServiceSpec) or not spec.endpoints:
        return None
    for endpoint in spec.endpoints:
        method, _, path = endpoint.partition(" ")
        routes.add(method, path, endpoint)
    return routes
