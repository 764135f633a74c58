"""Faults of clocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.reasons import Reason, because
from sim.units import Duration

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.mesh_tls import Certificates


class ClockSkew(InstanceFault):
    """The calendar of an instance is *offset* ahead of the true time, or `behind` it; with a ramp it drifts there.

    What it judges by the calendar goes wrong: `time.time()` and `datetime.now()` of service code (tokens, leases, timestamps), a cache's
    times to live, the validity of certificates. Timers and monotonic clocks are right. Several skews add up.

    `{kind: clock.skew, target: {service: order-cache}, schedule: {at: 60s, for: 30s}, ramp: {up: 10s}, offset: 5m}`
    """

    severity: ClassVar[str] = "offset"
    of_work: ClassVar[bool] = True
    kind: Literal["clock.skew"] = "clock.skew"
    offset: Duration
    direction: Literal["ahead", "behind"] = "ahead"

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        if goes_by_the_calendar(instance):
            return super().figure(instance, at)
        met = met_by(instance)
        return lambda: sum(certificates.refused.total() for certificates in met)

    def missed(self, at: Injection) -> Reason:
        return because("no calendar", where=", ".join(at.targets))

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        sign = 1 if self.direction == "ahead" else -1
        return at.layer(instance, "clock", lambda strength: sign * self.offset * strength, base=lambda: 0.0,
                        apply=partial(setattr, instance, "clock_offset"), combine=sum)


def goes_by_the_calendar(instance: Instance) -> bool:
    """Whether anything there does: code of the user's, a time to live, or a sidecar that may see certificates that end."""
    spec = instance.node.spec
    return (spec.has_user_code() or getattr(spec, "ttl", None) is not None
            or any(math.isfinite(certificates.expires) for certificates in met_by(instance)))


def met_by(instance: Instance) -> list[Certificates]:
    """Those that the sidecar of *instance* may be shown; none where it has no sidecar."""
    node = instance.node
    meshes = [other.mesh for other in node.world.nodes.values() if other.mesh is not None] if node.mesh is not None else []
    return [mesh.certificates for mesh in meshes if mesh.certificates is not None]
