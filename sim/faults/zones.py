"""Faults of a whole zone: what a data centre without power does to everything in it, at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.network import NetworkPartition
from sim.faults.system import System
from sim.faults.targets import Group, LinkTarget
from sim.spec import Mistake, Spec, invalid

if TYPE_CHECKING:
    from sim.model.instance import Instance


class ZoneTarget(Spec):
    """One zone of the network."""

    zone: str

    @classmethod
    def meant_for(cls, text: str) -> str:
        return "zone"


class ZoneOutage(Fault):
    """A whole zone goes dark: every instance in it is killed, and no message reaches or leaves it, not even word of the death.

    Instances that are added to it meanwhile do not start either. When it ends they all start, empty. *how* says whether messages vanish
    or are refused.

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
        cut = NetworkPartition(target=LinkTarget(to=inside, direction="both"), how=self.how)
        with cut.active(at), ExitStack() as dark:
            def strike(instance: Instance) -> None:
                if inside.fits(instance):
                    at.count(True)
                    dark.enter_context(at.killed(instance))

            at.targets[:] = [inside.text()]
            for instance in list(at.world.instances):
                strike(instance)
            dark.enter_context(at.world.each_new_instance(strike))
            yield

    def mistakes(self, system: System) -> Iterator[Mistake]:
        return system.unknown(("zone",) if self.target is None else ("target", "zone"), "zone", self.hit, system.zones)
