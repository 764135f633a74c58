"""Maglev: a lookup table from keys to hosts that is even to within a fraction of a percent and changes little as hosts change.

Every host fills the table by its own pseudo-random permutation, in turns, heavier hosts more often; a key's hash indexes the
table. Looking up is O(1), evener than a ring; building is O(table). Source: Eisenbud et al., Maglev, NSDI 2016; the
weights as in Envoy.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Annotated, Any

from pydantic import AfterValidator

from sim.units import Share

from .balancer import Balancer, BalancerSpec, H, Host, stable_hash, usable


def _prime(number: int) -> int:
    if number < 2 or any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        raise ValueError(f"the table's size has to be a prime, so that every permutation reaches all of it; {number} is none")
    return number


class MaglevSpec(BalancerSpec):
    """The same key to the same host, by a table."""

    table_size: Annotated[int, AfterValidator(_prime)] = 65537
    panic: Share = 0.0

    def build(self, zone: str | None = None) -> Balancer:
        return Maglev(self.table_size, panic=self.panic)


class Maglev(Balancer):
    """A table of *table_size* entries, a prime much larger than the number of hosts. A call without a key goes anywhere."""

    def __init__(self, table_size: int = 65537, panic: float = 0.0) -> None:
        super().__init__(panic)
        self.table_size = _prime(table_size)
        self._hosts: Sequence[Any] = ()
        self._table: list[int] = []

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """The host in the key's entry; if it may not be used, the one in the next entry whose host may."""
        pool = usable(hosts, exclude, self.panic)
        if not pool:
            return None
        if hosts != self._hosts:
            self._table = table(hosts, self.table_size)
            self._hosts = hosts[:]
        place = stable_hash(str(key)) % self.table_size if key is not None else int(rng.random() * self.table_size)
        while True:
            host = hosts[self._table[place]]
            if pool is hosts or host in pool:
                return host
            place = (place + 1) % self.table_size


def table(hosts: Sequence[Host], size: int) -> list[int]:
    """The index of the host that owns each entry, in the order of *hosts*."""
    filled = [-1] * size
    places = [stable_hash(host.name) % size for host in hosts]
    skips = [stable_hash(f"{host.name} skip") % (size - 1) + 1 for host in hosts]
    heaviest = max(host.weight for host in hosts)
    shares = [host.weight / heaviest for host in hosts]
    turns = [0.0] * len(hosts)
    left, iteration = size, 0
    while True:
        iteration += 1
        for index, share in enumerate(shares):
            if iteration * share < turns[index]:
                continue
            turns[index] += 1.0
            place, skip = places[index], skips[index]
            while filled[place] >= 0:
                place = (place + skip) % size
            filled[place] = index
            places[index] = place
            left -= 1
            if left == 0:
                return filled
