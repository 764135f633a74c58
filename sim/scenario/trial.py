"""The experiment in a scenario, checked against its system: what faults hit and what measures are of must be there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sim.errors import InvalidInput
from sim.faults.fault import Fault, names_of
from sim.faults.system import System, check_fault_plan
from sim.mistakes import Mistake
from sim.model.mesh import REGISTRY
from sim.scenario.measures import EDGE, SERVICE, WORKLOAD, measure_mistakes
from sim.scenario.scenario import Scenario


def system_of(scenario: Scenario, faults: Sequence[Fault]) -> System:
    """What *faults*, all those of a run, can name in *scenario*, beside each other."""
    registry = {REGISTRY: scenario.registry} if scenario.registry is not None else {}
    deployed = dict.fromkeys(service for fault in faults if (service := fault.deploys()) is not None)
    services, zones = {**scenario.services, **registry}, scenario.network.zones
    return System(services, scenario.workloads, zones, names_of(faults), deployed, scenario.duration)


def check_faults(scenario: Scenario, faults: Sequence[Fault] | None = None) -> list[Mistake]:
    """Everything in the scenario's faults (or in *faults*, those of a plan) that does not fit it; places are `faults`, index, field."""
    mine = scenario.faults if faults is None else faults
    others = [] if faults is None else scenario.faults
    system = system_of(scenario, [*mine, *others])
    return [replace(mistake, loc=("faults", *mistake.loc)) for mistake in check_fault_plan(mine, system)]


def check_measures(scenario: Scenario) -> list[Mistake]:
    """Everything in `steady_state`, `checks` and `abort_if` that does not fit the scenario."""
    return list(_measures(scenario))


def refuse_unsound(scenario: Scenario) -> None:
    """Raise InvalidInput where faults or measures name what the scenario does not have."""
    wrong = [*check_faults(scenario), *check_measures(scenario)]
    if wrong:
        raise InvalidInput("\n".join(f"{'.'.join(map(str, one.loc))}: {one.what}: {one.cure}" for one in wrong))


def _measures(scenario: Scenario) -> Iterator[Mistake]:
    parts: dict[str, tuple[str, ...]] = {name: (SERVICE, spec.word) for name, spec in scenario.services.items()}
    parts |= dict.fromkeys(scenario.workloads, (WORKLOAD,)) | dict.fromkeys(sorted(edges_of(scenario)), (EDGE,))
    for key, asked in (("steady_state", scenario.steady_state), ("checks", scenario.checks), ("abort_if", scenario.abort_if)):
        for index, one in enumerate(asked):
            for mistake in measure_mistakes(one, parts):
                yield replace(mistake, loc=(key, index, *mistake.loc))
    for index, check in enumerate(scenario.checks):
        if check.measure == "recovery_time" and not scenario.steady_state:
            yield Mistake(("checks", index, "measure"), "recovery_time needs to know what is normal", "add a `steady_state`")
        if check.from_ is not None and check.from_ >= scenario.duration:
            yield Mistake(("checks", index, "from"), "the window begins after the run has ended",
                          "let it begin earlier, or make `duration` longer")


def edges_of(scenario: Scenario) -> set[str]:
    """Every `caller->callee` that can be: what is written, and for services in Python anything."""
    from sim.scenario.calls import callees

    edges = {f"{name}->{load.to}" for name, load in scenario.workloads.items()}
    for name, spec in scenario.nodes().items():
        called = [*callees(spec), *(scenario.services if spec.has_user_code() else ())]
        edges |= {f"{name}->{callee}" for callee in called}
    return edges
