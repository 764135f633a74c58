"""Least request: the host with the fewest calls in flight for its weight; among all of them, or among two drawn at random.

Among all, those who have equally few for their weight share the calls in proportion to it, as with nginx (least_conn): while all are
idle, neither a light host nor one in its slow start goes without.

Two random choices bring nearly all of the gain of looking at everybody, without the herd that runs to whoever looked best a
moment ago. Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12 (2001).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Annotated, Any

from pydantic import Field

from sim.units import Share

from .balancer import Balancer, BalancerSpec, H, Host
from .outcomes import Outcome
from .slow_start import SlowStart, SlowStartSpec


class LeastRequestSpec(BalancerSpec):
    """The fewest calls in flight for its weight, among all."""

    panic: Share = 0.0
    slow_start: SlowStartSpec | None = None

    def build(self, zone: str | None = None) -> Balancer:
        return LeastRequest(panic=self.panic, slow_start=self.slow_start.build() if self.slow_start else None)


class PowerOfTwoChoicesSpec(BalancerSpec):
    """The fewest calls in flight for its weight, among *choices* different ones drawn at random."""

    choices: Annotated[int, Field(ge=1)] = 2
    panic: Share = 0.0

    def build(self, zone: str | None = None) -> Balancer:
        return PowerOfTwoChoices(self.choices, panic=self.panic)


class InFlight(Balancer):
    """Base of those who count the calls that each host has in flight, as far as this caller knows."""

    def __init__(self, panic: float = 0.0) -> None:
        super().__init__(panic)
        self.active: dict[str, int] = {}  # host name -> calls in flight; none: not in here

    def started(self, host: Host, now: float) -> None:
        self.active[host.name] = self.active.get(host.name, 0) + 1

    def finished(self, host: Host, now: float, latency: float, outcome: Outcome) -> None:
        left = self.active[host.name] - 1
        if left:
            self.active[host.name] = left
        else:
            del self.active[host.name]


class LeastRequest(InFlight):
    """The lowest calls in flight / weight of all; ties at random, in proportion to the weights. O(n)."""

    def __init__(self, panic: float = 0.0, slow_start: SlowStart | None = None) -> None:
        super().__init__(panic)
        self.slow_start = slow_start

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """The least busy one."""
        if self.slow_start is not None:
            self.slow_start.look(hosts, now)
        return super().pick(hosts, now, rng, key, exclude)

    def choose(self, pool: Sequence[H], now: float, rng: Random, key: Any) -> H:
        active, slow = self.active, self.slow_start
        loads = [active.get(host.name, 0) / (host.weight if slow is None else slow.weight(host, now)) for host in pool]
        least = min(loads)
        if loads.count(least) == 1:
            return pool[loads.index(least)]
        best = [host for host, load in zip(pool, loads, strict=True) if load == least]
        weights = [host.weight if slow is None else slow.weight(host, now) for host in best]
        drawn = rng.random() * sum(weights)
        for host, weight in zip(best, weights, strict=True):
            drawn -= weight
            if drawn < 0:
                return host
        return best[-1]


class PowerOfTwoChoices(InFlight):
    """The lowest (calls in flight + 1) / weight of *choices* different hosts drawn at random; ties to the one drawn first. O(1)."""

    def __init__(self, choices: int = 2, panic: float = 0.0) -> None:
        super().__init__(panic)
        if choices < 1:
            raise ValueError("a choice needs at least one host to look at")
        self.choices = choices

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """The better of the drawn; if one of them is unhealthy, they are drawn again among the healthy."""
        if len(hosts) > 2 and self.choices == 2 and not exclude and not self.panic:
            one, other = draw_two(hosts, rng)
            if one.healthy and other.healthy:
                return other if self.load(other, now) < self.load(one, now) else one
        return super().pick(hosts, now, rng, key, exclude)

    def choose(self, pool: Sequence[H], now: float, rng: Random, key: Any) -> H:
        if len(pool) == 1:
            return pool[0]
        drawn = draw_two(pool, rng) if self.choices == 2 else rng.sample(pool, min(self.choices, len(pool)))
        return min(drawn, key=lambda host: self.load(host, now))

    def load(self, host: Host, now: float) -> float:
        """What is compared; lower is better."""
        return (self.active.get(host.name, 0) + 1) / host.weight


def draw_two(pool: Sequence[H], rng: Random) -> tuple[H, H]:
    """Two different ones out of at least two, in random order."""
    first = int(rng.random() * len(pool))
    second = int(rng.random() * (len(pool) - 1))
    return pool[first], pool[second + (second >= first)]
