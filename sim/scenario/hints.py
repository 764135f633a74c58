"""What a scenario says that is allowed, but can hardly be meant; and what is so large that no run would end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sim.mistakes import Loc, Mistake
from sim.model.gateway import RouteSpec
from sim.model.mesh import MeshSpec
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.resilience.balancers import BALANCERS
from sim.resilience.deadline import DeadlineSpec
from sim.resilience.explain import explain_specs
from sim.scenario.scenario import Scenario
from sim.spec import Spec, word_in
from sim.units import format_duration

from .calls import Directory, references
from .discovery import doubtful_discovery
from .flow import Flow, workers
from .in_vain import in_vain
from .platform import doubtful_platform
from .walk import written

MOST_REQUESTS = 1_000_000_000  # in one run; at 50,000 a second that would be five hours
MOST_CALLS = 10_000_000_000
LOOK = "look at the method and the path; a gateway takes its `strip_prefix` off"


def absurd(scenario: Scenario, flow: Flow) -> Iterator[Mistake]:
    """What cannot be run: calls that go round for ever, more requests than anybody can wait for, a warm-up that never ends."""
    if scenario.warmup >= scenario.duration:
        what = f"a warm-up of {format_duration(scenario.warmup)} leaves nothing of a run of {format_duration(scenario.duration)}"
        yield Mistake(("warmup",), what, "make it shorter than `duration`")
    cycles = list(flow.cycles())
    for cycle in cycles:
        way = " -> ".join(str(site.callee) for site in (cycle[-1], *cycle))
        yield Mistake(cycle[-1].loc, f"calls go round without end: {way}", "take one of these calls out, or put it into a `choose`")
    if not cycles:
        yield from _too_many(scenario, flow)


def _too_many(scenario: Scenario, flow: Flow) -> Iterator[Mistake]:
    requests = {name: workload.expected_requests(scenario.duration) for name, workload in scenario.workloads.items()}
    for name, number in requests.items():
        if number > MOST_REQUESTS:
            what = f"about {number:,.0f} requests in {format_duration(scenario.duration)}; the limit is {MOST_REQUESTS:,}"
            yield Mistake(("workloads", name), what, "lower its rate, or shorten `duration`", at_key=True)
    if max(requests.values(), default=0) > MOST_REQUESTS:
        return
    demand = flow.demand(requests)
    calls = sum(demand.calls.values()) if demand is not None else float("inf")
    if calls > MOST_CALLS:
        many = "calls without number" if demand is None else f"about {calls:,.0f} calls"
        yield Mistake(("workloads",), f"{sum(requests.values()):,.0f} requests make {many}; the limit is {MOST_CALLS:,}",
                      "is there a `repeat` inside a `repeat`, or a call that comes back?", at_key=True)


def doubtful(scenario: Scenario, flow: Flow) -> Iterator[Mistake]:
    """What is probably not meant: orders of policies that cannot work, requests that nobody answers, more load than can be served."""
    yield from _policy_orders(scenario)
    yield from _unanswered(scenario, flow.directory)
    yield from _overload(scenario, flow)
    yield from _no_zones(scenario)
    yield from in_vain(scenario)
    yield from doubtful_discovery(scenario, flow.directory)
    yield from doubtful_platform(scenario, flow.directory)


def _policy_orders(scenario: Scenario) -> Iterator[Mistake]:
    for part, group in (("services", scenario.services), ("workloads", scenario.workloads)):
        for loc, spec in written(group, (part,)):
            policies = getattr(spec, "policies", None)
            if isinstance(spec, Spec) and isinstance(policies, list):
                yield from _told(explain_specs(policies).warnings, (*loc, "policies"))
    for name, node in scenario.nodes().items():
        yield from _parts_too_late(getattr(node, "routes", []), ("services", name, "routes"))
        yield from _attempts_too_late(node, ("services", name, "routes"))
        if node.mesh is not None:
            yield from _told(mesh_warnings(node.mesh), ("services", name, "mesh", "per_try_timeout"))


def _parts_too_late(routes: list[RouteSpec], loc: Loc) -> Iterator[Mistake]:
    """Parts of compositions with more time than their route has."""
    for index, route in enumerate(routes):
        for name, part in (route.compose or {}).items():
            if route.timeout is not None and part.timeout is not None and part.timeout >= route.timeout:
                yield Mistake((*loc, index, "compose", name, "timeout"),
                              f"the time of the route is over by then: it has {format_duration(route.timeout)}", "make this one shorter")


def _attempts_too_late(node: NodeSpec, loc: Loc) -> Iterator[Mistake]:
    """Attempts with more time than the route has that they are made for."""
    for index, route in enumerate(getattr(node, "routes", [])):
        told: dict[str, None] = {}
        for callee in dict.fromkeys(reference.target.node for reference in references(route, ())):
            own = node.uses[callee].policies if callee in node.uses else []
            for limit, policies in route.ways(callee):
                if limit is not None:
                    deadline, before = DeadlineSpec.model_construct(duration=limit), explain_specs([*policies, *own]).warnings
                    within = explain_specs([deadline, *policies, *own]).warnings
                    told |= dict.fromkeys(warning for warning in within if warning not in before)
        yield from _told((warning.replace("the deadline", "that of the route") for warning in told), (*loc, index, "timeout"))


def mesh_warnings(mesh: MeshSpec) -> Iterator[str]:
    """What of a mesh's times cannot work as it is meant, with its cure; as `explain_specs` has it for policies."""
    if mesh.timeout is not None and mesh.per_try_timeout is not None and mesh.per_try_timeout >= mesh.timeout:
        one, all_of_them = format_duration(mesh.per_try_timeout), format_duration(mesh.timeout)
        yield (f"the mesh's time for one attempt ({one}) is not below that for all of them ({all_of_them}): it never ends one, and no "
               "second attempt ever starts; make `per_try_timeout` shorter")


def _told(warnings: Iterable[str], loc: Loc) -> Iterator[Mistake]:
    for warning in warnings:
        what, _, cure = warning.rpartition("; ")
        yield Mistake(loc, what or cure, cure if what else "", at_key=True)


def _unanswered(scenario: Scenario, directory: Directory) -> Iterator[Mistake]:
    for name, workload in scenario.workloads.items():
        for index, send in enumerate(workload.mix):
            loc = ("workloads", name, "mix", index, "send")
            target = Target(workload.to, send.send.method, send.send.path)
            operation = directory.find(target)
            if operation is None:
                yield Mistake(loc, f"{workload.to!r} does not listen on {target.operation!r} and answers 404 or 405", LOOK)
            elif directory.kind(workload.to) == "gateway":
                for _, behind in directory.behind(operation):
                    if directory.find(behind) is None:
                        what = f"{workload.to!r} passes it on to {behind.node!r}, which has no endpoint {behind.operation!r}"
                        yield Mistake(loc, what, LOOK)


def _no_zones(scenario: Scenario) -> Iterator[Mistake]:
    """Balancers that go by zones, between parts that are in none."""
    nodes = scenario.nodes()
    for name, spec in nodes.items():
        for callee, use in spec.uses.items():
            nowhere = [end for end in (name, callee) if nodes[end].zone is None]
            if nowhere and word_in(BALANCERS, type(use.balancer)) == "zone_aware":
                there = "" if scenario.network.zones else ", and name zones: `network: {zones: {a: {}, b: {}}}`"
                yield Mistake(("services", name, "uses", callee, "balancer"), f"{nowhere[0]!r} is in no zone, so that zones decide nothing",
                              f"give {nowhere[0]} `zone: spread`{there}", at_key=True)


def _rounded(number: float) -> str:
    """To four figures, and with its zeros written out."""
    return f"{float(f'{number:.4g}'):,.12g}"


def _overload(scenario: Scenario, flow: Flow) -> Iterator[Mistake]:
    demand = flow.load({name: workload.mean_rate(scenario.duration) or 0.0 for name, workload in scenario.workloads.items()})
    if demand is None:
        return
    for node, busy in demand.busy.items():
        there = workers(scenario.nodes()[node])
        if busy > there:
            rate = sum(number for operation, number in demand.calls.items() if operation.node == node)
            each = format_duration(float(f"{busy / rate:.4g}"))
            offered = f"{node!r} is offered {_rounded(rate)} requests/s that take {each} each"
            what = f"{offered}: {_rounded(busy)} workers would be busy, and it has {there:,.0f}"
            yield Mistake(("services", node), what, "unless that is the point: more `instances` or `workers`, or less load", at_key=True)
