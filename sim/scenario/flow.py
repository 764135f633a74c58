"""The arithmetic of a scenario before it runs: how often each operation is called, and how long each takes without any queueing.

Policies, faults and cache misses are left out: no retry is counted and every look-up is a hit, so all figures are lower bounds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sim.mistakes import Loc
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.model.steps import Step
from sim.scenario.scenario import Scenario
from sim.workload.workload import WorkloadSpec

from .calls import OWN_HEALTH, Directory, Operation, runs
from .times import own_time, query_time, steps_of, steps_time, sure_calls

BEYOND_RECKONING = 1e15  # calls
NEGLIGIBLE = 1e-6
ROUNDS = 10_000


@dataclass(frozen=True)
class CallSite:
    """A call that one request to an operation makes *times* on average; *loc* is where it is written.

    *holds* is how long it keeps a worker of the callee, in seconds, if the call says so itself.
    """

    callee: Operation
    times: float
    loc: Loc
    holds: float | None = None


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
        spec = self.directory.nodes[operation.node]
        loc: Loc = ("services", operation.node)
        if self.directory.kind(operation.node) == "gateway":
            for target in self.directory.behind(operation):
                yield from self._site(target, 1.0, loc)
        for at, steps in runs(spec, operation.key, loc):
            for times, step, place in steps_of(steps, at, 1.0):
                yield from self._step_calls(step, times, place)

    def _step_calls(self, step: Step, times: float, loc: Loc) -> Iterator[CallSite]:
        for target in sure_calls(step):
            yield from self._site(target, times, loc, query_time(step))

    def _site(self, target: Target, times: float, loc: Loc, holds: float | None = None) -> Iterator[CallSite]:
        callee = self.directory.find(target) if target.node in self.directory.nodes else None
        if callee is not None:
            yield CallSite(callee, times, loc, holds)

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

    def demand(self, requests: Callable[[WorkloadSpec], float]) -> Demand | None:
        """What is asked for when a workload makes so many *requests*; None where calls multiply beyond all bounds."""
        demand = Demand()
        wave: dict[Operation, float] = defaultdict(float)
        for workload in self.scenario.workloads.values():
            if workload.to in self.directory.nodes:
                for share, operation in self.entries(workload):
                    wave[operation] += share * requests(workload)
                    demand.busy[operation.node] += share * requests(workload) * self.time(operation)
        for _ in range(ROUNDS):
            if not wave:
                return demand
            wave = self._next_wave(wave, demand)
            if sum(demand.calls.values()) > BEYOND_RECKONING:
                return None
        return None

    def _next_wave(self, wave: dict[Operation, float], demand: Demand) -> dict[Operation, float]:
        following: dict[Operation, float] = defaultdict(float)
        for operation, times in wave.items():
            demand.calls[operation] += times
            for site in self.calls(operation):
                following[site.callee] += times * site.times
                demand.busy[site.callee.node] += times * site.times * (self.time(site.callee) if site.holds is None else site.holds)
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
        return max((self._round_trip(operation.node, site) for site in self.calls(operation)), default=0.0)

    def _call_time(self, step: Step, node: str) -> float:
        return sum(self._round_trip(node, site) for site in self._step_calls(step, 1.0, ()))

    def _round_trip(self, caller: str, site: CallSite) -> float:
        network = self.scenario.network
        links = network.link(caller, site.callee.node), network.link(site.callee.node, caller)
        inside = self._times.get(site.callee, 0.0) if site.holds is None else site.holds  # 0: calls that come back are not followed
        return sum(link.latency.expectation() for link in links) + inside


def workers(spec: NodeSpec) -> float:
    """Requests that all instances of a node serve at once, scaled out as far as it goes; infinite where nothing limits them."""
    each, scale = spec.workers_each(), getattr(spec, "autoscale", None)
    return float((scale.max if scale is not None else spec.instances) * each) if each < 10**9 else math.inf


