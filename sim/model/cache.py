"""A cache: so many entries, the least recently used goes first; entries live for a time. Hits are real: keys are drawn and stored."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sim.distributions import Constant, TimeDistribution
from sim.model.instance import Instance
from sim.model.messages import Exchange, Response
from sim.model.node import Handler, Node, NodeSpec
from sim.units import PositiveDuration

if TYPE_CHECKING:
    from sim.model.world import World


class CacheSpec(NodeSpec):
    """*capacity* entries that live for *ttl*; each operation takes *latency*."""

    word: ClassVar[str] = "cache"
    kind: Literal["cache"] = "cache"
    capacity: int = Field(default=10_000, ge=1)
    ttl: PositiveDuration | None = None  # None: until pushed out
    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0005))

    def build(self, name: str, world: World) -> Node:
        return Cache(name, self, world)


class Cache(Node):
    """The runtime of a cache; its instances share one store, as a cluster does."""

    spec: CacheSpec

    def __init__(self, name: str, spec: CacheSpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.entries: OrderedDict[str, float] = OrderedDict()  # key -> when it expires
        self.values: dict[str, object] = {}
        self.capacity = spec.capacity
        self.hits = self.misses = self.evictions = self.expirations = 0

    def look_up(self, key: str, now: float) -> bool:
        """Is *key* there? It is then the most recently used."""
        expires = self.entries.get(key)
        if expires is None:
            self.misses += 1
            return False
        if expires <= now:
            self._forget(key)
            self.expirations += 1
            self.misses += 1
            return False
        self.entries.move_to_end(key)
        self.hits += 1
        return True

    def store(self, key: str, now: float, value: object = None) -> None:
        """Keep *key*; whoever was used longest ago makes room."""
        self.entries[key] = now + self.spec.ttl if self.spec.ttl is not None else math.inf
        self.entries.move_to_end(key)
        if value is not None:
            self.values[key] = value
        while len(self.entries) > self.capacity:
            self._forget(next(iter(self.entries)))
            self.evictions += 1

    def resize(self, capacity: int) -> None:
        """Hold so many entries; whoever was used longest ago makes room at once."""
        self.capacity = capacity
        while len(self.entries) > capacity:
            self._forget(next(iter(self.entries)))
            self.evictions += 1

    def _forget(self, key: str) -> None:
        self.entries.pop(key, None)
        self.values.pop(key, None)

    def flush(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.values.clear()

    def handler(self, instance: Instance) -> Handler:
        draw, env, loop = self.spec.latency.sampler(instance.stream("latency")), self.world.loop.env, self.world.loop

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            exchange.operation = request.operation
            await loop.sleep(draw() * instance.slowness)
            key = request.key or request.path
            if request.method == "GET":
                return Response(200, self.values.get(key)) if self.look_up(key, env._now) else Response(404)
            if request.method == "DELETE":
                self._forget(key)
            else:
                self.store(key, env._now, request.body)
            return Response(200)

        return serve
