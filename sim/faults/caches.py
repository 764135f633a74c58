"""Faults of caches. What they have in common: the load that a cache keeps away reaches what lies behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from sim.faults.injection import Injection
from sim.faults.nodes import NodeFault
from sim.faults.reasons import Reason, because
from sim.model.cache import Cache
from sim.units import Share


class CacheFault(NodeFault):
    """A fault of a cache as a whole: its instances share what they hold."""

    of_kind: ClassVar[str] = "cache"

    def cache(self, at: Injection) -> Cache:
        """The cache that is hit."""
        cache = self.hit(at)
        assert isinstance(cache, Cache), f"{cache.name} was checked to be a cache"
        return cache


class CacheFlush(CacheFault):
    """Everything that the cache holds is forgotten, at once; it goes on empty.

    `{kind: cache.flush, target: {service: order-cache}, schedule: {every: 30s}}`
    """

    at_once: ClassVar[bool] = True
    kind: Literal["cache.flush"] = "cache.flush"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        cache = self.cache(at)
        at.count(len(cache.entries) > 0)
        cache.flush()
        yield

    def missed(self, at: Injection) -> Reason:
        return because("cache empty", cache=self.target.service)


class CacheDown(CacheFault):
    """All instances of the cache are killed. When the fault ends they start again: empty, unless they *keep* what they held.

    `{kind: cache.down, target: {service: order-cache}, schedule: {at: 60s, for: 30s}}`
    """

    kind: Literal["cache.down"] = "cache.down"
    keep: bool = False

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        cache = self.cache(at)
        at.count(True)
        kept = cache.keeps
        cache.keeps = kept or self.keep  # of what is killed here, and of nothing that is killed later
        with at.all_killed(cache.instances):
            cache.keeps = kept
            if not self.keep:
                cache.flush()
            yield


class CacheLimit(CacheFault):
    """Only a *share* of the capacity is left; whoever was used longest ago is pushed out. Several limits at once: the least one counts.

    `{kind: cache.limit, target: {service: order-cache}, schedule: {at: 60s, for: 30s}, share: 10%}`
    """

    severity: ClassVar[str] = "share"
    neutral: ClassVar[float] = 1.0
    kind: Literal["cache.limit"] = "cache.limit"
    share: Share = Field(lt=1)

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        cache = self.cache(at)
        whole = cache.spec.capacity
        at.count_if_changed(lambda: cache.counts["evictions"])
        with at.layer(cache, "capacity", lambda strength: whole * (1 - (1 - self.share) * strength), base=lambda: float(whole),
                      apply=partial(_resize, cache), combine=min):
            yield

    def missed(self, at: Injection) -> Reason:
        return because("cache roomy", cache=self.target.service)


def _resize(cache: Cache, capacity: float) -> None:
    cache.resize(int(capacity + 1e-6))  # 10 % of 1,000 places may come to a hair less than 100
