"""A workload at run time: it sends requests through a client like any other caller, and records how each ended."""

from __future__ import annotations

import asyncio
import math
from asyncio import Task
from typing import TYPE_CHECKING, Protocol

from sim.model.client import Client, UseSpec, plain_use
from sim.model.messages import Request, Response
from sim.model.registry_view import Outsider
from sim.resilience.timeout import TimeoutSpec
from sim.telemetry.codes import Outcome
from sim.telemetry.columns import pack_request
from sim.workload.mix import Mix

if TYPE_CHECKING:
    from sim.model.world import World
    from sim.workload.workload import WorkloadSpec

OK, DEGRADED, FAILED, REJECTED, UNFINISHED = (int(outcome) for outcome in Outcome)
NAN = float("nan")


class Executor(Protocol):
    """What decides when a workload sends."""

    def start(self) -> None: ...
    def surge(self, factor: float) -> None: ...


class Load:
    """One workload of a run that *ends* then, in seconds. *started* counts requests sent, *dropped* arrivals beyond `max_in_flight`."""

    def __init__(self, name: str, spec: WorkloadSpec, world: World, ends: float = math.inf) -> None:
        self.name, self.spec, self.world, self.ends = name, spec, world, ends
        self.loop, self.env, self.recorder = world.loop, world.loop.env, world.recorder
        self.index = world.recorder.workload(name)
        world.recorder.node(name, "workload")
        self.mix = Mix(spec.mix, name, world.streams, world.recorder)
        policies = [*spec.policies]
        if spec.timeout is not None:
            policies.insert(0, TimeoutSpec.model_construct(duration=spec.timeout))
        use = UseSpec.model_construct(protocol="http", balancer=plain_use().balancer, policies=policies)
        source = Outsider(name, spec.zone or "", world.loop)
        self.client: Client = world.client(name, source, spec.to, use)
        if spec.discovery == "registry" and world.registry is not None:
            self.client.see_through(world.registry.view(name, source, self.client.node))
        self.started = self.dropped = 0
        self.open: dict[int, tuple[Request, float, float, Task[None]]] = {}
        self.limit = spec.max_in_flight
        self.executor: Executor = spec.executor_for(self)
        self._area = self._since = 0.0
        world.recorder.gauge(name, "", "in_flight", self._reading)

    def start(self) -> None:
        """Begin to send."""
        self.executor.start()

    def surge(self, factor: float) -> None:
        """Multiply its rate, or the number of its users."""
        self.executor.surge(factor)

    def send(self, intended: float | None = None) -> None:
        """Send one request now, unless too many are under way; *intended* is when it should have been sent (seconds)."""
        if len(self.open) >= self.limit:
            self.dropped += 1
            return
        now = self.env._now
        self._count(now)
        self.started += 1
        request = self.mix.draw()
        number = request.trace = self.recorder.next_request()
        task = self.loop.spawn(self._request(request, now if intended is None else intended, now), self.name)
        self.open[number] = (request, now if intended is None else intended, now, task)

    async def send_and_wait(self, intended: float) -> None:
        """Send one request and wait for its end: what a virtual user does."""
        now = self.env._now
        self._count(now)
        self.started += 1
        request = self.mix.draw()
        request.trace = self.recorder.next_request()
        task = asyncio.current_task()
        assert task is not None
        self.open[request.trace] = (request, intended, now, task)
        await self._request(request, intended, now)

    async def _request(self, request: Request, intended: float, start: float) -> None:
        try:
            response = await self.client.call(request)
        except Exception as error:
            self.world.bug(error, self.name)
            raise
        self._ended(request, intended, start, response)

    def _ended(self, request: Request, intended: float, start: float, response: Response) -> None:
        """Record how a request ended, now."""
        self._count(self.env._now)
        self.open.pop(request.trace, None)
        status = response.status
        if status < 400:
            outcome = DEGRADED if response.degraded else OK
        else:
            outcome = REJECTED if response.rejected else FAILED
        self.recorder.write_request(pack_request(
            request.trace, self.index, request.operation, intended, start, self.env._now, response.reason or status, outcome))

    def record_unfinished(self) -> None:
        """At the end: those that are still under way."""
        for request, intended, start, _ in self.open.values():
            self.recorder.write_request(pack_request(request.trace, self.index, request.operation, intended, start, NAN, 0, UNFINISHED))

    def _count(self, now: float) -> None:
        self._area += len(self.open) * (now - self._since)
        self._since = now

    def _reading(self, now: float) -> tuple[float, float]:
        return self._area + len(self.open) * (now - self._since), len(self.open)
