"""Faults of a whole zone: what a data centre without power does to everything in it, at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import model_validator

from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.instances import InstanceKill
from sim.faults.network import NetworkPartition
from sim.faults.system import System
from sim.faults.targets import Group, InstanceTarget, LinkTarget
from sim.spec import Mistake, Spec, invalid


class ZoneTarget(Spec):
    """One zone of the network."""

    zone: str


class ZoneOutage(Fault):
    """A whole zone goes dark: every instance in it is killed, and no message reaches or leaves it, not even word of the death.

    When it ends the instances start again, empty. *how* says whether messages vanish or are refused.

    `{kind: zone.outage, target: {zone: b}, schedule: {at: 60s, for: 30s}}`, or `zone: b` alone
    """

    kind: Literal["zone.outage"] = "zone.outage"
    target: ZoneTarget | None = None
    zone: str | None = None
    how: Literal["drop", "reject"] = "drop"

    @model_validator(mode="after")
    def _one_zone(self) -> ZoneOutage:
        if (self.target is None) == (self.zone is None):
            raise invalid(Mistake((), "it hits one zone, and this names none" if self.zone is None else "its zone is named twice",
                                  "write `target: {zone: ...}`"))
        return self

    @property
    def hit(self) -> str:
        """The name of the zone."""
        return self.target.zone if self.target is not None else str(self.zone)

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        inside = Group(zone=self.hit)
        kill = InstanceKill(target=InstanceTarget(zone=self.hit))
        cut = NetworkPartition(target=LinkTarget(to=inside, direction="both"), how=self.how)
        with cut.active(at), kill.active(at):
            at.targets[:] = [f"zone {self.hit}"] if inside.members(at.world) else []
            yield

    def mistakes(self, system: System) -> Iterator[Mistake]:
        return system.unknown(("zone",) if self.target is None else ("target", "zone"), "zone", self.hit, system.zones)
