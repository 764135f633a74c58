"""Faults of clocks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.units import Duration

if TYPE_CHECKING:
    from sim.model.instance import Instance


class ClockSkew(InstanceFault):
    """The calendar of an instance is *offset* ahead of the true time, or `behind` it; with a ramp it drifts there.

    What it judges by the calendar goes wrong: `time.time()` and `datetime.now()` of service code (tokens, leases, timestamps), a cache's
    times to live, the validity of certificates. Timers and monotonic clocks are right. Several skews add up.

    `{kind: clock.skew, target: {service: orders, mode: one}, schedule: {at: 60s, for: 30s}, ramp: {up: 10s}, offset: 5m}`
    """

    severity: ClassVar[str] = "offset"
    kind: Literal["clock.skew"] = "clock.skew"
    offset: Duration
    direction: Literal["ahead", "behind"] = "ahead"

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        sign = 1 if self.direction == "ahead" else -1
        return at.layer(instance, "clock", lambda strength: sign * self.offset * strength, base=lambda: 0.0,
                        apply=partial(setattr, instance, "clock_offset"), combine=sum)
