"""Faults of a whole zone: what a data centre without power does to everything in it, at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.instances import InstanceKill
from sim.faults.network import NetworkPartition
from sim.faults.system import System
from sim.faults.targets import Group, InstanceTarget, LinkTarget
from sim.spec import Mistake


class ZoneOutage(Fault):
    """A whole zone goes dark: every instance in it is killed, and no message reaches or leaves it, not even word of the death.

    When it ends the instances start again, empty. *how* says whether messages vanish or are refused.

    `{kind: zone.outage, zone: b, schedule: {at: 60s, for: 30s}}`
    """

    kind: Literal["zone.outage"] = "zone.outage"
    zone: str
    how: Literal["drop", "reject"] = "drop"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        inside = Group(zone=self.zone)
        kill = InstanceKill(target=InstanceTarget(zone=self.zone))
        cut = NetworkPartition(target=LinkTarget(to=inside, direction="both"), how=self.how)
        with cut.active(at), kill.active(at):
            at.targets[:] = [f"zone {self.zone}"] if inside.members(at.world) else []
            yield

    def mistakes(self, system: System) -> Iterator[Mistake]:
        return system.unknown(("zone",), "zone", self.zone, system.zones)
