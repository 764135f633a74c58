"""Autoscaling: as many instances as keep a measure at its target.

    wanted = ceil(instances * measured / target)      unless measured lies within the tolerance of the target

What is measured is what was used on average over a window, by what the instances of now have: those that have come meanwhile will take
their part, so that a window which is longer than the time between two looks does not let it grow twice for one load. To grow, all
wishes of the last *cooldown_up* must have been that high; to shrink, all of the last *cooldown_down* that low, so that a short dip costs
nothing. New instances take time to start; those that go finish what they have. Who is down at two looks in a row is not taken for idle:
others are started for it, within the maximum, to which it counts. Source: Kubernetes, horizontal pod autoscaling.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from sim.mistakes import Mistake, invalid
from sim.spec import Spec
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.node import Node

TARGETS = ("utilisation", "cpu", "in_flight")


class AutoscaleSpec(Spec):
    """Between *min* and *max* instances: as many as keep the share of workers that are busy (*utilisation*), that of the cores (*cpu*), or
    the requests in an instance (*in_flight*, queue included) at the target. Looked at each *every*, averaged over *window*."""

    utilisation: Share | None = Field(default=None, gt=0)
    cpu: Share | None = Field(default=None, gt=0)
    in_flight: float | None = Field(default=None, gt=0)
    min: int = Field(default=1, ge=1)
    max: int = Field(ge=1, le=10_000)
    every: PositiveDuration = 15.0
    window: PositiveDuration = 30.0
    tolerance: Share = 0.1
    cooldown_up: Duration = 0.0
    cooldown_down: Duration = 300.0
    linger: Duration = 1.0
    drain_timeout: PositiveDuration = 30.0

    @model_validator(mode="after")
    def _one_target(self) -> AutoscaleSpec:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"scaling needs one target, not {' and '.join(given) or 'none'}"
            raise invalid(Mistake((), what, "write `utilisation: 60%` or `in_flight: 8`"))
        if self.min > self.max:
            raise invalid(Mistake(("min",), f"at least {self.min} and at most {self.max} cannot be", "make `min` smaller"))
        return self


class Autoscaler:
    """Of one *node*; it looks from `begin` on, for ever, and stays out of deployments that are under way."""

    def __init__(self, node: Node, spec: AutoscaleSpec) -> None:
        self.node, self.spec = node, spec
        self._areas: deque[tuple[float, float]] = deque()  # time, and what was used, integrated
        self._has = node.workers if spec.utilisation is not None else (node.cores or 1.0) if spec.cpu is not None else 1  # one instance
        self._wishes: deque[tuple[float, int]] = deque()
        self._down: list[Instance] = []  # at the last look

    def begin(self) -> None:
        """Start to look."""
        self._areas.append(self._area())
        self._wishes.append((self.node.world.loop.time(), len(self.node.instances)))
        self.node.world.loop.after(self.spec.every, self._look)

    def _area(self) -> tuple[float, float]:
        now, some = self.node.world.loop.time(), self.node.ever
        if self.spec.cpu is not None:
            return now, sum(instance.cpu.used(now) for instance in some if instance.cpu is not None)
        busy = sum(instance.busy.integral(now) for instance in some)
        return now, busy if self.spec.utilisation is not None else busy + sum(instance.waiting.integral(now) for instance in some)

    def measured(self, present: int) -> float:
        """What the target is about: the average of the window, by what *present* instances have."""
        (before, used_before), (now, used) = self._areas[0], self._areas[-1]
        there = present * self._has * (now - before)
        return (used - used_before) / there if there > 0 else 0.0

    def _look(self) -> None:
        spec, node, now = self.spec, self.node, self.node.world.loop.time()
        node.world.loop.after(spec.every, self._look)
        self._areas.append(self._area())
        while len(self._areas) > 2 and self._areas[1][0] <= now - spec.window:
            self._areas.popleft()
        if node.deployment is not None and node.deployment.state == "running":
            return
        living, dead = self._found()
        present = len(living)
        wish = min(self._wish(present, now), spec.max - dead)
        if wish != present:
            node.world.recorder.event("autoscale", node=node.name, before=present, instances=wish, measured=self.measured(present))
            self._scale(living, wish)

    def _found(self) -> tuple[list[Instance], int]:
        """Who is there, and how many are dead: those that were down at the last look already."""
        staying, before = self.node.staying(), self._down
        self._down = [instance for instance in staying if not instance.up]
        living = [instance for instance in staying if instance.up or instance not in before]
        return living, len(staying) - len(living)

    def _wish(self, present: int, now: float) -> int:
        spec = self.spec
        target = spec.utilisation or spec.cpu or spec.in_flight or 1.0
        ratio = self.measured(present) / target
        wish = present if abs(ratio - 1) <= spec.tolerance else math.ceil(present * ratio - 1e-9)
        wish = max(spec.min, min(spec.max, wish))
        self._wishes.append((now, wish))
        while self._wishes[0][0] < now - max(spec.cooldown_up, spec.cooldown_down):
            self._wishes.popleft()
        lowest = min(one for at, one in self._wishes if at >= now - spec.cooldown_up)
        highest = max(one for at, one in self._wishes if at >= now - spec.cooldown_down)
        return max(lowest, present) if wish > present else min(highest, present)

    def _scale(self, living: list[Instance], wanted: int) -> None:
        node = self.node
        for _ in range(wanted - len(living)):
            node.add_instance(node.version)
        if wanted < len(living):  # those that do not serve yet first, then the youngest
            leaving = sorted(living, key=lambda instance: (instance.healthy, -instance.number))[: len(living) - wanted]
            for instance in leaving:
                instance.drain(self.spec.linger, self.spec.drain_timeout)
