"""What does nothing: keys that say something of what is not there, such as of replicas without any; services that nothing ever reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sim.mistakes import Loc, Mistake
from sim.model.queries import Query
from sim.model.service import ServiceSpec
from sim.scenario.scenario import Scenario
from sim.spec import Spec
from sim.workload.open_load import OpenSpec

from .calls import callees
from .walk import word_of, written


@dataclass(frozen=True)
class Idle:
    """The *keys* do nothing in a spec in which *idle* holds: they are *of* something else."""

    keys: tuple[str, ...]
    idle: Callable[[Any], bool]
    of: str
    cure: str

    def told(self, spec: Spec, loc: Loc) -> Iterator[Mistake]:
        """A mistake for each of them that *spec*, which stands at *loc*, has all the same."""
        for key in self.keys:
            if key in spec.written() and self.idle(spec):
                yield Mistake((*loc, key), f"`{key}` is of {self.of}", self.cure, at_key=True)


OF_NODES: Mapping[str, Idle] = {
    "database": Idle(("replica_lag", "reads", "session_wait"), lambda spec: not spec.replicas,
                     "replicas, and this database has none", "add `replicas: 1`, or remove it"),
    "cache": Idle(("jitter",), lambda spec: spec.ttl is None,
                  "the time that entries live, and these live until they are pushed out", "add `ttl: 1m`, or remove it"),
    "broker": Idle(("discard",), lambda spec: spec.max_messages is None and spec.max_bytes is None,
                   "a stream that is full, and this one never is", "add `max_messages: 10000`, or remove it"),
}
OF_STEPS: Mapping[str, Idle] = {
    "append": Idle(("retries", "replay"), lambda spec: not spec.expect_version,
                   "an append that reads the stream first", "remove it, or `expect_version: false`"),
}
OF_LOAD = Idle(("batch_size", "batch_sizes"), lambda spec: not spec.arrivals.in_batches,
               "`arrivals: batch`, and this load comes in none: it changes nothing", "write `arrivals: batch`, or leave it out")


def in_vain(scenario: Scenario) -> Iterator[Mistake]:
    """Whatever *scenario* tells a load, a node or a step that does nothing there."""
    yield from _idle_services(scenario)
    for name, load in scenario.workloads.items():
        if isinstance(load, OpenSpec):
            yield from OF_LOAD.told(load, ("workloads", name))
    for name, spec in scenario.services.items():
        loc: Loc = ("services", name)
        if spec.word in OF_NODES:
            yield from OF_NODES[spec.word].told(spec, loc)
        for place, part in written(spec, loc):
            if isinstance(part, Query):
                yield from _of_query(part.database, scenario).told(part, place)
            elif isinstance(part, Spec) and word_of(part) in OF_STEPS:
                yield from OF_STEPS[word_of(part)].told(part, place)


def _of_query(database: str, scenario: Scenario) -> Idle:
    return Idle(("consistency",), lambda step: not getattr(scenario.services.get(database), "replicas", 1),
                f"replicas, and {database!r} has none", "add `replicas: 1` there, or remove it")


def _idle_services(scenario: Scenario) -> Iterator[Mistake]:
    """Services that do nothing, and that nobody calls. Where there is code of the user's own, it may call anybody; without a workload, so
    may a test."""
    nodes = scenario.nodes()
    if not scenario.workloads or any(spec.has_user_code() for spec in nodes.values()):
        return
    called = {*(load.to for load in scenario.workloads.values()), *(callee for spec in nodes.values() for callee in callees(spec))}
    for name, spec in nodes.items():
        if isinstance(spec, ServiceSpec) and not spec.endpoints and not spec.subscribe and name not in called:
            yield Mistake(("services", name), f"nobody calls {name!r}, and it does nothing by itself",
                          "give it `endpoints` and somebody who calls them, or remove it", at_key=True)
