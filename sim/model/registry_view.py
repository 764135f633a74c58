"""A caller's side of the registry: what it believes about the instances of a service, and how it learns of changes.

    watch   a query that is answered when something has changed, again and again
    cache   a query every `client_cache`: what is between two of them is not noticed

What it believes lives on while the registry is away, for as long as `stale_if_error` says.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from sim.model.client import Client, Source, UseSpec
from sim.model.messages import Request, Response
from sim.model.registry_query import next_index
from sim.resilience.timeout import TimeoutSpec

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.model.instance import Instance
    from sim.model.node import Node
    from sim.model.registry import Registry

PATIENCE = 5.0  # seconds for an answer, beyond the time that the query may wait
RETRY = 5.0  # seconds until a caller asks again that got no answer


class Outsider(Source):
    """A caller that is no instance, and asks the registry like one: a workload. It is always there."""

    up = True

    def __init__(self, name: str, zone: str, loop: SimLoop) -> None:
        super().__init__(name, zone)
        self.loop = loop
        self.clients: list[Client] = []

    def adopt(self, client: Client) -> None:
        """*client* is one of its own from now on."""
        self.clients.append(client)

    def context(self) -> Context:
        """For a task of its own."""
        return copy_context()


class View:
    """What *source*, a part of *caller*, believes about the instances of *node* that have the *tag* (None: about all).

    `reachable` is what its calls go by.
    """

    def __init__(self, registry: Registry, caller: str, source: Instance | Outsider, node: Node, tag: str | None) -> None:
        self.registry, self.caller, self.source, self.node, self.tag = registry, caller, source, node, tag
        self.reachable: Sequence[Instance] = ()
        self._begun = False
        self._failing_since: float | None = None
        self._client: Client | None = None
        self._task: Task[None] | None = None
        self._operation = registry.world.recorder.operation(f"GET /v1/health/service/{node.name}")

    def begin(self, instances: Sequence[Instance]) -> None:
        """Believe in *instances*, and learn of changes from now on."""
        self.take(instances)
        self.mind()

    def mind(self) -> None:
        """The caller has come up or gone down; it learns while it is up, and remembers what it knew."""
        if self.source.up and self._task is None:
            registry, source = self.registry, self.source
            follow = self._watch() if registry.spec.client_cache is None else self._poll(registry.spec.client_cache)
            self._task = source.loop.create_task(follow, name=f"{source.name} view of {self.node.name}", context=source.context())
        elif not self.source.up and self._task is not None:
            self._task.cancel()
            self._task = None

    def take(self, instances: Sequence[Instance]) -> None:
        """From now on *instances* are what there is."""
        if tuple(instances) != self.reachable or not self._begun:
            self._begun = True
            self.reachable = tuple(instances)
            self.registry.seen(self)

    # learning

    async def _watch(self) -> None:
        wait, index, loop = self.registry.spec.wait, 0, self.source.loop
        while True:
            answer = await self._ask(index, wait, patience=wait * 17 / 16 + PATIENCE)
            if answer is None:
                await loop.sleep(self._pause())
                index = 0
            else:
                index = next_index(index, answer)

    async def _poll(self, interval: float) -> None:
        loop = self.source.loop
        if self._begun:
            await loop.sleep(self.registry.dice.random() * interval)
        while True:
            asked = loop.time()
            answer = await self._ask(0, 0.0, patience=PATIENCE)
            rest = interval if answer is not None else min(interval, self._pause())
            await loop.sleep(max(0.0, asked + rest - loop.time()))

    async def _ask(self, index: int, wait: float, patience: float) -> int | None:
        """One query; the index of its answer, or None if there was none."""
        client = self._client
        if client is None:
            use = UseSpec.model_construct(policies=[TimeoutSpec.model_construct(duration=patience)])
            client = self._client = self.registry.world.client(self.caller, self.source, self.registry.name, use)
            self.source.adopt(client)
        path = f"/v1/health/service/{self.node.name}" + ("" if self.tag is None else f"?tag={self.tag}")
        answer: Response = await client.call(Request("GET", path, operation=self._operation, body=(index, wait, self.tag)))
        if answer.status >= 400:
            self._failed()
            return None
        self._failing_since = None
        found, instances = answer.body
        self.take(instances)
        return int(found)

    def _failed(self) -> None:
        now, limit = self.source.loop.time(), self.registry.spec.stale_if_error
        if self._failing_since is None:
            self._failing_since = now
        if limit is not None and self.reachable and now >= self._failing_since + limit - 1e-9:
            self.take(())

    def _pause(self) -> float:
        """Until the next try: not beyond the moment at which what is believed is too old."""
        limit = self.registry.spec.stale_if_error
        if limit is None or self._failing_since is None or not self.reachable:
            return RETRY
        return max(1e-3, min(RETRY, self._failing_since + limit - self.source.loop.time()))
