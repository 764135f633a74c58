"""An instance's side of the registry: it registers as it starts, tells that it is alive, and strikes itself off before it stops.

With a time to live it is critical until its first heartbeat, which it sends as soon as it is registered.

One that is killed tells nobody: its checks have to find that out.
"""

from __future__ import annotations

from asyncio import Task
from typing import TYPE_CHECKING

from sim.model.client import Client, UseSpec
from sim.model.messages import Request
from sim.resilience.timeout import TimeoutSpec

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.registry import Registry

REGISTER, DEREGISTER, HEARTBEAT = "/v1/agent/service/register", "/v1/agent/service/deregister", "/v1/agent/check/pass"
RETRY = 1.0  # seconds until a registration is tried again
PATIENCE = 5.0  # seconds for an answer
HEARTBEATS = 3  # within each time to live


class Agent:
    """Of one process of *instance*."""

    def __init__(self, registry: Registry, instance: Instance) -> None:
        self.registry, self.instance = registry, instance
        self.leaving = False
        use = UseSpec.model_construct(policies=[TimeoutSpec.model_construct(duration=PATIENCE)])
        self._client: Client = registry.world.client(instance.node.name, instance, registry.name, use)
        instance.adopt(self._client)
        self._task: Task[None] | None = None

    def begin(self, registered: bool = False) -> None:
        """The process runs; *registered*: since before the run began."""
        instance = self.instance
        self._task = instance.loop.create_task(self._live(registered), name=f"{instance.name} agent", context=instance.context())

    def leave(self) -> None:
        """The process is about to stop."""
        self.leaving = True
        self.end()
        instance = self.instance
        self._task = instance.loop.create_task(self._insist(DEREGISTER), name=f"{instance.name} agent", context=instance.context())

    def end(self) -> None:
        """The process is gone."""
        if self._task is not None:
            self._task.cancel()

    async def _live(self, registered: bool) -> None:
        if not registered:
            await self._insist(REGISTER)
        ttl, loop = self.registry.check_of(self.instance.node).ttl, self.instance.loop
        if ttl is None:
            return
        if registered:
            await loop.sleep(self.registry.dice.random() * ttl / HEARTBEATS)
        while True:
            while await self._send(HEARTBEAT) == 404:  # struck off meanwhile
                await self._insist(REGISTER)
            await loop.sleep(ttl / HEARTBEATS)

    async def _insist(self, path: str) -> None:
        """Send it until it is taken."""
        while await self._send(path) >= 400:
            await self.instance.loop.sleep(RETRY)

    async def _send(self, path: str) -> int:
        """What the registry says to it."""
        operation = self.instance.recorder.operation(f"PUT {path}")
        return (await self._client.call(Request("PUT", path, operation=operation, body=self.instance))).status
