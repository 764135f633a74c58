"""Round robin and random: the two balancers that need to know nothing about their hosts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random as Rng
from typing import Any

from sim.units import Share

from .balancer import Balancer, BalancerSpec, H
from .slow_start import SlowStartSpec


class RoundRobinSpec(BalancerSpec):
    """One after the other, from a random start, so that many callers do not march in step. With `slow_start`, by weight."""

    panic: Share = 0.0
    slow_start: SlowStartSpec | None = None

    def build(self, zone: str | None = None) -> Balancer:
        if self.slow_start is not None:
            from .weighted import Weighted

            return Weighted(panic=self.panic, slow_start=self.slow_start.build(), random_start=True)
        return RoundRobin(panic=self.panic, random_start=True)


class RandomSpec(BalancerSpec):
    """Each time any of them."""

    panic: Share = 0.0

    def build(self, zone: str | None = None) -> Balancer:
        return Random(panic=self.panic)


class RoundRobin(Balancer):
    """One after the other, weights aside. Who follows an unhealthy host takes its turn as well as its own."""

    __slots__ = ("_next",)  # each caller has one of its own for each callee

    def __init__(self, panic: float = 0.0, random_start: bool = False) -> None:
        super().__init__(panic)
        self._next = -1 if random_start else 0

    def pick(self, hosts: Sequence[H], now: float, rng: Rng, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """The next one in turn; O(1) while it is healthy."""
        if not exclude and not self.panic:
            for _ in range(len(hosts)):
                host = self.choose(hosts, now, rng, key)
                if host.healthy:
                    return host
            return None
        return super().pick(hosts, now, rng, key, exclude)

    def choose(self, pool: Sequence[H], now: float, rng: Rng, key: Any) -> H:
        at = self._next
        if at < 0:
            at = int(rng.random() * len(pool))
        elif at >= len(pool):
            at = 0
        self._next = at + 1
        return pool[at]


class Random(Balancer):
    """Each time any of them, weights aside."""

    def pick(self, hosts: Sequence[H], now: float, rng: Rng, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """Any healthy one with equal chance; O(1) if the first draw is healthy."""
        if hosts and not exclude and not self.panic:
            host = hosts[int(rng.random() * len(hosts))]
            if host.healthy:
                return host
        return super().pick(hosts, now, rng, key, exclude)

    def choose(self, pool: Sequence[H], now: float, rng: Rng, key: Any) -> H:
        return pool[int(rng.random() * len(pool))]
