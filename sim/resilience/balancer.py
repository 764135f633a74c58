"""What every load balancer is: a choice among hosts, told when calls start and end. `balancers.py` lists them all.

A host is any object with a `name`, a `weight` (1 is usual), a `zone` and a flag `healthy`. Hand in the same sequence as long as
its members stay the same: what is worked out for it (rings, schedules) is kept.

Unhealthy hosts get nothing, unless so few are healthy that their share lies below *panic*: health is then ignored, since the few
would be overrun and the checks are probably wrong. 0 never panics. Nobody left: `pick` returns None.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import Annotated, Any, Protocol, TypeVar

from sim.spec import OneKey, Spec

from .outcomes import Outcome
from .policy import SAME


class Host(Protocol):
    """One member of a service, as a balancer sees it."""

    @property
    def name(self) -> str:
        """What tells it from the others; counts are kept under it."""

    @property
    def weight(self) -> float:
        """Its share relative to the others, above 0."""

    @property
    def zone(self) -> str | None:
        """Where it stands."""

    @property
    def healthy(self) -> bool:
        """May it be used?"""


H = TypeVar("H", bound=Host)


class Balancer:
    """Base of all balancers: filters by health and exclusion; a subclass chooses among those who are left."""

    __slots__ = ("panic",)

    def __init__(self, panic: float = 0.0) -> None:
        if not 0 <= panic <= 1:
            raise ValueError("the panic threshold is a share between 0 and 1")
        self.panic = panic

    @property
    def counts_missing(self) -> bool:
        """It matters to it how many hosts there are that cannot be used: hand them in too."""
        return self.panic > 0

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """The host for the next call; None if there is none. *exclude* holds hosts or their names, *key* is what hashing goes by."""
        pool = usable(hosts, exclude, self.panic)
        return self.choose(pool, now, rng, key) if pool else None

    def choose(self, pool: Sequence[H], now: float, rng: Random, key: Any) -> H:
        """One of *pool*, which is not empty and all of which may be used."""
        raise NotImplementedError

    def started(self, host: Host, now: float) -> None:
        """A call to *host* is on its way."""

    def finished(self, host: Host, now: float, latency: float, outcome: Outcome) -> None:
        """A call to *host* ended after *latency* seconds."""

    def renewed(self, fresh: Callable[[], Balancer]) -> Balancer:
        """What a new process of the caller has in its place: a *fresh* one; calls of the old process end with this one."""
        return fresh()


def usable(hosts: Sequence[H], exclude: Collection[Any] = (), panic: float = 0.0) -> Sequence[H]:
    """Those who may be used: *hosts* itself if all may."""
    pool = hosts
    if not all_healthy(hosts):
        healthy = [host for host in hosts if host.healthy]
        if len(healthy) >= panic * len(hosts) - SAME:
            pool = healthy
    if exclude:
        unwanted = tuple(exclude)
        pool = [host for host in pool if host not in unwanted and host.name not in unwanted]
    return pool


def all_healthy(hosts: Sequence[Host]) -> bool:
    """True if nobody is missing."""
    for host in hosts:  # noqa: SIM110 - a generator costs three times as much, and this runs for every call
        if not host.healthy:
            return False
    return True


def stable_hash(text: str) -> int:
    """64 bits that are the same on every machine and in every process, as `hash` is not."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class BalancerSpec(Spec):
    """Base of the specs of balancers."""

    def build(self, zone: str | None = None) -> Balancer:
        """A balancer for a caller in *zone*."""
        raise NotImplementedError


def _table() -> Mapping[str, type[BalancerSpec]]:
    from .balancers import BALANCERS

    return BALANCERS


AnyBalancer = Annotated[BalancerSpec, OneKey("balancer", _table)]
