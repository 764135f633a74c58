"""Ring hash: the same key goes to the same host, and a host that comes or goes moves only its own share of the keys.

         ╭─●a─╮          every host has *points* points on a ring of 64-bit numbers, times its weight;
       c●  k─▶●b         a key goes to the next point clockwise, past hosts that may not be used
         ╰─●a─╯          Source: Karger et al., Consistent Hashing and Random Trees, STOC 1997
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from random import Random
from typing import Annotated, Any

from pydantic import Field

from sim.units import Share

from .balancer import Balancer, BalancerSpec, H, stable_hash, usable


class RingHashSpec(BalancerSpec):
    """The same key to the same host."""

    points: Annotated[int, Field(ge=1, le=10_000)] = 160
    panic: Share = 0.0

    def build(self, zone: str | None = None) -> Balancer:
        return RingHash(self.points, panic=self.panic)


class RingHash(Balancer):
    """A ring with *points* points per host of weight 1. A call without a key goes anywhere."""

    def __init__(self, points: int = 160, panic: float = 0.0) -> None:
        super().__init__(panic)
        self.points = points
        self._hosts: Sequence[Any] = ()
        self._ring: list[int] = []
        self._owners: list[int] = []  # index of the host that owns each point

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """The first usable host clockwise from the key."""
        pool = usable(hosts, exclude, self.panic)
        if not pool:
            return None
        if hosts != self._hosts:
            self._build(hosts)
        place = bisect_left(self._ring, stable_hash(str(key)) if key is not None else int(rng.random() * 2**64))
        count = len(self._owners)
        for step in range(count):
            host = hosts[self._owners[(place + step) % count]]
            if pool is hosts or host in pool:
                return host
        raise AssertionError("a usable host has no point on the ring")

    def _build(self, hosts: Sequence[H]) -> None:
        points = sorted(
            (stable_hash(f"{host.name}_{point}"), index)
            for index, host in enumerate(hosts)
            for point in range(max(1, round(self.points * host.weight)))
        )
        self._ring = [at for at, _ in points]
        self._owners = [index for _, index in points]
        self._hosts = hosts[:]
