"""What a scenario says about pools, transactions, meshes and deployments, checked against the rest of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.mistakes import Loc, Mistake, did_you_mean
from sim.model.gateway import RouteSpec
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.model.queries import Query
from sim.model.steps import Step
from sim.resilience.balancers import BALANCERS
from sim.resilience.retry import RetrySpec
from sim.scenario.scenario import Scenario
from sim.spec import word_in
from sim.units import format_duration

from .calls import EVENT_STEPS, Directory, Operation, callees, runs
from .walk import word_of, written

EVEN = ("random", "round_robin")  # balancers that look at no weight
AT = ("at", "start_after", "from_")  # fields that say when something begins


def wrong_platform(scenario: Scenario, directory: Directory) -> Iterator[Mistake]:
    """Everything of the platform that names what is not there, or stands where it does nothing."""
    for name, spec in scenario.nodes().items():
        loc: Loc = ("services", name)
        yield from _fallbacks(name, getattr(spec, "routes", []), directory)
        yield from _callers(spec, loc, scenario)
        yield from _pools(spec, loc, scenario)
        yield from _transactions(spec, loc)


def doubtful_platform(scenario: Scenario, directory: Directory) -> Iterator[Mistake]:
    """What of the platform works against itself, or does nothing."""
    yield from too_late(scenario.services, ("services",), scenario.duration)
    yield from too_late(scenario.workloads, ("workloads",), scenario.duration)
    yield from _one_stream(scenario, directory)
    nodes = scenario.nodes()
    for name, spec in nodes.items():
        mesh = spec.mesh
        if mesh is None and not spec.weights:
            continue
        callers = {caller: nodes[caller] for caller in nodes if name in callees(nodes[caller])}
        if spec.weights and not any(_goes_by_weights(caller, name) for caller in callers.values()):
            yield Mistake(("services", name, "weights"), f"nobody who calls {name!r} goes by weights",
                          f"give a caller `uses: {{{name}: {{balancer: weighted}}}}`", at_key=True)
        if mesh is None:
            continue
        in_mesh = {caller: other for caller, other in callers.items() if other.mesh is not None}
        if mesh.policies() and callers and not in_mesh:
            yield Mistake(("services", name, "mesh"), f"nobody who calls {name!r} has a sidecar that could do what this mesh says",
                          f"give {_either(list(callers))} `mesh: {{}}`", at_key=True)
        if mesh.allow is not None:
            shut_out = [*(caller for caller in callers if caller not in mesh.allow),
                        *(user for user, load in scenario.workloads.items() if load.to == name and user not in mesh.allow)]
            if shut_out:
                yield Mistake(("services", name, "mesh", "allow"), f"{_and(shut_out)} will be answered 403: not on this list",
                              f"unless that is the point: add {', '.join(shut_out)}", at_key=True)
        if mesh.retry is not None:
            for caller, other in in_mesh.items():
                yield from _double_retries(caller, other, name, mesh.retry.max_attempts)
        tls = mesh.mtls
        if tls is not None and tls.mode == "strict":
            bare = [caller for caller, other in callers.items() if other.mesh is None or other.mesh.mtls is None]
            users = [user for user, load in scenario.workloads.items() if load.to == name]
            if bare or users:
                cure = f"give {_and(bare)} `mesh: {{mtls: {{}}}}`" if bare else "write `mode: permissive`"
                yield Mistake(("services", name, "mesh", "mtls"), f"{_and([*bare, *users])} cannot connect: no certificate",
                              f"unless that is the point: {cure}", at_key=True)
        if tls is not None and not tls.rotate and tls.valid_for - tls.age < scenario.duration:
            yield Mistake(("services", name, "mesh", "mtls"), "the certificates expire within the run, and nobody renews them",
                          "unless that is the point: `rotate: true`", at_key=True)


def _one_stream(scenario: Scenario, directory: Directory) -> Iterator[Mistake]:
    """Events that all go into one stream: nothing says whose they are, neither their step nor the requests of workloads that get there."""
    pending = [Target(load.to, send.send.method, send.send.path) for load in scenario.workloads.values() for send in load.mix
               if send.key is None]
    seen: set[Operation] = set()
    while pending:
        target = pending.pop()
        operation = directory.find(target) if target.node in directory.nodes else None
        if operation is None or operation in seen:
            continue
        seen.add(operation)
        if directory.kind(operation.node) == "gateway":
            pending += (target for _, target in directory.behind(operation))
        for at, steps in runs(directory.nodes[operation.node], operation.key, ("services", operation.node)):
            for place, step in written(steps, at):
                if isinstance(step, Step) and word_of(step) == "append" and getattr(step, "stream", None) is None:
                    yield Mistake(place, "requests get here that have no key: all their events go into one stream",
                                  "add `stream: {zipf: 1000}`, or `stream: all` if that is the point", at_key=True)
                elif isinstance(step, Step) and getattr(step, "key", None) is None:
                    pending += step.targets()


def _goes_by_weights(caller: NodeSpec, callee: str) -> bool:
    """The balancer of *caller* gives a heavier instance more."""
    balancer = caller.uses[callee].balancer if callee in caller.uses else None
    return balancer is not None and (word_in(BALANCERS, type(balancer)) not in EVEN or getattr(balancer, "slow_start", None) is not None)


def too_late(parts: Any, loc: Loc, duration: float) -> Iterator[Mistake]:
    """What of *parts*, which stand at *loc*, is to happen when a run of *duration* seconds is over."""
    for place, part in written(parts, loc):
        for field in AT:
            at = getattr(part, field, None)
            if isinstance(at, float) and at >= duration:
                yield Mistake((*place, field.rstrip("_")), f"the run has ended by then: it lasts {format_duration(duration)}",
                              "let it come earlier, or make `duration` longer")


def _and(names: list[str]) -> str:
    return " and ".join(map(repr, names))


def _either(names: list[str]) -> str:
    return " or ".join(map(repr, names))


def _double_retries(caller: str, spec: NodeSpec, callee: str, attempts: int) -> Iterator[Mistake]:
    """The application tries again what the mesh tries again."""
    policies = spec.uses[callee].policies if callee in spec.uses else []
    for index, policy in enumerate(policies):
        if isinstance(policy, RetrySpec):
            most = f"up to {policy.max_attempts} x {attempts} = {policy.max_attempts * attempts} attempts"
            yield Mistake(("services", caller, "uses", callee, "policies", index, "retry"),
                          f"this retry and that of the mesh of {callee!r} multiply: {most}", "retry in one place", at_key=True)


def _callers(spec: NodeSpec, loc: Loc, scenario: Scenario) -> Iterator[Mistake]:
    """Who is allowed must be somebody."""
    known = [*scenario.services, *scenario.workloads]
    for index, caller in enumerate((spec.mesh.allow if spec.mesh is not None else None) or []):
        if caller not in known:
            yield Mistake((*loc, "mesh", "allow", index), f"there is no service or workload {caller!r}", did_you_mean(caller, known))


def _fallbacks(gateway: str, routes: list[RouteSpec], directory: Directory) -> Iterator[Mistake]:
    """Routes that fall back on each other, round and round."""
    for index, route in enumerate(routes):
        seen, target, table = {str(index)}, route.fallback, directory.routes(gateway)
        while table is not None and target is not None and target.node == gateway and (found := table.find(target.method, target.path)):
            if found in seen:
                yield Mistake(("services", gateway, "routes", index, "fallback"), "it falls back on itself, without end",
                              "name another service, or a route that has no `fallback`", at_key=True)
                break
            seen.add(found)
            target = routes[int(found)].fallback


def _pools(spec: NodeSpec, loc: Loc, scenario: Scenario) -> Iterator[Mistake]:
    """A pool of database connections is for a database."""
    for callee, use in spec.uses.items():
        other = scenario.services.get(callee)
        if use.pool is not None and other is not None and other.word != "database":
            yield Mistake((*loc, "uses", callee, "pool"), f"`pool` is of connections to a database, and {callee!r} is a {other.word}",
                          "write `connection: {max_connections: ...}`, or a `bulkhead` among the policies", at_key=True)


def _transactions(spec: NodeSpec, loc: Loc) -> Iterator[Mistake]:
    """Only a transaction can keep a lock, and not everything can be part of one."""
    around: list[tuple[Loc, str]] = []  # the transactions that the part at hand is inside of: where their steps are, and their databases
    for place, part in written(spec, loc):
        while around and place[: len(around[-1][0])] != around[-1][0]:
            around.pop()
        inside = around[-1][1] if around else None
        if isinstance(part, Query):
            if part.for_update and inside != part.database:
                yield Mistake((*place, "for_update"), "a lock that nobody keeps: it ends with the statement",
                              f"write the query inside `query: {{database: {part.database}, transaction: [...]}}`", at_key=True)
            if part.transaction is not None:
                if inside == part.database:
                    yield Mistake((*place, "transaction"), f"a transaction inside a transaction of {inside!r}",
                                  "write its steps into the outer one", at_key=True)
                around.append(((*place, "transaction"), part.database))
        elif isinstance(part, Step) and word_of(part) in EVENT_STEPS and any(target.node == inside for target in part.targets()):
            yield Mistake(place, f"`{word_of(part)}` is a transaction by itself, and no part of the one of {inside!r} around it",
                          "write it before or after that; `self.append(..., also=...)` of service code does both in one", at_key=True)
