"""Faults of resources: CPU that others take, memory that leaks, pools that run dry."""

from __future__ import annotations

import math
from asyncio import Future, Task
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.model.node import UNBOUNDED
from sim.spec import Mistake, invalid
from sim.units import Duration, PositiveDuration, Rate, Share, Size

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.pool import ConnectionPool

SHORTEST = 1e-3  # seconds between two collections
LOOK = 0.1  # seconds after which a leak looks how strong it is now, and whose memory it is


class ResourceCpu(InstanceFault):
    """Others take a *load* of the CPU: what is left does the work, which takes 1/(1 - load) times as long.

    `{kind: resource.cpu, target: {service: orders}, schedule: {at: 60s, for: 30s}, ramp: {up: 10s}, load: 80%}`
    """

    severity: ClassVar[str] = "load"
    of_work: ClassVar[bool] = True
    kind: Literal["resource.cpu"] = "resource.cpu"
    load: Share = Field(lt=1)

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return at.slow(instance, lambda strength: 1 / (1 - self.load * strength))


class ResourcePool(InstanceFault):
    """Workers, or a database's connections, are gone: a share *taken* of them at once, or so many each second that leak away (*leak*).
    With *of* it is the connections that the instances keep to that database, in their `pool`.

    Who holds one keeps it. When the fault ends all come back, as after a restart of whoever held them.

    `{kind: resource.pool, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, leak: 1/s}`
    """

    severity: ClassVar[str] = "taken"
    kind: Literal["resource.pool"] = "resource.pool"
    of: str | None = None
    taken: Share = 0.0
    leak: Rate = 0.0

    @model_validator(mode="after")
    def _something_goes(self) -> ResourcePool:
        if not self.taken and not self.leak:
            raise invalid(Mistake((), "nothing is taken from the pool", "add `taken: 80%`, or `leak: 1/s`"))
        if self.ramp is not None and not self.taken:
            raise invalid(Mistake(("ramp",), "what leaks grows by itself; a ramp is of what is `taken`", "remove the ramp"))
        return self

    def does_nothing(self) -> bool:
        return not self.taken and not self.leak

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        if self.of is None:
            return lambda: instance.waiting.integral(at.world.loop.time()) + instance.rejected
        return lambda: sum(pool.waits for pool in self._pools(instance))

    def missed(self, at: Injection) -> Reason:
        return because("nobody waited", where=", ".join(at.targets))

    def _pools(self, instance: Instance) -> list[ConnectionPool]:
        return [client.pool for client in instance.clients if client.node.name == self.of and client.pool is not None]

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        with ExitStack() as parts:
            if self.of is None:
                parts.enter_context(self._drained(instance, instance, at, float(instance.workers), instance.resize))
            for pool in self._pools(instance):
                parts.enter_context(self._drained(instance, pool, at, float(pool.size), pool.resize))
            yield

    @contextmanager
    def _drained(self, instance: Instance, pool: object, at: Injection, size: float, resize: Callable[[int], None]) -> Iterator[None]:
        """Take from a *pool* of *instance*, which has *size*; in a new process nothing has leaked yet."""
        layers = at.shared.layers(pool, "pool", lambda: size, lambda left: resize(max(0, int(left))), _what_is_left)
        size = layers.base
        taken = leaked = 0.0

        def settle() -> None:
            layers.lay(at, min(size, round(taken) + leaked))

        def take(strength: float) -> None:
            nonlocal taken
            taken = self.taken * strength * size
            settle()

        async def leak() -> None:
            nonlocal leaked
            process = instance.process
            while True:
                await at.world.loop.sleep(1 / self.leak)
                if instance.process != process:
                    process, leaked = instance.process, 0.0
                leaked = min(size, leaked + 1)
                settle()

        with ExitStack() as parts:
            parts.callback(layers.lift, at)
            parts.enter_context(at.following(take))
            if self.leak:
                parts.enter_context(at.running(leak()))
            yield

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from super().mistakes(system)
        spec = system.services.get(self.target.node)
        if spec is not None and self.of is None and spec.workers_each() >= UNBOUNDED:
            yield Mistake(("target", self.target.selector), f"{self.target.node!r} has no pool that could run dry",
                          "aim at a service or a database")
        if self.of is not None:
            whose = [spec] if spec is not None else system.services.values()
            pooled = {name for one in whose for name, use in one.uses.items() if use.pool is not None}
            yield from system.unknown(("of",), f"pool of {self.target.text()!r} to", self.of, pooled)


def _what_is_left(layers: list[float]) -> float:
    size, *taken = layers
    return size - sum(taken)


class ResourceMemory(InstanceFault):
    """*leak* bytes a second are never given back. The fuller the memory, the more often it is collected and the longer the instance
    stands still for it; when nothing is free it is killed, and starts again, empty, *restart_after* so long.

    Of *size* bytes a share *used* is taken from the start. At the start a collection comes each *gc_interval* and takes *gc_pause*;
    the interval shrinks with the memory that is free, the pause grows with what is used. So the kill comes after
    (1 - used) * size / leak seconds. When the fault ends all that has leaked is free again, and so it is in a new process.

    Several of them at once fill the one memory that a process has: their leaks add up, and of what else they say the worst holds (the least
    `size`, the largest share `used`, the shortest `gc_interval`, the longest `gc_pause` and `restart_after`).

    `{kind: resource.memory, target: {service: orders, mode: one}, schedule: {at: 60s, for: 60s}, size: 512MiB, leak: 16MiB}`
    """

    severity: ClassVar[str] = "leak"
    kind: Literal["resource.memory"] = "resource.memory"
    size: Size = Field(default=512 * 2**20, gt=0)
    used: Share = Field(default=0.5, gt=0, lt=1)
    leak: Size = Field(gt=0)
    gc_interval: PositiveDuration = 10.0
    gc_pause: Duration = 0.05
    restart_after: Duration = 5.0

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        memory = self._memory(instance, at)
        return lambda: memory.collections

    def missed(self, at: Injection) -> Reason:
        return because("memory calm", where=", ".join(at.targets))

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return self._memory(instance, at).leaking(self, at)

    @staticmethod
    def _memory(instance: Instance, at: Injection) -> Memory:
        return at.shared.of(instance, "memory", partial(Memory, instance))


class Memory:
    """The memory of the process that *instance* has, which all leaks that are on fill together."""

    def __init__(self, instance: Instance) -> None:
        self._instance, self._loop = instance, instance.loop
        self._leaks: dict[Injection, Leak] = {}
        self.collections = 0  # for which it stood still, and ends for want of memory
        self._process = instance.process
        self._since = 0.0  # when it was last added up
        self._wait: Future[bool] | None = None
        self._life: Task[None] | None = None

    @contextmanager
    def leaking(self, spec: ResourceMemory, at: Injection) -> Iterator[None]:
        """Leak as *spec* says while the block lasts; then what has leaked so is free again."""
        self._add_up()
        self._leaks[at] = Leak(spec, at)
        if len(self._leaks) == 1:
            self._life = self._loop.create_task(self._live(at), name=f"memory of {self._instance.name}")
        self._go_on(False)
        try:
            yield
        finally:
            self._add_up()
            del self._leaks[at]
            self._go_on(False)
            if not self._leaks and self._life is not None:
                self._life.cancel()

    async def _live(self, at: Injection) -> None:
        """Process after process, while anything leaks; *at* is in whose name they stand still and are killed."""
        while True:
            self._process = self._instance.process
            for leak in self._leaks.values():
                leak.leaked = 0.0
            if await self._one_life(at):
                self.collections += 1
                at.world.recorder.event("memory.oom", node=self._instance.node.name, instance=self._instance.name)
                with at.killed(self._instance):
                    await self._loop.sleep(max(leak.spec.restart_after for leak in self._leaks.values()))

    async def _one_life(self, at: Injection) -> bool:
        """From a fresh start to the moment at which no memory is free; False if something else has ended the process before."""
        while await self._fill(self._until_collection) and self._in_use:
            self.collections += self._instance.up
            with at.paused(self._instance):
                if not await self._fill(self._pause):
                    break
        return self._instance.up and self._in_use

    async def _fill(self, length: Callable[[], float]) -> bool:
        """Leak for so many seconds, or fewer where a leak that begins meanwhile says so, or until another process begins; False if the
        memory was full before that. A ramp is followed step by step."""
        self._since = self._loop.time()
        until = self._since + length()
        while (left := until - self._loop.time()) > 0 and self._in_use:
            fits, look = self._seconds_to_full(), min(left, LOOK)
            if await self._pass(min(look, fits)):
                if fits <= look:
                    return False
            else:
                until = min(until, self._loop.time() + length())
        return True

    async def _pass(self, seconds: float) -> bool:
        """Let so much time pass, and add up; False if a leak came or went before it was over."""
        self._wait = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._go_on, True)
        try:
            over = await self._wait
        finally:
            timer.cancel()
            self._wait = None
        self._add_up()
        return over

    def _go_on(self, over: bool) -> None:
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(over)

    def _add_up(self) -> None:
        passed, self._since = self._loop.time() - self._since, self._loop.time()
        for leak in self._leaks.values():
            leak.leaked += leak.rate * passed

    def _seconds_to_full(self) -> float:
        """As fast as it leaks now."""
        for leak in self._leaks.values():
            leak.rate = leak.spec.leak * leak.at.strength
        rate = sum(leak.rate for leak in self._leaks.values())
        return max(0.0, self._size - self._used) / rate if rate > 0 else math.inf

    def _until_collection(self) -> float:
        interval = min(leak.spec.gc_interval for leak in self._leaks.values())
        return max(interval * (self._size - self._used) / (self._size - self._at_first), SHORTEST)

    def _pause(self) -> float:
        return max(leak.spec.gc_pause for leak in self._leaks.values()) * self._used / self._at_first

    @property
    def _in_use(self) -> bool:
        """Its process is still the one that runs."""
        return self._instance.process == self._process

    @property
    def _size(self) -> float:
        return min(leak.spec.size for leak in self._leaks.values())

    @property
    def _at_first(self) -> float:
        """Bytes that a process uses as it starts."""
        return self._size * max(leak.spec.used for leak in self._leaks.values())

    @property
    def _used(self) -> float:
        return self._at_first + sum(leak.leaked for leak in self._leaks.values())


@dataclass
class Leak:
    """A leak that is on: bytes that have *leaked* so in the present process, and how many do each second."""

    spec: ResourceMemory
    at: Injection
    leaked: float = 0.0
    rate: float = 0.0
