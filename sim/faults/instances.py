"""Faults of instances: killed, out of service, standing still, slow.

                  queued                 in service              new requests      answers on their way back
    kill          connection reset       connection reset        refused           arrive
    ... grace     served, then reset     served, then reset      refused (*)       arrive
    unavailable   served                 served                  refused           arrive
    pause         wait                   stand still, end late   wait unanswered   arrive; those not yet sent wait
    slow          served, later          the rest of it slower   served, slower    arrive

(*) but for those that are on their way as it is told: their callers could not know. They are served.

A killed instance comes back empty, after its start-up time, and its breakers, budgets, pools and balancers begin anew. Faults of one kind
on one instance are counted: the last one to end lets it go. An instance that was restarted is a new process: a pause that was laid on the
old one is over. One that is added while a fault of all is on (by scaling, by a deployment) has it too, except for a kill, which ends what
there is.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.faults.targets import Group, InstanceTarget
from sim.spec import Mistake
from sim.units import Duration

if TYPE_CHECKING:
    from sim.model.instance import Instance


UNASKED = ("registry", "broker")  # kinds of nodes that do something though nobody asks anything of them
DOWN = because("all down")


class InstanceFault(Fault):
    """A fault of instances, picked anew each time that it is on. Where all are meant, those that are added later belong to them."""

    of_kind: ClassVar[str | None] = None  # the one kind of node that it can hit
    of_work: ClassVar[bool] = False  # it changes nothing of an instance that has nothing to do
    joined: ClassVar[bool] = True  # what is added while it is on is hit too, where all are meant
    target: InstanceTarget

    @abstractmethod
    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        """Hit one instance while the block lasts."""
        raise NotImplementedError

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        """What is another as soon as the fault changes something of *instance*, which it is about to strike; None: it does at once."""
        if not self.of_work or instance.node.spec.has_user_code():  # which may work where nobody has asked
            return None
        return partial(work_at, instance)

    def candidates(self, at: Injection) -> list[Instance]:
        """Whom the target's mode picks from."""
        return [instance for instance in at.world.instances if self.fits(instance)]

    def fits(self, instance: Instance) -> bool:
        """Whether it can be hit at all."""
        return self.target.fits(instance) and self.of_kind in (None, instance.node.spec.word)

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        with ExitStack() as struck:
            def strike(instance: Instance) -> None:
                figure = self.figure(instance, at)
                if figure is None:
                    at.count(True)
                else:
                    at.count_if_changed(figure)
                struck.enter_context(self.strike(instance, at))

            def join(new: Instance) -> None:
                if self.fits(new):
                    at.join(new.name)
                    strike(new)

            for instance in self.target.pick(self.candidates(at), at.rng):
                at.targets.append(instance.name)
                strike(instance)
            if self.joined and self.target.mode == "all":
                struck.enter_context(at.world.each_new_instance(join))
            yield

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from self.target.mistakes(system)
        yield from wrong_kind(self.kind, self.of_kind, self.target, system)

    def missed(self, at: Injection) -> Reason:
        return because("nothing asked", where=", ".join(at.targets))

    def picked_nobody(self, at: Injection) -> Reason:
        fitting = len(InstanceFault.candidates(self, at))
        if self.target.mode == "all" or not fitting:
            return self.target.nobody("no instance meanwhile" if self.joined else "no instance at first")
        if self.target.mode == "random-max-percent":
            return because("nobody by chance", number=fitting)
        return DOWN


def work_at(instance: Instance) -> float:
    """Seconds that requests have spent there."""
    now = instance.loop.time()
    return instance.busy.integral(now) + instance.waiting.integral(now)


def wrong_kind(fault: str, of_kind: str | None, target: Group, system: System) -> Iterator[Mistake]:
    """A mistake if *target* can only be something that the fault does not hit."""
    spec = system.services.get(target.node)
    if of_kind is not None and spec is not None and spec.word != of_kind:
        those = [name for name, other in system.services.items() if other.word == of_kind]
        yield Mistake(("target",), f"{fault} hits a {of_kind}, and {target.node!r} is a {spec.word}",
                      f"aim at {' or '.join(those)}" if those else f"the scenario has no {of_kind}")
    if of_kind is not None and target.kind not in (None, of_kind):
        yield Mistake(("target", "kind"), f"{fault} hits a {of_kind}", f"write `kind: {of_kind}`")


class InstanceKill(InstanceFault):
    """The process is gone at once, and with it all that it was doing.

    With *grace* it is told so long before: it signs off, refuses what is new, and goes as soon as it has finished what it has and what is
    on its way to it. Refused are callers who have not heard of it yet, as by any process that closes its listener on SIGTERM and does not
    wait for them (Kubernetes' `preStop`; instances of a `deployment` do wait, for `linger`).

    It starts again, empty, *restart_after* so long; without that when the schedule's `for` is over, or never. A mode that picks, picks
    from those that live. It ends what runs at its moment: instances that are added later live.

    `{kind: instance.kill, target: {service: orders, mode: one}, schedule: {every: 45s, from: 1m, max: 3}, restart_after: 8s}`
    """

    joined: ClassVar[bool] = False
    kind: Literal["instance.kill"] = "instance.kill"
    restart_after: Duration | None = None
    grace: Duration = 0.0

    def own_length(self) -> float | None:
        return None if self.restart_after is None else self.grace + self.restart_after

    def length_field(self) -> str:
        return "restart_after"

    def candidates(self, at: Injection) -> list[Instance]:
        everyone = super().candidates(at)
        return everyone if self.target.mode == "all" else [instance for instance in everyone if instance.up]

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        if not at.shared.held(instance, "killed"):
            return None
        return lambda: at.shared.held(instance, "killed", but_for=at)  # it holds it down longer if the others let it go before

    def missed(self, at: Injection) -> Reason:
        return DOWN

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return self._told_before(instance, at) if self.grace else at.killed(instance)

    @contextmanager
    def _told_before(self, instance: Instance, at: Injection) -> Iterator[None]:
        terminating = at.hold(instance, "terminating", partial(instance.set_terminating, True), partial(instance.set_terminating, False))
        with terminating, ExitStack() as killed:
            end = cache(lambda: killed.enter_context(at.killed(instance)))
            with at.running(self._end_in_time(instance, at, end)):
                yield
            end()  # what was told to end does end

    async def _end_in_time(self, instance: Instance, at: Injection, end: Callable[[], None]) -> None:
        """When it has finished, or when its time is over."""
        loop = at.world.loop
        until = loop.time() + self.grace
        come = min(until, max(instance.coming.values(), default=0.0))
        while loop.time() < come:
            await loop.sleep(come - loop.time())
        while instance.serving and loop.time() < until:
            await asyncio.wait([exchange.task for exchange in instance.serving], timeout=until - loop.time())
        end()


class InstanceSlow(InstanceFault):
    """All work takes *factor* times as long, also the rest of what is under way: a gray replica, alive and useless.

    `{kind: instance.slow, target: {service: orders, mode: one}, schedule: {random: {rate: 2/min, for: {exponential: 20s}}}, factor: 8}`
    """

    severity: ClassVar[str] = "factor"
    neutral: ClassVar[float] = 1.0
    of_work: ClassVar[bool] = True
    kind: Literal["instance.slow"] = "instance.slow"
    factor: float = Field(gt=0, le=1e6)

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return at.slow(instance, lambda strength: 1 + (self.factor - 1) * strength)


class InstanceUnavailable(InstanceFault):
    """New requests are refused and health checks fail; what the instance has, it finishes.

    `{kind: instance.unavailable, target: {instance: orders-1}, schedule: {at: 60s, for: 30s}}`
    """

    kind: Literal["instance.unavailable"] = "instance.unavailable"

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        def in_service() -> bool:
            """But for this fault, once it has started."""
            ends = instance.terminating or instance.draining
            return instance.up and not ends and not at.shared.held(instance, "unavailable", but_for=at)

        return None if in_service() else in_service  # what comes back is kept out

    def missed(self, at: Injection) -> Reason:
        return because("took no requests", where=", ".join(at.targets))

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return at.hold(instance, "unavailable", partial(instance.set_unavailable, True), partial(instance.set_unavailable, False))


class InstancePause(InstanceFault):
    """The process stands still, as under SIGSTOP: it is there, accepts connections, and does nothing (see sim.model.pause).

    `{kind: instance.pause, target: {service: orders, mode: fixed, value: 2}, schedule: {at: 60s, for: 5s}}`
    """

    kind: Literal["instance.pause"] = "instance.pause"

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        if not instance.up:
            at.ignored += 1
            return lambda: 0.0  # it is of the process that runs; there is none
        spec = instance.node.spec
        if spec.has_user_code() or spec.word in UNASKED:
            return None
        return lambda: work_at(instance) + (len(instance.pause_now.held) if instance.pause_now is not None else 0)

    def missed(self, at: Injection) -> Reason:
        if at.ignored == len(at.targets):
            return because("down cannot pause", where=", ".join(at.targets))
        return super().missed(at)

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return at.paused(instance)
