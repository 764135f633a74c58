"""Zone aware: calls stay in the caller's zone as long as enough of it is healthy, and spill over to the others as it sinks.

    share of calls kept = min(100 %, 140 % * healthy share of the zone)

140 % (overprovisioning) says that a zone stands the loss of some of its hosts. If all zones together cannot carry 100 %, the
load is split in proportion, and a level of which less than *panic* is healthy is used as if all of it were. Source: Envoy, priority levels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Annotated, Any

from pydantic import Field

from sim.units import Share

from .balancer import AnyBalancer, Balancer, BalancerSpec, H, Host, all_healthy, usable
from .outcomes import Outcome
from .policy import SAME
from .round_robin import RoundRobin, RoundRobinSpec


class ZoneAwareSpec(BalancerSpec):
    """The caller's own zone first; *inner* balances within the zone and among the others."""

    panic: Share = 0.5
    overprovisioning: Annotated[float, Field(ge=1, strict=False)] = 1.4
    inner: AnyBalancer = RoundRobinSpec()

    def build(self, zone: str | None = None) -> Balancer:
        return ZoneAware(self.panic, zone, self.overprovisioning, inner=lambda: self.inner.build(zone))


class ZoneAware(Balancer):
    """Calls of a caller in *zone*; None, or a zone without hosts: all hosts are one level."""

    def __init__(self, panic: float = 0.5, zone: str | None = None, overprovisioning: float = 1.4,
                 inner: Callable[[], Balancer] = RoundRobin) -> None:
        super().__init__(panic)
        self.zone = zone
        self.overprovisioning = overprovisioning
        self._inner = inner(), inner()
        self._hosts: Sequence[Any] = ()
        self._levels: list[tuple[list[Any], Balancer]] = []

    @property
    def counts_missing(self) -> bool:
        return True

    def pick(self, hosts: Sequence[H], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> H | None:
        """A host of this zone, if it can carry the call; see above."""
        if hosts != self._hosts:
            self._split(hosts)
        if not hosts:
            return None
        own, balancer = self._levels[0]
        if not exclude and all_healthy(own):
            kept: H | None = balancer.pick(own, now, rng, key)
            return kept
        healths = [sum(host.healthy for host in level) / len(level) for level, _ in self._levels]
        loads = priority_load(healths, self.overprovisioning)
        if sum(loads) == 0:
            return _any(hosts, exclude, rng) if self.panic else None
        overloaded = sum(min(1.0, self.overprovisioning * health) for health in healths) < 1 - SAME
        first = 0 if rng.random() < loads[0] or len(loads) == 1 else 1
        for index in dict.fromkeys((first, *range(len(loads)))):
            level, balancer = self._levels[index]
            panics = overloaded and healths[index] < self.panic - SAME
            host: H | None = _any(level, exclude, rng) if panics else balancer.pick(level, now, rng, key, exclude)
            if host is not None:
                return host
        return None

    def started(self, host: Host, now: float) -> None:
        for inner in self._inner:  # both: a host may change its level while a call is in flight
            inner.started(host, now)

    def finished(self, host: Host, now: float, latency: float, outcome: Outcome) -> None:
        for inner in self._inner:
            inner.finished(host, now, latency, outcome)

    def _split(self, hosts: Sequence[H]) -> None:
        own = [host for host in hosts if host.zone == self.zone]
        others = [host for host in hosts if host.zone != self.zone]
        self._levels = list(zip((level for level in (own, others) if level), self._inner, strict=False))
        self._hosts = hosts[:]


def _any(hosts: Sequence[H], exclude: Collection[Any], rng: Random) -> H | None:
    """In panic: anyone, healthy or not."""
    pool = usable(hosts, exclude, panic=1.0) if exclude else hosts
    return pool[int(rng.random() * len(pool))] if pool else None


def priority_load(healths: Sequence[float], overprovisioning: float = 1.4) -> list[float]:
    """The share of the calls that each level gets, highest priority first, from the healthy share of its hosts."""
    able = [min(1.0, overprovisioning * health) for health in healths]
    total = sum(able)
    if total <= 1:
        return [each / total if total else 0.0 for each in able]
    loads, left = [], 1.0
    for each in able:
        loads.append(min(each, left))
        left -= loads[-1]
    return loads
