"""Names that lead nowhere: everything in a scenario that names something else must find it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sim.mistakes import Loc, Mistake, did_you_mean
from sim.model.mesh import REGISTRY
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.scenario.scenario import Scenario

from .brokers import wrong_messages
from .calls import EVENT_STEPS, Directory, Reference, references
from .discovery import wrong_discovery
from .platform import wrong_platform


def wrong_references(scenario: Scenario, complete: bool = True) -> Iterator[Mistake]:
    """Every name that leads nowhere, or to the wrong kind of thing. In an incomplete scenario a call may be missing without a mistake."""
    directory = Directory(scenario)
    yield from _calls(directory, complete)
    yield from _workloads(scenario)
    yield from _links(scenario)
    yield from _zones(scenario)
    yield from wrong_discovery(scenario, directory)
    yield from wrong_platform(scenario, directory)


def unknown(loc: Loc, what: str, name: str, known: Iterable[str], at_key: bool = False) -> Mistake:
    """There is no *what* called *name*."""
    return Mistake(loc, f"there is no {what} {name!r}", did_you_mean(name, known), at_key)


def _calls(directory: Directory, complete: bool) -> Iterator[Mistake]:
    for name, spec in directory.nodes.items():
        made = list(references(spec, ("services", name)))
        wrong = [mistake for reference in made if (mistake := _wrong_call(reference, directory)) is not None]
        all_told = complete and not wrong and not spec.has_user_code()
        called = {*(reference.target.node for reference in made), *directory.of_kind("broker")} if all_told else directory.nodes
        yield from wrong
        yield from wrong_messages(spec, ("services", name), directory)
        yield from _uses(spec, ("services", name, "uses"), called, directory)


def _wrong_call(reference: Reference, directory: Directory) -> Mistake | None:
    loc, target, wants = reference.loc, reference.target, reference.wants
    if not target.node:
        return Mistake(loc, f"{target.operation!r} names no service", f"write 'payments {target.operation}'")
    if target.node not in directory.nodes:
        fitting = [name for name in directory.nodes if not wants or directory.kind(name) == wants]
        return unknown(loc, wants or "service", target.node, fitting)
    kind = directory.kind(target.node)
    if wants:
        cure = _cure_for(kind, reference, directory)
        return Mistake(loc, f"{target.node!r} is a {kind}, not a {wants}", cure) if kind != wants else None
    if kind in _ASKED:
        return Mistake(loc, f"{target.node!r} is a {kind}, which has no endpoints", f"write `{_ASKED[kind]}`")
    if target.method and directory.find(target) is None:
        cure = did_you_mean(target.operation, _endpoints(directory, target))
        return Mistake(loc, f"{target.node!r} has no endpoint {target.operation!r}", cure)
    return None


_ASKED = {"database": "query: ...", "cache": "cache: ...", "broker": "publish: ..."}  # the step that asks a node of that kind


def _cure_for(kind: str, reference: Reference, directory: Directory) -> str:
    wants = reference.wants
    if reference.word in EVENT_STEPS:  # no other kind of node can be asked for the same
        known = " or ".join(map(repr, directory.of_kind(wants)))
        return f"name a {wants}: {known}" if known else f"add a node with `kind: {wants}`, and name that"
    return f"write `{_ASKED[kind]}`" if kind in _ASKED else f"give it `kind: {wants}`, or write `call: ...`"


def _endpoints(directory: Directory, target: Target) -> Iterable[str]:
    spec = directory.nodes[target.node]
    return getattr(spec, "endpoints", None) or [f"{target.method} {route.path}" for route in getattr(spec, "routes", ())]


def _uses(spec: NodeSpec, loc: Loc, called: Collection[str], directory: Directory) -> Iterator[Mistake]:
    for dependency in spec.uses:
        if dependency not in directory.nodes:
            yield unknown((*loc, dependency), "service", dependency, directory.nodes, at_key=True)
        elif dependency not in called:
            yield Mistake((*loc, dependency), f"{loc[1]!r} never calls {dependency!r}", "remove it, or add the call", at_key=True)


def _workloads(scenario: Scenario) -> Iterator[Mistake]:
    nodes = scenario.nodes()
    for name, workload in scenario.workloads.items():
        if name in nodes:
            yield Mistake(("workloads", name), f"{name!r} is the name of a service too", "give one of them another name", at_key=True)
        if workload.to not in nodes:
            yield unknown(("workloads", name, "to"), "service", workload.to, nodes)


def _links(scenario: Scenario) -> Iterator[Mistake]:
    ends = [*scenario.services, *scenario.workloads, *([REGISTRY] if scenario.registry is not None else [])]
    for link in scenario.network.links:
        loc = ("network", "links", link)
        source, arrow, target = link.partition("->")
        if not arrow:
            yield Mistake(loc, f"{link!r} is no link", "a link is named caller->callee", at_key=True)
            continue
        for end in (source.strip(), target.strip()):
            if end not in ends:
                yield unknown(loc, "service or workload", end, ends, at_key=True)


def _zones(scenario: Scenario) -> Iterator[Mistake]:
    zones, registry = scenario.network.zones, scenario.registry
    placed = [*(((group, name), spec.zone) for group, part in (("services", scenario.services), ("workloads", scenario.workloads))
                for name, spec in part.items()), *([((REGISTRY,), registry.zone)] if registry is not None else [])]
    for loc, zone in placed:
        spreads = loc[0] != "workloads"  # over all zones, which one who is no instance cannot
        if zone == "spread" and spreads and not zones:
            yield Mistake((*loc, "zone"), "there are no zones to spread over", "name them: network: {zones: {a: {}, b: {}}}")
        elif zone is not None and zone not in zones and not (zone == "spread" and spreads):
            yield unknown((*loc, "zone"), "zone", zone, zones)
