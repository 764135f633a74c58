"""Configuration that changes while a service runs: a new value reaches each instance at its own time, or not at all.

    watch    each instance hears of a change after a delay of its own; a share of the words is lost
    poll     each instance asks by itself, every so often, and at a moment of its own

An instance that was not there, or has not heard, reads the present values when its process starts. Until all have them, instances of
one service differ. What a value does to whoever has it (slow, failing, crashing) stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from sim.distributions import Constant, TimeDistribution
from sim.mistakes import Mistake, invalid
from sim.model.versions import Behaviour, behave, together
from sim.spec import Spec
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.node import Node


Values = tuple[dict[str, Any], Behaviour]  # of a configuration, and what they do to whoever has them


class ChangeSpec(Behaviour):
    """At time *at* the values in *set* change; whoever has them behaves as the other fields say."""

    at: Duration
    set: dict[str, Any] = {}


class ConfigUpdatesSpec(Spec):
    """How *changes* of `config` reach the instances: by a *watch*, after such a delay, of which a share is *lost*;
    or by asking each *poll*."""

    watch: TimeDistribution | None = None
    lost: Share = 0.0
    poll: PositiveDuration | None = None
    changes: list[ChangeSpec] = []

    @model_validator(mode="after")
    def _one_way(self) -> ConfigUpdatesSpec:
        if self.poll is not None:
            wrong = [name for name in ("watch", "lost") if name in self.written()]
            if wrong:
                raise invalid(*(Mistake((name,), f"`{name}` does not go with `poll`: an instance that asks hears what it asks for",
                                        "leave one of them out", at_key=True) for name in wrong))
        return self

    def build(self, node: Node) -> Configuration:
        """At the start of a run."""
        return Configuration(node, self)


class Configuration:
    """The values of one *node*: what they are, and how far each instance has got. Version 0 is what the scenario starts with."""

    def __init__(self, node: Node, spec: ConfigUpdatesSpec) -> None:
        self.node, self.spec = node, spec
        self._own: Values = ({}, Behaviour.model_construct())  # what its changes have come to
        self._over: dict[object, Values] = {}  # what is published over that, until it is taken back
        self.versions = [self._own]
        self._has: dict[Instance, int] = {}
        self._base: dict[Instance, dict[str, Any]] = {}  # what they were started with
        self._undo: dict[Instance, Callable[[], None]] = {}
        self._phase: dict[Instance, float] = {}  # when an instance asks, in seconds after each full period
        self._dice = node.world.streams[f"{node.name} configuration"]
        watch = spec.watch or Constant.model_construct(value=0.0)
        self._delay = watch.sampler(node.world.streams[f"{node.name} configuration watch"])

    def begin(self) -> None:
        """Let the changes of the scenario come."""
        for change in self.spec.changes:
            self.node.world.loop.after(change.at, self.push, change.set, change)

    @property
    def newest(self) -> int:
        """The number of the present version."""
        return len(self.versions) - 1

    def push(self, values: dict[str, Any], behaviour: Behaviour | None = None) -> int:
        """Lay *values* over what was there, for good; who has them behaves so. Return the number of this version."""
        self._own = {**self._own[0], **values}, behaviour or Behaviour.model_construct()
        return self._publish()

    def lay(self, key: object, values: dict[str, Any], behaviour: Behaviour) -> int:
        """As `push`, until *key* is lifted, and whatever is pushed meanwhile; several such behaviours come together."""
        self._over[key] = values, behaviour
        return self._publish()

    def lift(self, key: object) -> int:
        """Take back what was laid as *key*: published is what there would be without it. It reaches the instances as any change does."""
        del self._over[key]
        return self._publish()

    def version_at(self, instance: Instance) -> int:
        """What *instance* has."""
        return self._has.get(instance, 0)

    def _publish(self) -> int:
        values, behaviour = self._own
        for some, _ in self._over.values():
            values = {**values, **some}
        self.versions.append((values, together([behaviour, *(theirs for _, theirs in self._over.values())]) if self._over else behaviour))
        loop = self.node.world.loop
        self.node.world.recorder.event("config.changed", node=self.node.name, version=self.newest)
        for instance in self.node.instances:
            if self.spec.poll is not None:
                loop.post(self._until_poll(instance, self.spec.poll), self.read, instance)
            elif not self.spec.lost or self._dice.random() >= self.spec.lost:
                loop.post(self._delay(), self.read, instance)
        return self.newest

    def _until_poll(self, instance: Instance, period: float) -> float:
        phase = self._phase.setdefault(instance, self._dice.uniform(0, period))
        now = self.node.world.loop.time()
        return (math.floor((now - phase) / period) + 1) * period + phase - now

    def read(self, instance: Instance) -> None:
        """*instance* has what is newest from now on, if it lives."""
        if not instance.up or self.version_at(instance) == self.newest:
            return
        self._has[instance] = self.newest
        values, behaviour = self.versions[self.newest]
        base = self._base.setdefault(instance, dict(instance.config))
        instance.config.clear()  # the same object as before: the process looks into it
        instance.config.update({**base, **values})
        if instance in self._undo:
            self._undo.pop(instance)()
        self.node.world.recorder.event("config.applied", node=self.node.name, instance=instance.name, version=self.newest)
        self._undo[instance] = behave(instance, behaviour, "config")
