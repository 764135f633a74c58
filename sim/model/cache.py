"""A cache: so many entries that live for a time. Hits are real: keys are drawn, stored, pushed out and forgotten.

    look-up ──there──▶ hit, 200
       └──never stored, expired, pushed out, lost──▶ miss, 204: an answer like any other, and no error

What a cache keeps away from a database comes back to it all at once when entries are lost, or when a hot one expires and everybody
who asks for it loads it at the same time (a stampede). `single_flight` of the `cache` step lets one of an instance's requests load.
The instances are one cluster: each key has its home at one of them, and is lost when that one dies.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from zlib import crc32

from pydantic import Field

from sim.distributions import Constant, TimeDistribution
from sim.model.cache_stores import STORES
from sim.model.health import is_check
from sim.model.instance import Instance
from sim.model.messages import Exchange, Response
from sim.model.node import Handler, Node, NodeSpec
from sim.telemetry.integrals import Level
from sim.units import PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.world import World

MISS = 204  # no content


class CacheSpec(NodeSpec):
    """*capacity* entries that live for *ttl*, give or take a share *jitter* of it; each operation takes *latency*.

    When it is full, the entry that was used longest ago goes (`lru`), or the one that was used least (`lfu`).
    """

    word: ClassVar[str] = "cache"
    kind: Literal["cache"] = "cache"
    capacity: int = Field(default=10_000, ge=1)
    ttl: PositiveDuration | None = None  # None: until pushed out
    jitter: Share = 0.0  # so that what was stored together does not expire together
    eviction: Literal["lru", "lfu"] = "lru"
    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0005))

    def build(self, name: str, world: World) -> Node:
        return Cache(name, self, world)


class Cache(Node):
    """The runtime of a cache; its instances share one store, as a cluster does."""

    spec: CacheSpec

    def __init__(self, name: str, spec: CacheSpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.entries = STORES[spec.eviction]()
        self.values: dict[str, object] = {}
        self.capacity = spec.capacity
        self.keeps = False  # what it holds outlives a kill, as with a cache that writes to disk
        self.counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._loads: Counter[str] = Counter()  # by key, under way
        self.stampede = 0  # the most of them, beyond the first
        self._dice = world.streams[f"{name} ttl"]
        self._held = Level()

    def start(self) -> None:
        super().start()
        self.world.recorder.gauge(self.name, "", "entries", self._held.reading)

    # what it holds

    def look_up(self, key: str, now: float) -> bool:
        """Is *key* there?"""
        expires = self.entries.get(key)
        if expires is not None and expires > now:
            self.counts["hits"] += 1
            return True
        if expires is not None:
            self.forget(key)
            self.counts["expirations"] += 1
        self.counts["misses"] += 1
        return False

    def load_begins(self, key: str) -> None:
        """A caller has missed *key*, and gets it from elsewhere."""
        self.stampede = max(self.stampede, self._loads[key])
        self._loads[key] += 1

    def load_ends(self, key: str) -> None:
        """It has stored *key*, or could not get it."""
        self._loads[key] -= 1
        if not self._loads[key]:
            del self._loads[key]

    def store(self, key: str, now: float, value: object = None) -> None:
        """Keep *key*; if need be another one makes room."""
        if key not in self.entries:
            self._shrink(places=1)  # before it is there: it has not been used yet, and would be the one to go
        self.entries.put(key, self._expiry(now))
        if value is not None:
            self.values[key] = value
        self._shrink()  # a fault may have left no room at all
        self._tell()

    def _expiry(self, now: float) -> float:
        ttl, jitter = self.spec.ttl, self.spec.jitter
        if ttl is None:
            return math.inf
        return now + (ttl * self._dice.uniform(1 - jitter, 1 + jitter) if jitter else ttl)

    def resize(self, capacity: int) -> None:
        """Hold so many entries; those who must make room do so at once."""
        self.capacity = capacity
        self._shrink()
        self._tell()

    def _shrink(self, places: int = 0) -> None:
        """Push out whom there is no room for, where so many *places* are wanted."""
        while self.entries and len(self.entries) + places > self.capacity:
            self.values.pop(self.entries.push_out(), None)
            self.counts["evictions"] += 1

    def forget(self, key: str) -> None:
        """*key* is not there any more."""
        self.entries.drop(key)
        self.values.pop(key, None)
        self._tell()

    def flush(self) -> None:
        """Forget everything."""
        self.counts["lost"] += len(self.entries)
        self.entries.clear()
        self.values.clear()
        self._tell()

    def killed(self, instance: Instance) -> None:
        """What it held was in its memory."""
        if self.keeps:
            return
        number, size = self.instances.index(instance), len(self.instances)
        for key in [key for key in self.entries if crc32(key.encode()) % size == number]:
            self.counts["lost"] += 1
            self.forget(key)

    def _tell(self) -> None:
        change = len(self.entries) - self._held.value
        if change:
            self._held.change(change, self.world.loop.time())

    # the books

    def measure_from_here(self) -> None:
        self._before = self.counts.copy()
        self.stampede = 0

    def figures(self) -> dict[str, Any]:
        """Since the warm-up. *lost* entries were flushed or died with an instance; *stampede*: the most loads of one key that were
        under way at the same time, beyond the first; *coalesced* look-ups waited for one that was loading already."""
        names = ("hits", "misses", "evictions", "expirations", "lost", "coalesced")
        counts = {name: self.counts[name] - self._before[name] for name in names}
        asked = counts["hits"] + counts["misses"]
        return {**counts, "hit_ratio": counts["hits"] / asked if asked else None, "stampede": self.stampede, "entries": len(self.entries),
                "capacity": self.capacity}

    # requests

    def handler(self, instance: Instance) -> Handler:
        draw, env, loop = self.spec.latency.sampler(instance.stream("latency")), self.world.loop.env, self.world.loop
        done, miss = Response(200), Response(MISS)

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            exchange.operation = request.operation
            await loop.sleep(draw() * instance.slowness)
            if is_check(exchange):
                return done
            key = request.key or request.path
            if request.method == "GET":
                return Response(200, self.values.get(key)) if self.look_up(key, env._now + instance.clock_offset) else miss
            if request.method == "DELETE":
                self.forget(key)
            else:
                self.store(key, env._now + instance.clock_offset, request.body)
            return done

        return serve
