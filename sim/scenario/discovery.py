"""What a scenario says about finding each other, checked against its registry: without one nobody registers, and nobody can be asked.

And of checks of health that nobody can run.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.mistakes import Loc, Mistake, did_you_mean
from sim.model.health import PATH as HEALTH
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.model.registry_spec import RegistrySpec
from sim.scenario.scenario import Scenario

from .calls import Directory

NO_REGISTRY = "there is no registry"
ADD_ONE = "add a `registry:` to the scenario (`registry: {}` has all defaults), or remove it"


def wrong_discovery(scenario: Scenario, directory: Directory) -> Iterator[Mistake]:
    """Registrations and questions that no registry takes, tags that nobody has, and checks of health that nobody runs."""
    registry = scenario.registry
    if registry is not None and registry.registration is not None:
        yield Mistake(("registry", "registration"), "the registry does not register with itself", "write it at a service", at_key=True)
    if registry is not None and registry.uses:
        yield Mistake(("registry", "uses"), "the registry calls nobody but for their health", "say how in `check`", at_key=True)
    names = (registry.services if registry is not None else None) or []
    for index, name in enumerate(names):
        if name not in scenario.services:
            yield Mistake(("registry", "services", index), f"there is no service {name!r}", did_you_mean(name, scenario.services))
        elif getattr(scenario.services[name], "replicas", 0):
            yield Mistake(("registry", "services", index), f"callers of {name!r} know its primary and its replicas without a registry",
                          "take it off the list")
    for name, spec in scenario.services.items():
        loc: Loc = ("services", name)
        yield from _unused_checks(name, spec, directory)
        if spec.registration is not None and (why := _not_found_by(registry, name, spec)) is not None:
            yield Mistake((*loc, "registration"), f"{why[0]}, so that {name!r} does not register", why[1], at_key=True)
        for callee, use in spec.uses.items():
            if use.tag is not None and callee in scenario.services:
                yield from _wrong_tag(scenario, callee, use.tag, (*loc, "uses", callee, "tag"))
    for name, workload in scenario.workloads.items():
        if workload.discovery == "registry" and workload.to in scenario.services:
            why = _not_found_by(registry, workload.to, scenario.services[workload.to])
            if why is not None:
                yield Mistake(("workloads", name, "discovery"), f"{why[0]}, and {name!r} is to ask it", why[1])


def _unused_checks(name: str, spec: NodeSpec, directory: Directory) -> Iterator[Mistake]:
    """`health` at a service where something else answers `GET /health`."""
    if getattr(spec, "health", None) is None:
        return
    routes = directory.routes(name)
    endpoint = routes.find("GET", HEALTH) if routes is not None else None
    if spec.has_user_code():
        who, cure = f"the code of {name!r}", "mark methods of its class with `@health_check(\"name\")`, or let the app look after that"
    elif endpoint is not None:
        who, cure = f"the endpoint {endpoint!r}", "take one of them out"
    else:
        return
    yield Mistake(("services", name, "health"), f"{who} answers `GET {HEALTH}`, so that these checks are never run", cure, at_key=True)


def _wrong_tag(scenario: Scenario, callee: str, tag: str, loc: Loc) -> Iterator[Mistake]:
    spec = scenario.services[callee]
    why = _not_found_by(scenario.registry, callee, spec)
    if why is not None:
        yield Mistake(loc, f"{why[0]}, which could be asked for a tag", why[1])
        return
    known = tags_of(scenario, callee)
    if tag not in known:
        cure = did_you_mean(tag, known) if known else f"give {callee!r} `registration: {{tags: [{tag}]}}`"
        yield Mistake(loc, f"no instance of {callee!r} ever has the tag {tag!r}", cure)


def doubtful_discovery(scenario: Scenario, directory: Directory) -> Iterator[Mistake]:
    """Health that is asked for where nobody answers: who is checked so becomes critical, and nobody calls it any more."""
    registry = scenario.registry
    if registry is None:
        return
    deaf: dict[Loc, list[str]] = {}
    for name, spec in scenario.services.items():
        own = spec.registration.check if spec.registration is not None else None
        check = own or registry.check
        if registry.covers(name, spec.word) and check.ttl is None and directory.find(Target(name, "GET", check.path)) is None:
            place: Loc = ("services", name, "registration") if own is not None else ("registry",)
            deaf.setdefault((*place, "check", "path"), []).append(name)
    for loc, names in deaf.items():
        yield Mistake(loc, f"checks of {' and '.join(map(repr, names))} ask here, where nobody answers: all become critical",
                      f"write `path: {HEALTH}`, which everybody answers, or add such an endpoint")


def tags_of(scenario: Scenario, name: str) -> list[str]:
    """All that instances of *name* may register with: tags of their own, zones, versions."""
    spec = scenario.services[name]
    zones = list(scenario.network.zones) if spec.zone == "spread" else [spec.zone] if spec.zone else []
    deployment = getattr(spec, "deployment", None)
    versions = [deployment.version.name] if deployment is not None else []
    return [*(spec.registration.tags if spec.registration is not None else ()), *zones, *versions]


def _not_found_by(registry: RegistrySpec | None, name: str, spec: NodeSpec) -> tuple[str, str] | None:
    """Why *name* is not found by the registry, and a cure."""
    if registry is None:
        return NO_REGISTRY, ADD_ONE
    if registry.covers(name, spec.word):
        return None
    if registry.services is not None:
        return f"the registry does not have {name!r}", f"add {name} to the `services` of the registry"
    return f"a {spec.word} has a fixed address and is not in the registry", f"write `services: [{name}, ...]` at the registry, or remove it"
