"""Faults of resources: CPU that others take, memory that leaks, pools that run dry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.system import System
from sim.model.node import UNBOUNDED
from sim.spec import Mistake, invalid
from sim.units import Duration, PositiveDuration, Rate, Share, Size

if TYPE_CHECKING:
    from sim.model.instance import Instance

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

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        with ExitStack() as parts:
            if self.of is None:
                parts.enter_context(self._drained(instance, instance, at, float(instance.workers), instance.resize))
            for pool in [client.pool for client in instance.clients if client.node.name == self.of and client.pool is not None]:
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
        spec = system.services.get(self.target.service or "")
        if spec is not None and self.of is None and spec.workers_each() >= UNBOUNDED:
            yield Mistake(("target", "service"), f"{self.target.service!r} has no pool that could run dry",
                          "aim at a service or a database")
        if spec is not None and self.of is not None:
            pooled = [name for name, use in spec.uses.items() if use.pool is not None]
            yield from system.unknown(("of",), f"pool of {self.target.service!r} to", self.of, pooled)


def _what_is_left(layers: list[float]) -> float:
    size, *taken = layers
    return size - sum(taken)


class ResourceMemory(InstanceFault):
    """*leak* bytes a second are never given back. The fuller the memory, the more often it is collected and the longer the instance
    stands still for it; when nothing is free it is killed, and starts again, empty, *restart_after* so long.

    Of *size* bytes a share *used* is taken from the start. At the start a collection comes each *gc_interval* and takes *gc_pause*;
    the interval shrinks with the memory that is free, the pause grows with what is used. So the kill comes after
    (1 - used) * size / leak seconds. When the fault ends all that has leaked is free again, and so it is in a new process.

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

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return at.running(self._leak(instance, at))

    async def _leak(self, instance: Instance, at: Injection) -> None:
        while True:
            if await self._one_life(instance, at):
                at.world.recorder.event("memory.oom", node=instance.node.name, instance=instance.name)
                with at.killed(instance):
                    await at.world.loop.sleep(self.restart_after)

    async def _one_life(self, instance: Instance, at: Injection) -> bool:
        """From a fresh start to the moment at which no memory is free; False if something else has ended the process before."""
        heap = Heap(self.size, self.used * self.size, instance)
        while await self._fill(heap, self._until_collection(heap), at) and heap.in_use:
            with at.paused(instance):
                if not await self._fill(heap, self.gc_pause * heap.used / heap.at_first, at):
                    break
        return instance.up and heap.in_use

    def _until_collection(self, heap: Heap) -> float:
        return max(self.gc_interval * heap.free / (self.size - heap.at_first), SHORTEST)

    async def _fill(self, heap: Heap, seconds: float, at: Injection) -> bool:
        """Leak for so long, or until another process begins; False if the heap was full before that. A ramp is followed step by step."""
        loop = at.world.loop
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0 and heap.in_use:
            rate, since = self.leak * at.strength, loop.time()
            fits = heap.free / rate if rate > 0 else math.inf
            await loop.sleep(min(left, fits, LOOK))
            heap.used += rate * (loop.time() - since)
            if fits <= min(left, LOOK):
                return False
        return True


class Heap:
    """Bytes of memory of the process that *instance* has now: *size* in all, *used* of it now."""

    def __init__(self, size: float, used: float, instance: Instance) -> None:
        self.size, self.used, self.at_first = size, used, used
        self._instance, self._process = instance, instance.process

    @property
    def in_use(self) -> bool:
        """Its process is still the one that runs."""
        return self._instance.process == self._process

    @property
    def free(self) -> float:
        """Bytes that can still be used."""
        return self.size - self.used
