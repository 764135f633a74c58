"""What a fault's targets are checked against: the parts of a scenario by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.faults.fault import names_of
from sim.faults.schedule import MOST_TIMES
from sim.spec import Mistake, did_you_mean
from sim.units import format_duration

if TYPE_CHECKING:
    from sim.faults.fault import Fault
    from sim.model.node import NodeSpec


@dataclass(frozen=True)
class System:
    """Names in a scenario. *services* with their specs, the registry among them if there is one; *fault_names* of all plans together, and
    the services that their faults deploy; *duration* of a run, in seconds."""

    services: Mapping[str, NodeSpec]
    workloads: Collection[str] = ()
    zones: Collection[str] = ()
    fault_names: Collection[str] = ()
    deployed: Collection[str] = ()
    duration: float = 0.0

    @property
    def registry(self) -> bool:
        """There is one."""
        return "registry" in self.kinds

    @property
    def kinds(self) -> set[str]:
        """The kinds of nodes that there are."""
        return {spec.word for spec in self.services.values()}

    @property
    def ends(self) -> set[str]:
        """What a link can lead from or to; `*` is anybody."""
        return {*self.services, *self.workloads, "*"}

    def unknown(self, loc: tuple[str, ...], what: str, name: str, known: Collection[str]) -> Iterator[Mistake]:
        """A mistake if *name* is not among the *known*."""
        if name not in known:
            yield Mistake(loc, f"no {what} {name!r} in this scenario", did_you_mean(name, known) or f"the scenario has no {what}s")


def check_fault_plan(faults: Sequence[Fault], system: System) -> list[Mistake]:
    """Everything in *faults* that does not fit *system*; places begin with the index of the fault."""
    found: list[Mistake] = []
    seen: set[str] = set()
    for number, fault in enumerate(faults):
        wrong = list(fault.mistakes(system))
        if fault.name is not None:
            if fault.name in seen:
                wrong.append(Mistake(("name",), f"another fault is called {fault.name!r}", "give each fault a name of its own"))
            seen.add(fault.name)
        follows = fault.schedule.follows if fault.schedule is not None else None
        if follows is not None:
            wrong += system.unknown(("schedule", "after"), "fault", follows, system.fault_names)
        wrong += _too_often(fault, system.duration)
        found += [Mistake((number, *mistake.loc), mistake.what, mistake.cure, mistake.at_key) for mistake in wrong]
    return [*found, *_circles(faults)]


def _too_often(fault: Fault, duration: float) -> Iterator[Mistake]:
    times = fault.schedule.times(duration) if fault.schedule is not None else 0.0
    if times > MOST_TIMES:
        yield Mistake(("schedule",), f"it would come about {times:,.0f} times in a run of {format_duration(duration)}; "
                                     f"the limit is {MOST_TIMES:,}", "let it come more rarely, or give it a `max`")


def _circles(faults: Sequence[Fault]) -> Iterator[Mistake]:
    """Faults that wait for each other."""
    names = names_of(faults)
    after = {name: fault.schedule.follows for name, fault in zip(names, faults, strict=True)
             if fault.schedule is not None and fault.schedule.follows}
    for number, name in enumerate(names):
        at, steps = after.get(name), 0
        while at is not None and at != name and steps <= len(after):
            at, steps = after.get(at), steps + 1
        if at is not None and at == name:
            yield Mistake((number, "schedule", "after"), f"{name!r} waits for itself to end",
                          "let one fault of the circle come `at` a time")
