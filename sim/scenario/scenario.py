"""The root of a scenario file."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr, model_validator

from sim.faults.faults import AnyFault
from sim.model.network import NetworkSpec
from sim.model.node import NodeSpec
from sim.model.registry_spec import RegistrySpec
from sim.model.services import AnyService
from sim.names import NodeName, ScenarioName
from sim.scenario.measures import AbortIf, Check, SteadyState
from sim.spec import Mistake, Spec, invalid
from sim.units import Duration, PositiveDuration
from sim.workload.executors import AnyWorkload


class FaultPlan(Spec):
    """A file of faults by itself, to be laid over a scenario with `--faults`."""

    name: str = "faults"
    title: str = ""
    title_es: str = ""
    faults: list[AnyFault] = []


class Scenario(Spec):
    """A system, the load on it, what goes wrong, and what must hold."""

    name: ScenarioName
    title: str = ""
    title_es: str = ""
    learn: str = ""
    learn_es: str = ""
    watch: str = ""
    watch_es: str = ""
    seed: int = Field(default=1, ge=0, lt=2**63)
    duration: PositiveDuration
    warmup: Duration = 0.0
    network: NetworkSpec = Field(default_factory=NetworkSpec)
    registry: RegistrySpec | None = None
    services: dict[NodeName, AnyService]
    workloads: dict[NodeName, AnyWorkload] = {}
    steady_state: list[SteadyState] = []
    checks: list[Check] = []
    abort_if: list[AbortIf] = []
    faults: list[AnyFault] = []
    variants: dict[str, dict[str, Any]] = {}
    _variant: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_registry(self) -> Scenario:
        if self.registry is not None and "registry" in self.services:
            what = "'registry' is the name of the registry itself"
            raise invalid(Mistake(("services", "registry"), what, "give the service another name",
                                  at_key=True))
        return self

    @property
    def variant(self) -> str | None:
        """The name of the one of its variants that this is."""
        return self._variant

    def as_variant(self, name: str | None) -> Scenario:
        """The same, called the variant *name*, which has been applied."""
        named = self.model_copy()
        named._variant = name
        return named

    def nodes(self) -> dict[str, NodeSpec]:
        """The services by name."""
        return dict(self.services)


FILES: dict[str, type[Scenario | FaultPlan]] = {"scenario": Scenario, "faults": FaultPlan}  # what a file can hold
