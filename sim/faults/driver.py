"""Runs the faults of a run: each schedule in a task of its own, each occurrence as one `with` block, and a line for whoever reads later.

A fault that is not on costs one entry in the loop's queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sim.faults.fault import Fault, names_of
from sim.faults.injection import RAMP_STEPS, Injection, Shared, Surgeable
from sim.faults.reasons import Reason, because
from sim.faults.schedule import WholeRun, Window
from sim.telemetry.result import FaultInterval

if TYPE_CHECKING:
    from asyncio import Future, Task

    from sim.kernel import SimLoop
    from sim.model.world import World


class Driver:
    """All faults of one run of *duration* seconds. Start it before the first event of the run."""

    def __init__(self, world: World, workloads: Mapping[str, Surgeable], faults: Sequence[Fault], duration: float) -> None:
        self.world, self.workloads, self.duration = world, workloads, duration
        self.shared = Shared()
        self.plans = [Plan(self, fault, name) for fault, name in zip(faults, names_of(faults), strict=True)]
        self._tasks: list[Task[None]] = []

    def start(self) -> None:
        """Let the schedules run. Of those that begin in one instant the names decide who comes first, and not the order in the plan."""
        by_name = {plan.name: plan for plan in sorted(self.plans, key=attrgetter("name"))}
        for plan in by_name.values():
            follows = plan.fault.schedule.follows if plan.fault.schedule is not None else None
            if follows is None:
                self.spawn(plan.run(), plan.name)
            else:
                by_name[follows].followers.append(plan)

    def spawn(self, coroutine: Any, name: str) -> None:
        """Run something beside the rest, to the end of the run."""
        self._tasks.append(self.world.loop.create_task(coroutine, name=f"fault {name}"))

    def add(self, fault: Fault) -> Plan:
        """One more fault, while the run is under way: it is on when its plan is told to be."""
        plan = Plan(self, fault, names_of([*(plan.fault for plan in self.plans), fault])[-1])
        self.plans.append(plan)
        return plan

    @contextmanager
    def hold(self, fault: Fault) -> Iterator[None]:
        """Keep one more fault on while the block lasts, whatever its schedule: for whoever conducts a run by hand."""
        plan = self.add(fault)
        with plan.on(None) as injection:
            following = self.world.loop.create_task(plan.last(injection, None), name=f"fault {plan.name}")
            try:
                yield
            finally:
                following.cancel()

    @property
    def active(self) -> list[str]:
        """The names of the faults that are on."""
        return [plan.name for plan in self.plans if any(interval.until is None for interval in plan.intervals())]

    def intervals(self) -> list[FaultInterval]:
        """Every time that a fault was on, by start."""
        return sorted((interval for plan in self.plans for interval in plan.intervals()), key=lambda interval: interval.start)

    def warn(self) -> list[dict[str, Any]]:
        """At the end: a warning, also as an event, for each fault that changed nothing, with the reason and a cure."""
        plans = sorted(self.plans, key=attrgetter("name"))
        for injection in [injection for plan in plans for injection in plan.occurrences]:
            injection.settle()
        found = [{"name": plan.name, "fault": plan.fault.kind, "why": str(why), "reason": why.key, "values": dict(why.values)}
                 for plan in plans if (why := plan.missed()) is not None]
        for warning in found:
            self.world.recorder.event("fault.missed", **warning)
        return found


class Plan:
    """One fault of the run and the times that it was on."""

    def __init__(self, driver: Driver, fault: Fault, name: str) -> None:
        self.driver, self.fault, self.name = driver, fault, name
        self.followers: list[Plan] = []
        self.occurrences: list[Injection] = []
        streams = driver.world.streams
        self._times = streams[f"fault {name} times"]
        self._rng = streams[f"fault {name}"]

    def intervals(self) -> Iterator[FaultInterval]:
        """When it was on."""
        return (FaultInterval(self.name, self.fault.kind, tuple(one.targets), one.start, one.ended) for one in self.occurrences)

    async def run(self, since: float = 0.0) -> None:
        """Follow the schedule, whose times count from *since*."""
        loop = self.driver.world.loop
        schedule = self.fault.schedule or WholeRun()
        for window in schedule.windows(self._times, self.driver.duration):
            await _sleep_until(loop, since + window.start)
            self.driver.spawn(self._once(window), self.name)

    async def _once(self, window: Window) -> None:
        """Be on for one window, then let the faults that come after this one begin."""
        loop = self.driver.world.loop
        length = window.length if self.fault.own_length() is None else self.fault.own_length()
        until = None if length is None else loop.time() + length
        with self.on(until) as injection:
            await self.last(injection, until)
        if not self.driver.world.recorder.sealed:
            for follower in self.followers:
                self.driver.spawn(follower.run(loop.time()), follower.name)

    @contextmanager
    def on(self, until: float | None) -> Iterator[Injection]:
        """Be on while the block lasts, which is meant to end at *until*; a block that an error ends leaves its end open."""
        world, fault, start = self.driver.world, self.fault, self.driver.world.loop.time()
        injection = Injection(self.name, world, self.driver.workloads, self.driver.shared, self._rng, start, until, fault.ramp)
        with fault.active(injection):
            self.occurrences.append(injection)
            world.recorder.event("fault.on", name=self.name, fault=fault.kind, targets=list(injection.targets))
            yield injection
            injection.settle()
        if not world.recorder.sealed:
            injection.ended = world.loop.time()
            in_vain = {"ignored": injection.ignored} if injection.ignored else {}
            world.recorder.event("fault.off", name=self.name, fault=fault.kind, targets=list(injection.targets), seen=injection.seen,
                                 hits=injection.hits, **in_vain)

    async def last(self, injection: Injection, until: float | None) -> None:
        """Wait until the end, and step along the ramps on the way."""
        loop = self.driver.world.loop
        if injection.ramp is not None:
            for begin, end in injection.ramp.ends(injection.start, until):
                for step in range(1, RAMP_STEPS + 1):
                    await _sleep_until(loop, begin + (end - begin) * step / RAMP_STEPS)
                    injection.step()
        if until is None:
            await loop.create_future()
        else:
            await _sleep_until(loop, until)

    def missed(self) -> Reason | None:
        """Why the fault changed nothing, or None if it did."""
        if not self.occurrences:
            schedule = self.fault.schedule
            if schedule is not None and schedule.follows is not None:
                return because("never followed", fault=schedule.follows)
            ended = self.driver.world.loop.time()
            return (because("never within", seconds=f"{self.driver.duration:g}") if ended >= self.driver.duration
                    else because("never reached", seconds=f"{ended:.4g}"))
        if any(injection.hits for injection in self.occurrences):
            return self.fault.nothing() if self.fault.does_nothing() else None
        if all(not injection.targets for injection in self.occurrences):
            return self.fault.picked_nobody(self.occurrences[-1])
        return self.fault.nothing() if self.fault.does_nothing() else self.fault.missed(self.occurrences[-1])


async def _sleep_until(loop: SimLoop, when: float) -> None:
    """Wait for an exact time; `sleep` would round."""
    if when > loop.time():
        come: Future[None] = loop.create_future()
        timer = loop.call_at(when, come.set_result, None)
        try:
            await come
        finally:
            timer.cancel()
