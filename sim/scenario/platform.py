"""What a scenario says about pools, transactions, meshes and deployments, checked against the rest of it."""

from __future__ import annotations

from collections.abc import Iterator

from sim.mistakes import Loc, Mistake, did_you_mean
from sim.model.node import NodeSpec
from sim.model.queries import Query
from sim.model.steps import Step
from sim.scenario.scenario import Scenario


def wrong_platform(scenario: Scenario) -> Iterator[Mistake]:
    """Everything of the platform that names what is not there, or stands where it does nothing."""
    for name, spec in scenario.nodes().items():
        loc: Loc = ("services", name)
        yield from _callers(spec, loc, scenario)
        yield from _pools(spec, loc, scenario)
        for key, steps in spec.calls().items():
            yield from _locks(steps, (*loc, "endpoints", key), None)


def _callers(spec: NodeSpec, loc: Loc, scenario: Scenario) -> Iterator[Mistake]:
    """Who is allowed must be somebody."""
    known = [*scenario.services, *scenario.workloads]
    for index, caller in enumerate((spec.mesh.allow if spec.mesh is not None else None) or []):
        if caller not in known:
            yield Mistake((*loc, "mesh", "allow", index), f"there is no service or workload {caller!r}", did_you_mean(caller, known))


def _pools(spec: NodeSpec, loc: Loc, scenario: Scenario) -> Iterator[Mistake]:
    """A pool of database connections is for a database."""
    for callee, use in spec.uses.items():
        other = scenario.services.get(callee)
        if use.pool is not None and other is not None and other.word != "database":
            yield Mistake((*loc, "uses", callee, "pool"), f"`pool` is of connections to a database, and {callee!r} is a {other.word}",
                          "write `connection: {max_connections: ...}`, or a `bulkhead` among the policies", at_key=True)


def _locks(steps: list[Step], loc: Loc, inside: str | None) -> Iterator[Mistake]:
    """Only a transaction (of the database *inside*) can keep a lock, and there is none within another of the same database."""
    for index, step in enumerate(steps):
        place = (*loc, index)
        within = inside
        if isinstance(step, Query):
            if step.for_update and inside != step.database:
                yield Mistake((*place, "query", "for_update"), "a lock that nobody keeps: it ends with the statement",
                              f"write the query inside `query: {{database: {step.database}, transaction: [...]}}`", at_key=True)
            if step.transaction is not None:
                if inside == step.database:
                    yield Mistake((*place, "query", "transaction"), f"a transaction inside a transaction of {inside!r}",
                                  "write its steps into the outer one", at_key=True)
                within = step.database
        for inner in step.children():
            yield from _locks(inner, place, within)
