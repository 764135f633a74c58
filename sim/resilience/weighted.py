"""Weighted round robin: each host exactly in proportion to its weight, and evenly spread.

Earliest deadline first: a host that is picked is due again 1 / weight later; the one who is due first is next, and among
those who are due together the one who has waited longest. Over a full cycle every host is picked exactly weight times.
Source: Envoy's EDF scheduler.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from random import Random
from typing import Any

from sim.units import Share

from .balancer import Balancer, BalancerSpec, H
from .slow_start import SlowStart, SlowStartSpec


class WeightedSpec(BalancerSpec):
    """In proportion to the hosts' weights, from a random start, so that many callers do not march in step."""

    panic: Share = 0.0
    slow_start: SlowStartSpec | None = None

    def build(self, zone: str | None = None) -> Balancer:
        return Weighted(panic=self.panic, slow_start=self.slow_start.build() if self.slow_start else None, random_start=True)


class Weighted(Balancer):
    """In proportion to the weights, which are read anew each time a host is picked. O(log n) while all are healthy."""

    def __init__(self, panic: float = 0.0, slow_start: SlowStart | None = None, random_start: bool = False) -> None:
        super().__init__(panic)
        self.slow_start = slow_start
        self._starts_anywhere = random_start
        self._pool: Sequence[Any] = ()
        self._heap: list[tuple[float, int, int]] = []  # (due, how long it has waited, index into the pool)
        self._due: dict[str, float] = {}
        self._now = 0.0  # the deadline of the last pick: a time of its own, in picks per unit of weight
        self._picks = 0

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """Who is due first."""
        if self.slow_start is not None:
            self.slow_start.look(hosts, now)
        return super().pick(hosts, now, rng, key, exclude)

    def choose(self, pool: Sequence[H], now: float, rng: Random, key: Any) -> H:
        if pool != self._pool:  # compares by identity first: cheap as long as nothing has changed
            self._schedule(pool, now)
            if self._starts_anywhere:
                self._starts_anywhere = False
                for _ in range(int(rng.random() * len(pool))):
                    self._next(pool, now)
        return self._next(pool, now)

    def _next(self, pool: Sequence[H], now: float) -> H:
        due, _, index = self._heap[0]
        host = pool[index]
        self._now = due
        self._picks += 1
        due += 1 / self._weight(host, now)
        self._due[host.name] = due
        heapq.heapreplace(self._heap, (due, self._picks, index))
        return host

    def _schedule(self, pool: Sequence[H], now: float) -> None:
        """Who was away is not owed what it missed; a new one is due after its own interval."""
        known, self._due = self._due, {}
        for host in pool:
            due = known.get(host.name)
            self._due[host.name] = self._now + 1 / self._weight(host, now) if due is None else max(self._now, due)
        self._heap = [(self._due[host.name], index - len(pool), index) for index, host in enumerate(pool)]
        heapq.heapify(self._heap)
        self._pool = pool[:]

    def _weight(self, host: H, now: float) -> float:
        return self.slow_start.weight(host, now) if self.slow_start is not None else host.weight
