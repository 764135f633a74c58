"""What arithmetic says of a scenario before it runs: load, utilisation and waiting of each service, and what its policies cost at worst.

Retries, faults and cache misses are left out of the loads, so these are lower bounds; users who wait for their answers ask as often as they
would if nobody had to wait for a worker, which is an upper bound. Waiting is that of M/M/c, or by Allen and Cunneen where arrivals are no
Poisson process or times are not exponential; of times that contain calls only the mean is known. The worst case multiplies along the way:
three attempts here that cause three there are nine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sim.model.gateway import GatewaySpec
from sim.model.mesh import MeshSpec
from sim.resilience.deadline import DeadlineSpec
from sim.resilience.explain import explain_specs
from sim.resilience.policy import PolicySpec, Worst
from sim.resilience.timeout import TimeoutSpec
from sim.scenario.calls import Operation, callees, runs
from sim.scenario.flow import Flow, workers
from sim.scenario.hints import mesh_warnings
from sim.scenario.scenario import Scenario
from sim.scenario.times import moments, own_law
from sim.scenario.walk import word_of, written
from sim.spec import Spec

MOST_SERVERS = 10_000  # of which a waiting probability is reckoned; more never let anybody wait


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits in M/M/c; *load* is in erlangs, below *servers*.

    By the recursion of Erlang's B formula. Source: Kleinrock, Queueing Systems I, eq. 3.40.
    """
    blocked = 1.0
    for c in range(1, servers + 1):
        blocked = load * blocked / (c + load * blocked)
    return servers * blocked / (servers - load * (1 - blocked))


def mean_wait(servers: int, load: float, time: float, dispersion: float = 1.0, peak: float = math.inf, spread: float = 1.0) -> float:
    """Of M/M/c, in the unit of *time* (of service), for arrivals of that *dispersion* (1: Poisson's); inf if they are too many.

    *spread* is the squared coefficient of variation of the times (1: exponential ones, 0: constant ones).

    By Allen and Cunneen, but not longer than if they came at *peak* times their rate all the time, and that as a Poisson process: for long
    bursts that overload nothing. Source: Allen, Probability, Statistics, and Queueing Theory, 2nd ed., 5.3.
    """
    if servers > MOST_SERVERS:
        return 0.0
    if load >= servers:
        return math.inf
    wait = erlang_c(servers, load) * time / (servers - load) * (dispersion + spread) / 2
    return min(wait, mean_wait(servers, load * peak, time, spread=spread)) if peak > 1 else wait


@dataclass(frozen=True)
class ServiceLoad:
    """One node: *rate* in requests/s, *time* in seconds that each holds a worker, *wait* for one (inf: overloaded, None: unknown)."""

    name: str
    kind: str
    rate: float
    time: float
    busy: float
    workers: float
    wait: float | None
    worst_arrivals: float  # per user request, if every retry happens
    known: bool  # False: its code decides what it does

    @property
    def utilisation(self) -> float | None:
        """Busy workers of all; None where nothing limits them."""
        return self.busy / self.workers if math.isfinite(self.workers) and self.workers else None


@dataclass(frozen=True)
class EdgeCost:
    """One call edge: *rate* in calls/s, the words of its *policies*, attempts and seconds that a call costs at worst."""

    name: str
    rate: float
    policies: Sequence[str]
    attempts: float
    latency: float
    warnings: Sequence[str]


@dataclass(frozen=True)
class Reckoning:
    """All of it; *bottleneck* is the node that saturates first, *headroom* by how much the load may grow until then (inf: nothing does).

    Of *closed* workloads the load is an upper bound.
    """

    services: Sequence[ServiceLoad]
    edges: Sequence[EdgeCost]
    bottleneck: str | None
    headroom: float
    closed: Sequence[str]


def reckon(scenario: Scenario) -> Reckoning:
    """The arithmetic of *scenario*."""
    flow = Flow(scenario)
    requests = flow.rates()
    demand = flow.load(requests)
    calls = demand.calls if demand is not None else {}
    busy = demand.busy if demand is not None else {}
    edges = _edges(scenario, flow, requests, calls)
    arrivals = _worst_arrivals(scenario, edges)
    rates: dict[str, float] = defaultdict(float)
    for operation, rate in calls.items():
        rates[operation.node] += rate
    uneven = _unevenness(scenario, edges, rates)
    services = [_load(scenario, name, rates[name], busy.get(name, 0.0), uneven[name], _spread(flow, name, calls), arrivals.get(name, 0.0))
                for name in scenario.services]
    loaded = [(load.utilisation, load.name) for load in services if load.utilisation]
    highest = max(loaded, default=None)
    closed = [name for name, workload in scenario.workloads.items() if workload.mean_rate(scenario.duration) is None]
    return Reckoning(services, edges, highest[1] if highest else None, 1 / highest[0] if highest and highest[0] else math.inf, closed)


def _load(scenario: Scenario, name: str, rate: float, busy: float, uneven: Uneven, spread: float, worst: float) -> ServiceLoad:
    spec = scenario.services[name]
    there = workers(spec)
    time = busy / rate if rate else 0.0
    known = not spec.has_user_code()
    wait: float | None = None
    if known and spec.instances and rate and math.isfinite(spread):
        wait = mean_wait(spec.workers_each(), busy / spec.instances, time, 1 + uneven.excess / spec.instances, uneven.peak, spread)
    return ServiceLoad(name, spec.word, rate, time, busy, there, wait, worst, known)


def _spread(flow: Flow, name: str, calls: Mapping[Operation, float]) -> float:
    """Squared coefficient of variation of how long requests keep a worker of *name*; 1, as in M/M/c, where nobody knows it."""
    spec = flow.directory.nodes[name]
    law = own_law(spec)
    if law is not None:
        told = (site for operation in calls for site in flow.calls(operation) if site.callee.node == name)
        return 1.0 if any(site.holds is not None or site.steps for site in told) else law.scv()
    mean = square = 0.0
    for operation, rate in calls.items():
        if operation.node == name:
            lists = [steps for _, steps in runs(spec, operation.key, ())]
            found = moments(lists[0]) if len(lists) == 1 else None
            if found is None:
                return 1.0
            mean, square = mean + rate * found[0], square + rate * found[1]
    total = sum(rate for operation, rate in calls.items() if operation.node == name)
    return max(0.0, square * total / mean**2 - 1) if mean else 1.0


def _edges(scenario: Scenario, flow: Flow, requests: Mapping[str, float], calls: Mapping[Operation, float]) -> list[EdgeCost]:
    rates = {(name, scenario.workloads[name].to): rate for name, rate in requests.items()}
    for operation, rate in calls.items():
        for site in [*flow.calls(operation), *flow.deliveries(operation)]:
            key = (operation.node, site.callee.node)
            rates[key] = rates.get(key, 0.0) + rate * site.times
    for name, spec in scenario.services.items():  # and what is called only now and then: fallbacks, misses, compensations
        for callee in callees(spec):
            rates.setdefault((name, callee), 0.0)
    return [_edge(scenario, caller, callee, rate) for (caller, callee), rate in rates.items()]


def _edge(scenario: Scenario, caller: str, callee: str, rate: float) -> EdgeCost:
    """Where a gateway has several routes to one service, the policies are those of the route whose calls may take longest."""
    mesh = _mesh(scenario, caller, callee)
    inside = mesh.policies() if mesh is not None else []
    attempt = explain_specs(inside)
    ways = [(explain_specs(policies, Worst(attempt.attempts, attempt.latency)), policies) for policies in _ways(scenario, caller, callee)]
    longest, policies = max(ways, key=lambda way: way[0].latency)
    attempts = max(worst.attempts for worst, _ in ways)
    warnings = [warning for worst, _ in ways for warning in worst.warnings] + list(mesh_warnings(mesh) if mesh is not None else ())
    words = [*map(word_of, policies), *(f"mesh {word_of(policy)}" for policy in inside)]
    return EdgeCost(f"{caller}->{callee}", rate, words, attempts, longest.latency, list(dict.fromkeys(warnings)))


def _mesh(scenario: Scenario, caller: str, callee: str) -> MeshSpec | None:
    """What the sidecar of *caller*, if it has one, does with calls of *callee*."""
    nodes = scenario.nodes()
    return nodes[callee].mesh if caller in nodes and nodes[caller].mesh is not None else None


def _ways(scenario: Scenario, caller: str, callee: str) -> list[list[PolicySpec]]:
    """The policies around calls of *callee*, outermost first: one list, or one for each route of a gateway."""
    if caller in scenario.workloads:
        workload = scenario.workloads[caller]
        patience = [TimeoutSpec.model_construct(duration=workload.timeout)] if workload.timeout is not None else []
        return [[*patience, *workload.policies]]
    spec = scenario.services[caller]
    own = list(spec.uses[callee].policies) if callee in spec.uses else []
    routes = spec.routes if isinstance(spec, GatewaySpec) else []
    return [[*([DeadlineSpec.model_construct(duration=limit)] if limit is not None else []), *policies, *own]
            for route in routes for limit, policies in route.ways(callee)] or [own]


class Uneven(NamedTuple):
    """How arrivals differ from a Poisson process: what their dispersion has beyond 1, and their peak (times their mean rate)."""

    excess: float
    peak: float


def _unevenness(scenario: Scenario, edges: Sequence[EdgeCost], rates: Mapping[str, float]) -> dict[str, Uneven]:
    """Of each service. Streams add up, and what requests cause comes as unevenly as they do; but who is more even than a Poisson process
    does not stay so on the way. What queues smooth is left out."""
    callers: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for edge in edges:
        caller, _, callee = edge.name.partition("->")
        if edge.rate:
            callers[callee].append((caller, edge.rate))
    found: dict[str, Uneven] = {}

    def uneven(node: str, seen: frozenset[str]) -> Uneven:
        if node in scenario.workloads:
            workload = scenario.workloads[node]
            return Uneven(workload.dispersion(scenario.duration) - 1, workload.peak())
        if node in seen:
            return Uneven(0.0, 1.0)
        if node not in found:
            excess = peak = total = 0.0
            for caller, rate in callers[node]:
                theirs = uneven(caller, seen | {node})
                each = rate / rates.get(caller, rate)  # calls for each request; a workload makes its own
                excess += rate * each * (theirs.excess if caller in scenario.workloads else max(theirs.excess, 0.0))
                peak += rate * theirs.peak
                total += rate
            found[node] = Uneven(excess / total, peak / total) if total else Uneven(0.0, 1.0)
        return found[node]

    return {name: uneven(name, frozenset()) for name in scenario.services}


def _tries(scenario: Scenario, caller: str, callee: str) -> int:
    """How often a step of *caller* appends to the event store of *callee* if others are faster each time."""
    parts = (part for _, part in written(scenario.services.get(caller), ()))
    steps: list[Any] = [part for part in parts if isinstance(part, Spec) and word_of(part) == "append"]
    return 1 + max((step.retries for step in steps if step.to == callee and step.expect_version), default=0)


def _worst_arrivals(scenario: Scenario, edges: Sequence[EdgeCost]) -> dict[str, float]:
    """Attempts that reach each node for one user request, if everything is retried; inf in a circle."""
    callers: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for edge in edges:
        caller, _, callee = edge.name.partition("->")
        callers[callee].append((caller, edge.attempts * _tries(scenario, caller, callee)))
    found: dict[str, float] = {}

    def arrivals(node: str, seen: frozenset[str]) -> float:
        if node in scenario.workloads:
            return 1.0
        if node in seen:
            return math.inf
        if node not in found:
            found[node] = max((times * arrivals(caller, seen | {node}) for caller, times in callers[node]), default=0.0)
        return found[node]

    for name in scenario.services:
        arrivals(name, frozenset())
    return found
