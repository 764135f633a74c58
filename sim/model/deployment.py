"""Deployments: how a service gets from one version to the next while it serves.

    rolling       a few instances at a time: new ones are started, and old ones leave when they are ready
    canary        a growing share of the calls goes to the new version, as long as it does well
    blue_green    all of the new version is started beside the old; then all calls change over at once

An instance that leaves gets no new calls and finishes those it has; one that comes takes calls when it has started, and counts as ready
when its callers can find it. Where an `analysis` is given, a version that does badly is rolled back.
"""

from __future__ import annotations

import math
from asyncio import Future, Task
from collections.abc import Callable
from itertools import pairwise
from operator import gt
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator, model_validator

from sim.mistakes import Mistake, invalid
from sim.model.analysis import Analysis, AnalysisSpec
from sim.model.splits import split
from sim.model.versions import VersionSpec
from sim.spec import OneKey, Spec
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.instance import Instance
    from sim.model.node import Node

LOOK = 1.0  # seconds between two looks at how a version does


class Strategy(Spec):
    """Base of the ways to deploy."""

    async def run(self, deployment: Deployment) -> None:
        """Bring the new version in; return when it has all calls, raise RolledBack if it does badly."""
        raise NotImplementedError

    async def undo(self, deployment: Deployment) -> None:
        """Bring the version before back."""
        raise NotImplementedError


def _of(part: int | float, whole: int, rounded: Callable[[float], int]) -> int:
    return part if isinstance(part, int) else rounded(part * whole)


class Rolling(Strategy):
    """At most *max_surge* instances more than wanted, and at most *max_unavailable* fewer that callers can use; shares or numbers. The
    version is watched for *bake* when all of it is there."""

    max_surge: Annotated[int, Field(ge=0)] | Share = 0.25
    max_unavailable: Annotated[int, Field(ge=0)] | Share = 0.25
    bake: Duration = 0.0

    @model_validator(mode="after")
    def _can_move(self) -> Rolling:
        if not self.max_surge and not self.max_unavailable:
            raise invalid(Mistake((), "with no instance more and none fewer nothing can be replaced", "write `max_surge: 1`"))
        return self

    async def run(self, deployment: Deployment) -> None:
        wanted = deployment.wanted
        surge = _of(self.max_surge, wanted, math.ceil)
        unavailable = _of(self.max_unavailable, wanted, math.floor)
        if not surge and not unavailable:
            unavailable = 1
        await deployment.until(lambda: deployment.step(wanted, surge, unavailable))
        await deployment.observe(self.bake)

    async def undo(self, deployment: Deployment) -> None:
        deployment.turn_round()
        await self.run(deployment)


class Canary(Strategy):
    """Each of the *steps* is a share of the calls, for *interval*; the new version has as large a share of the instances."""

    steps: list[Share] = Field(default=[0.05, 0.25, 0.5], min_length=1)
    interval: PositiveDuration = 30.0

    @field_validator("steps")
    @classmethod
    def _rise(cls, steps: list[float]) -> list[float]:
        for index, (before, after) in enumerate(pairwise(steps), 1):
            if after <= before:
                raise invalid(Mistake((index,), "the share of the new version does not grow", "write steps that rise: [5%, 25%, 50%]"))
        return steps

    async def run(self, deployment: Deployment) -> None:
        for share in self.steps:
            await deployment.ready(max(1, math.ceil(share * deployment.wanted)))
            deployment.shift(share)
            await deployment.observe(self.interval)
        await deployment.ready(deployment.wanted)
        deployment.shift(1.0)
        deployment.retire(deployment.old())

    async def undo(self, deployment: Deployment) -> None:
        deployment.shift(0.0)
        deployment.retire(deployment.new())


class BlueGreen(Strategy):
    """The new version gets no calls until all of it has been ready for *preview*; the old one is kept for *keep* after the change."""

    preview: Duration = 0.0
    keep: Duration = 30.0

    async def run(self, deployment: Deployment) -> None:
        deployment.shift(0.0)
        await deployment.ready(deployment.wanted)
        await deployment.node.world.loop.sleep(self.preview)
        deployment.shift(1.0)
        await deployment.observe(self.keep)
        deployment.retire(deployment.old())

    async def undo(self, deployment: Deployment) -> None:
        deployment.shift(0.0)
        deployment.retire(deployment.new())


STRATEGIES: dict[str, type[Strategy]] = {"rolling": Rolling, "canary": Canary, "blue_green": BlueGreen}
AnyStrategy = Annotated[Strategy, OneKey("strategy", lambda: STRATEGIES, "strategies")]


class DeploymentSpec(Spec):
    """At time *at* the service goes over to *version*, by a *strategy*; with *analysis* it goes back if the version does badly.

    An instance that leaves waits *linger* for callers that have not heard of it, and is killed after *drain_timeout* at the latest. Where
    for *progress_deadline* no more instances become ready and none leave, it is rolled back if there is an *analysis*, and else has failed:
    both versions stay as they are, and scaling goes on, with the old one.
    """

    at: Duration = 0.0
    version: VersionSpec
    strategy: AnyStrategy = Field(default_factory=lambda: Rolling.model_construct())
    analysis: AnalysisSpec | None = None
    linger: Duration = 1.0
    drain_timeout: PositiveDuration = 30.0
    progress_deadline: PositiveDuration = 600.0  # as Kubernetes' progressDeadlineSeconds


class RolledBack(Exception):
    """The new version does badly."""


class Superseded(Exception):
    """It had failed, and another deployment has begun."""


class Deployment:
    """One deployment of *node*. It begins with `begin`, and may be ended with `roll_back`."""

    def __init__(self, node: Node, spec: DeploymentSpec) -> None:
        self.node, self.spec = node, spec
        self.version: VersionSpec | None = spec.version  # what is brought in now
        self.before: VersionSpec | None = node.version
        self.name = spec.version.name  # as events call it
        self.wanted = 0
        self.surplus = 0  # instances more than wanted, where it has failed
        self.state = "planned"
        self.waited_for = False  # others come when it is over, and are not refused while it is under way
        self._undoing = False
        self._task: Task[None] | None = None
        self._analysis = Analysis(spec.analysis) if spec.analysis is not None else None
        self._bad: str | None = None
        self._change: Future[None] | None = None

    @classmethod
    def back_to(cls, version: VersionSpec | None, node: Node, spec: DeploymentSpec) -> Deployment:
        """Bring back a *version* that is known to be good, in the way of *spec*: nothing is judged."""
        back = cls(node, spec.model_copy(update={"analysis": None}))
        back.version, back.name = version, name_of(version)
        return back

    # how it goes

    def begin(self) -> None:
        """Start now."""
        loop = self.node.world.loop
        self._task = loop.create_task(self.run(), name=f"{self.node.name} deployment")

    async def run(self) -> None:
        """From its start to its end, which `state` tells: done, rolled_back, failed or refused."""
        node = self.node
        while (last := node.deployment) is not None and last.state == "running" and last.waited_for:
            await node.world.loop.sleep(LOOK)
        if last is not None and last.state == "running":
            self._tell("refused", reason="another deployment is under way")
            self.state = "refused"
            return
        node.deployment, node.weights = self, None
        self._count(last.surplus if last is not None else 0)
        if last is not None:
            last.changed()  # if it had failed it ends now
        self.before = node.version
        node.watchers.append(self.changed)
        self._tell("started", strategy=type(self.spec.strategy).__name__)
        watching = node.world.loop.create_task(self._look(), name=f"{node.name} analysis") if self._analysis is not None else None
        try:
            await self._go()
        except Superseded:
            pass
        finally:
            node.watchers.remove(self.changed)
            if watching is not None:
                watching.cancel()
            if self._analysis is not None:
                self._analysis.end()

    async def _go(self) -> None:
        """There, or back again."""
        try:
            await self.spec.strategy.run(self)
            self.state, self.node.version = "done", self.version
            self._tell("done")
        except RolledBack as error:
            self._tell("rolling_back", reason=str(error))
            if self.state == "failed":
                self._count(self.surplus)
            self._bad, self._undoing = None, True
            await self.spec.strategy.undo(self)
            self.state = "rolled_back"
            self._tell("rolled_back")

    def _count(self, surplus: int) -> None:
        """It is under way from here on, with as many instances as there are now, but for the *surplus* of one that has failed."""
        self.state, self.surplus, self.wanted = "running", 0, len(self.node.staying()) - surplus

    def roll_back(self, reason: str = "as asked") -> None:
        """Go back to the version before, if it is not done yet."""
        if not self._undoing:
            self._bad = reason
            self.changed()

    def _tell(self, what: str, **fields: Any) -> None:
        self.node.world.recorder.event(f"deployment.{what}", node=self.node.name, version=self.name, **fields)

    async def _look(self) -> None:
        assert self._analysis is not None, "only an analysis looks"
        while True:
            await self.node.world.loop.sleep(LOOK)
            wrong = self._analysis.verdict()
            if wrong is not None:
                self.roll_back(wrong)
                return

    # what strategies do with it

    def new(self) -> list[Instance]:
        """Instances of the version that comes."""
        return [instance for instance in self.node.staying() if instance.version == name_of(self.version)]

    def old(self) -> list[Instance]:
        """All others."""
        return [instance for instance in self.node.staying() if instance.version != name_of(self.version)]

    def turn_round(self) -> None:
        """The version before comes back."""
        self.version, self.before = self.before, self.version

    def add(self) -> None:
        """Start one more of the version that comes."""
        instance = self.node.add_instance(self.version)
        if self._analysis is not None:
            self._analysis.watch(instance)

    def retire(self, instances: list[Instance]) -> None:
        """Let them leave."""
        for instance in instances:
            instance.drain(self.spec.linger, self.spec.drain_timeout)

    def step(self, wanted: int, surge: int, unavailable: int) -> bool:
        """Start and retire as many as the limits allow; True when all is done. Old ones that are not ready go first, as Kubernetes has it:
        those that take no calls at once, and those that only cannot be found as soon as enough others are there or on their way."""
        self.retire([instance for instance in self.old() if not instance.healthy])
        moved = True
        while moved:
            new, old = self.new(), self.old()
            missing = min(wanted - len(new), wanted + surge - len(new) - len(old))
            for _ in range(missing):
                self.add()
            usable = [instance for instance in old if self.usable(instance)]
            lost = [instance for instance in old if not self.usable(instance)]
            ready, least = self.ready_ones(), wanted - unavailable
            to_come = len(self.new()) - ready
            leaving = lost[: max(0, len(self.new()) + len(old) - least - to_come)] + usable[: max(0, ready + len(usable) - least)]
            self.retire(leaving)
            moved = missing > 0 or bool(leaving)
        return not self.old() and self.ready_ones() >= wanted

    def usable(self, instance: Instance) -> bool:
        """It takes calls, and can be found by who goes by a registry."""
        registry = self.node.world.registry
        return instance.healthy and (registry is None or registry.lists(instance))

    def ready_ones(self) -> int:
        """How many of the new version callers can use."""
        return sum(map(self.usable, self.new()))

    async def ready(self, number: int) -> None:
        """Wait until so many of the new version are ready, and start what is missing."""
        while len(self.new()) < number:
            self.add()
        await self.until(lambda: self.ready_ones() >= number)

    def adopt(self, client: Client) -> None:
        """A new caller goes by the weights too."""
        split(self.node, client, name_of(self.before))

    def shift(self, share: float) -> None:
        """The new version gets a *share* of the calls, and the old one the rest."""
        node = self.node
        for client in node.clients:
            self.adopt(client)
        node.weights = {name_of(self.before): 1 - share, name_of(self.version): share}
        if self._analysis is not None:
            self._analysis.start_again()
        self._tell("shifted", share=share)

    async def observe(self, seconds: float) -> None:
        """Let so much time pass; raise RolledBack if the version turns out to do badly."""
        loop = self.node.world.loop
        until = loop.time() + seconds
        while loop.time() < until:
            await self._wait(until)

    async def until(self, done: Callable[[], bool]) -> None:
        """Ask *done* at each change, until it says so; raise RolledBack if the version is to go.

        Where it gets no further it is given up after a while.
        """
        loop = self.node.world.loop
        furthest, late_at = (-1.0, -math.inf), 0.0
        while not done():
            reached = self.ready_ones(), -len(self.old())
            if any(map(gt, reached, furthest)):
                furthest = max(reached[0], furthest[0]), max(reached[1], furthest[1])
                late_at = loop.time() + self.spec.progress_deadline
            elif loop.time() >= late_at:
                await self._give_up()
            await self._wait(late_at)

    async def _give_up(self) -> None:
        """It is rolled back; or it has failed, and nothing is done until it is rolled back or another deployment begins."""
        node = self.node
        why = f"no progress for {self.spec.progress_deadline:g} s: {self.ready_ones()} of {len(self.new())} new instances are ready"
        if self._analysis is not None and not self._undoing:
            raise RolledBack(why)
        self.state, self.surplus = "failed", len(node.staying()) - self.wanted
        self._tell("failed", reason=why)
        while node.deployment is self:
            await self._wait(math.inf)
        raise Superseded

    async def _wait(self, until: float) -> None:
        """Until instances come, go or become ready, or it is *until*; raise RolledBack if the version is to go."""
        self._refuse_bad()
        loop = self.node.world.loop
        self._change = loop.create_future()
        timer = loop.call_at(until, self.changed)
        try:
            await self._change
        finally:
            timer.cancel()
        self._refuse_bad()

    def _refuse_bad(self) -> None:
        if self._bad is not None:
            raise RolledBack(self._bad)

    def changed(self) -> None:
        """Something is different that a deployment may wait for."""
        if self._change is not None and not self._change.done():
            self._change.set_result(None)


def name_of(version: VersionSpec | None) -> str:
    """As instances have it."""
    return version.name if version is not None else ""

