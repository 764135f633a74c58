"""Faults of a node as a whole: what its instances share (what a cache holds, a configuration), or all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.system import System
from sim.spec import Mistake, Spec

if TYPE_CHECKING:
    from sim.model.node import Node


class NodeTarget(Spec):
    """A node, by name."""

    service: str

    @classmethod
    def meant_for(cls, text: str) -> str:
        return "service"


class NodeFault(Fault):
    """A fault of one node of one kind."""

    of_kind: ClassVar[str]
    target: NodeTarget

    def hit(self, at: Injection) -> Node:
        """The node, which is what the fault hits."""
        at.targets.append(self.target.service)
        return at.world.node(self.target.service)

    def mistakes(self, system: System) -> Iterator[Mistake]:
        fitting = [name for name, spec in system.services.items() if spec.word == self.of_kind]
        yield from system.unknown(("target", "service"), self.of_kind, self.target.service, fitting)
