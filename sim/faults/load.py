"""Faults of load: more users than usual."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from sim.faults.fault import Fault
from sim.faults.injection import Injection, Surgeable
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.spec import Mistake, Spec

MOST_SURGE = 1_000_000.0  # times; what all surges together can make of a load


class WorkloadTarget(Spec):
    """One workload, by name; without a name all of them."""

    workload: str | None = None

    @classmethod
    def meant_for(cls, text: str) -> str:
        return "workload"


class LoadSurge(Fault):
    """Rates, or numbers of users, are multiplied by *factor*. Several surges at once multiply each other, to a million times at most.

    A scenario whose surges make more requests of its load than a run may have is refused.

    `{kind: load.surge, target: {workload: shoppers}, schedule: {at: 60s, for: 20s}, ramp: {up: 5s, down: 5s}, factor: 3}`
    """

    severity: ClassVar[str] = "factor"
    neutral: ClassVar[float] = 1.0
    kind: Literal["load.surge"] = "load.surge"
    target: WorkloadTarget = Field(default_factory=WorkloadTarget)
    factor: float = Field(ge=0, le=10_000)

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        wanted = self.target.workload
        with ExitStack() as surges:
            for name, workload in at.workloads.items():
                if wanted in (None, name):
                    at.targets.append(name)
                    if self.factor < 1:  # it may be why there is none
                        at.count(True)
                    else:
                        at.count_if_changed(partial(_offered, workload))
                    surges.enter_context(at.layer(workload, "surge", lambda strength: 1 + (self.factor - 1) * strength,
                                                  base=lambda: 1.0, apply=workload.surge, combine=_bounded))
            yield

    def missed(self, at: Injection) -> Reason:
        return because("no load", loads=", ".join(at.targets))

    def mistakes(self, system: System) -> Iterator[Mistake]:
        if self.target.workload is not None:
            yield from system.unknown(("target", "workload"), "workload", self.target.workload, system.workloads)


def _offered(workload: Surgeable) -> int:
    return workload.started + workload.dropped


def _bounded(factors: list[float]) -> float:
    return min(MOST_SURGE, math.prod(factors))
