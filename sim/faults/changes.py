"""Faults that people bring in: a bad version of a service, a bad configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.nodes import NodeFault
from sim.model.config import ConfigUpdatesSpec
from sim.model.versions import Behaviour, behave
from sim.spec import Mistake, Spec, invalid
from sim.units import Share

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.node import Node


class Badness(Spec):
    """What is bad about it: *speed* 0.5 works half as fast; a share of the requests fails with *error_status* before any work; a process
    that *crashes* does so as it starts, and is started again after longer and longer waits.
    """

    speed: float = Field(default=1.0, gt=0, le=1000)
    error_rate: Share = 0.0
    error_status: int = Field(default=500, ge=400, le=599)
    crashes: bool = False

    @model_validator(mode="after")
    def _something_is_bad(self) -> Badness:
        if self.speed == 1 and not self.error_rate and not self.crashes:
            raise invalid(Mistake((), "nothing is bad about it", "add `error_rate: 20%`, `speed: 0.5` or `crashes: true`"))
        return self

    def behaviour(self) -> Behaviour:
        """As instances know it."""
        return Behaviour.model_construct(speed=self.speed, error_rate=self.error_rate, error_status=self.error_status, crashes=self.crashes)


class DeployBadVersion(Badness, InstanceFault):
    """A bad version runs on the instances that are picked: on all of them, or on a share like a canary (`mode: fixed-percent`). Where all
    are meant, those that are added later have it too. When the fault ends the version before is back, and runs at once.

    `{kind: deploy.bad_version, target: {service: orders, mode: fixed-percent, value: 34%}, schedule: {at: 60s, for: 30s}, error_rate: 20%}`
    """

    kind: Literal["deploy.bad_version"] = "deploy.bad_version"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        with super().active(at), ExitStack() as later:
            if self.target.mode == "all":

                def join(new: Instance) -> None:
                    if self.target.fits(new):
                        later.enter_context(self.strike(new, at))

                later.enter_context(at.world.each_new_instance(join))
            yield

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        undo = behave(instance, self.behaviour(), f"{at.name} at {at.start:g} s")
        try:
            yield
        finally:
            undo()
            if self.crashes:
                at.revive(instance)


class ConfigBad(Badness, NodeFault):
    """A bad configuration is published: its values in *set*, and what they do to whoever has them. It reaches the instances as the
    service's `config_updates` say (at once, if they say nothing), and so does the good one when the fault ends.

    `{kind: config.bad, target: {service: orders}, schedule: {at: 60s, for: 30s}, set: {pool_size: 1}, speed: 0.2}`
    """

    of_kind: ClassVar[str] = "service"
    kind: Literal["config.bad"] = "config.bad"
    set: dict[str, Any] = Field(default={})

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        node = self.hit(at)
        bad = at.shared.of(node, "configurations", partial(Published, node))
        bad.lay(at, self.set, self.behaviour())
        try:
            yield
        finally:
            bad.lift(at)


class Published:
    """The bad configurations that are out at a time, as one; when the last is taken back, what was there before is published again."""

    def __init__(self, node: Node) -> None:
        if node.configuration is None:
            node.configuration = ConfigUpdatesSpec().build(node)
        self._configuration = node.configuration
        self._before = 0
        self._out: dict[object, tuple[dict[str, Any], Behaviour]] = {}

    def lay(self, key: object, values: dict[str, Any], behaviour: Behaviour) -> None:
        """Publish one more."""
        if not self._out:
            self._before = self._configuration.newest
        self._out[key] = values, behaviour
        self._publish()

    def lift(self, key: object) -> None:
        """Take one back."""
        del self._out[key]
        if self._out:
            self._publish()
        else:
            self._configuration.back_to(self._before)

    def _publish(self) -> None:
        values: dict[str, Any] = {}
        for some, _ in self._out.values():
            values |= some
        all_of_them = [behaviour for _, behaviour in self._out.values()]
        failing = [behaviour for behaviour in all_of_them if behaviour.error_rate]
        self._configuration.push(values, Behaviour.model_construct(
            speed=prod(sorted(behaviour.speed for behaviour in all_of_them)),
            error_rate=1 - prod(sorted(1 - behaviour.error_rate for behaviour in all_of_them)),
            error_status=failing[0].error_status if failing else 500,
            crashes=any(behaviour.crashes for behaviour in all_of_them),
        ))
