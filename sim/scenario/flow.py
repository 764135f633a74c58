"""The arithmetic of a scenario before it runs: how often each operation is called, and how long each takes without any queueing.

Policies, faults and cache misses are left out: no retry is counted, every look-up is a hit, and of steps side by side the mean of the
longest is taken, so all figures are lower bounds for a given number of requests.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sim.mistakes import Loc
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.model.steps import Publish, Step
from sim.scenario.scenario import Scenario
from sim.workload.workload import WorkloadSpec

from .calls import OWN_HEALTH, Directory, Operation, delivery, runs
from .times import own_time, query_time, statements, steps_of, steps_time, sure_calls, transaction

BEYOND_RECKONING = 1e15  # calls
NEGLIGIBLE = 1e-6
ROUNDS = 10_000


@dataclass(frozen=True)
class CallSite:
    """A call that one request to an operation makes *times* on average; *loc* is where it is written.

    *holds* is how long it keeps a worker of the callee, in seconds, if the call says so itself. A transaction keeps it for as long as its
    *steps* take. Nobody *waits* for the answer where there is none.
    """

    callee: Operation
    times: float
    loc: Loc
    holds: float | None = None
    steps: Sequence[Step] = ()
    waits: bool = True


@dataclass
class Demand:
    """What the workloads ask for: *calls* of each operation, and *busy* worker-seconds of each node."""

    calls: dict[Operation, float] = field(default_factory=lambda: defaultdict(float))
    busy: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class Flow:
    """What a scenario's workloads ask of its operations."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.directory = Directory(scenario)
        self._sites: dict[Operation, list[CallSite]] = {}
        self._deliveries: dict[Operation, list[CallSite]] = {}
        self._times: dict[Operation, float] = {}

    def entries(self, workload: WorkloadSpec) -> Iterator[tuple[float, Operation]]:
        """The operations that a workload asks for, with their shares of its requests; requests that nothing answers are left out."""
        total = sum(send.weight for send in workload.mix)
        for send in workload.mix:
            operation = self.directory.find(Target(workload.to, send.send.method, send.send.path))
            if operation is not None:
                yield send.weight / total, operation

    # who calls whom

    def calls(self, operation: Operation) -> list[CallSite]:
        """What one request to *operation* calls."""
        if operation not in self._sites:
            self._sites[operation] = list(self._calls(operation))
        return self._sites[operation]

    def _calls(self, operation: Operation) -> Iterator[CallSite]:
        if self.directory.kind(operation.node) == "gateway":
            for share, target in self.directory.behind(operation):
                yield from self._site(target, share, ("services", operation.node))
        for times, step, place in self._steps(operation):
            yield from self._step_calls(step, times, place)

    def _steps(self, operation: Operation) -> Iterator[tuple[float, Step, Loc]]:
        """What one request to *operation* does: each step with how often, and its place; not the statements of a transaction, for which
        their transaction stands."""
        spec = self.directory.nodes[operation.node]
        for at, steps in runs(spec, operation.key, ("services", operation.node)):
            within: set[int] = set()
            for times, step, place in steps_of(steps, at, 1.0):
                if id(step) not in within:
                    within.update(map(id, statements(step)))
                    yield times, step, place

    def _step_calls(self, step: Step, times: float, loc: Loc) -> Iterator[CallSite]:
        if isinstance(step, Publish):
            broker = self.directory.broker(step.to)
            if broker is not None:
                confirms = getattr(self.directory.nodes[broker], "delivery", "") == "at_least_once"
                waits = confirms if step.confirm is None else step.confirm
                yield CallSite(Operation(broker, step.subject), times, loc, waits=waits)
            return
        for target in sure_calls(step):
            yield from self._site(target, times, loc, query_time(step), transaction(step))

    def _site(self, target: Target, times: float, loc: Loc, holds: float | None = None, steps: Sequence[Step] = ()) -> Iterator[CallSite]:
        callee = self.directory.find(target) if target.node in self.directory.nodes else None
        if callee is not None:
            yield CallSite(callee, times, loc, holds, steps)

    # who is told by messages

    def deliveries(self, operation: Operation) -> list[CallSite]:
        """The messages that somebody handles for each one that is published by *operation* of a broker, which is its subject."""
        if self.directory.kind(operation.node) != "broker":
            return []
        if operation not in self._deliveries:
            self._deliveries[operation] = [CallSite(Operation(to, delivery(pattern)), times, ("services", to, "subscribe", pattern))
                                           for to, pattern, times in self.directory.subscribers(operation.node, operation.key)]
        return self._deliveries[operation]

    def operations(self) -> Iterator[Operation]:
        """Everything that a request can reach by a list of steps."""
        return (Operation(name, key) for name, spec in self.directory.nodes.items() for key in (*spec.calls(), OWN_HEALTH)
                if any(runs(spec, key, ())))

    def cycles(self) -> Iterator[list[CallSite]]:
        """Calls that lead back to where they began, at every request."""
        return (cycle for _, cycle in self._explore(self.operations(), lambda site: site.times >= 1) if cycle)

    def _explore(self, roots: Iterable[Operation], follow: Callable[[CallSite], bool]) -> Iterator[tuple[Operation, list[CallSite]]]:
        """Depth first, without recursion: each operation when all that it calls is done, and each way round with its calls."""
        entered: set[Operation] = set()
        for root in roots:
            path: list[Operation] = []
            sites: list[CallSite] = []
            pending = [iter([CallSite(root, 1.0, ())])]
            while pending:
                site = next((site for site in pending[-1] if follow(site)), None)
                if site is None:
                    pending.pop()
                    if path:
                        sites.pop()
                        yield path.pop(), []
                elif site.callee in path:
                    yield site.callee, [*sites[path.index(site.callee) + 1 :], site]
                elif site.callee not in entered:
                    entered.add(site.callee)
                    path.append(site.callee)
                    sites.append(site)
                    pending.append(iter(self.calls(site.callee)))

    # how often

    def rates(self) -> dict[str, float]:
        """Requests per second of each workload on average. Users who wait for their answers ask as if nobody waited for a worker: an upper
        bound."""
        return {name: self._rate(name, workload) for name, workload in self.scenario.workloads.items()}

    def _rate(self, name: str, workload: WorkloadSpec) -> float:
        if workload.to not in self.directory.nodes:
            return 0.0
        answer = self.way(name, workload.to) + sum(share * self.time(operation) for share, operation in self.entries(workload))
        return workload.rate_if_answered_in(answer, self.scenario.duration)

    def load(self, requests: Mapping[str, float]) -> Demand | None:
        """As `demand`, with the work on messages; without it, where messages cause messages without end."""
        return self.demand(requests, self.deliveries) or self.demand(requests)

    def demand(self, requests: Mapping[str, float], also: Callable[[Operation], list[CallSite]] = lambda operation: []) -> Demand | None:
        """What is asked for when each workload makes so many *requests*; None where calls multiply beyond all bounds."""
        demand = Demand()
        wave: dict[Operation, float] = defaultdict(float)
        for name, workload in self.scenario.workloads.items():
            if workload.to in self.directory.nodes:
                for share, operation in self.entries(workload):
                    wave[operation] += share * requests[name]
                    demand.busy[operation.node] += share * requests[name] * self.time(operation)
        for _ in range(ROUNDS):
            if not wave:
                return demand
            wave = self._next_wave(wave, demand, also)
            if sum(demand.calls.values()) > BEYOND_RECKONING:
                return None
        return None

    def _next_wave(self, wave: dict[Operation, float], demand: Demand,
                   also: Callable[[Operation], list[CallSite]]) -> dict[Operation, float]:
        following: dict[Operation, float] = defaultdict(float)
        for operation, times in wave.items():
            demand.calls[operation] += times
            for site in [*self.calls(operation), *also(operation)]:
                following[site.callee] += times * site.times
                self.time(site.callee)  # and so that of all that it calls
                demand.busy[site.callee.node] += times * site.times * self._held(operation.node, site)
        return {operation: times for operation, times in following.items() if times > NEGLIGIBLE}

    # how long

    def time(self, operation: Operation) -> float:
        """Mean seconds from its start to its answer, if nothing has to wait; calls downstream and the links to them included."""
        if operation not in self._times:
            for done, _ in self._explore([operation], lambda site: site.callee not in self._times):
                self._times.setdefault(done, self._time(done))
        return self._times[operation]

    def _time(self, operation: Operation) -> float:
        spec = self.directory.nodes[operation.node]
        own = own_time(spec)
        if own is not None:
            return own
        lists = [steps for _, steps in runs(spec, operation.key, ())]
        if lists:
            return max(steps_time(steps, lambda step: self._call_time(step, operation.node)) for steps in lists)
        passed_on = [(site.times, self._round_trip(operation.node, site)) for site in self.calls(operation)]
        shared = sum(share * trip for share, trip in passed_on if share < 1)  # by a split; what is composed is asked side by side
        return max([shared, *(trip for share, trip in passed_on if share >= 1)])

    def _call_time(self, step: Step, node: str) -> float:
        return sum(self._round_trip(node, site) for site in self._step_calls(step, 1.0, ()) if site.waits)

    def _round_trip(self, caller: str, site: CallSite) -> float:
        return self.way(caller, site.callee.node) + self._held(caller, site)

    def _held(self, caller: str, site: CallSite) -> float:
        """How long it keeps a worker of the callee; 0 for calls that come back, which are not followed."""
        if site.steps:  # and until word of their end has come
            return steps_time(list(site.steps), lambda step: self._call_time(step, caller)) + self.way(caller, site.callee.node)
        own = own_time(self.directory.nodes[site.callee.node]) if site.holds is None else site.holds
        return self._times.get(site.callee, 0.0) if own is None else own

    def way(self, caller: str, callee: str) -> float:
        """Mean seconds of a message there and one back, through the sidecars at both ends."""
        network, nodes = self.scenario.network, self.directory.nodes
        meshes = [nodes[end].mesh for end in (caller, callee) if end in nodes]
        sidecars = sum(mesh.sidecar.latency.expectation() for mesh in meshes if mesh is not None)
        return sum(link.latency.expectation() + sidecars for link in (network.link(caller, callee), network.link(callee, caller)))


def workers(spec: NodeSpec) -> float:
    """Requests that all instances of a node serve at once, scaled out as far as it goes; infinite where nothing limits them."""
    each, scale = spec.workers_each(), getattr(spec, "autoscale", None)
    return float((scale.max if scale is not None else spec.instances) * each) if each < 10**9 else math.inf


