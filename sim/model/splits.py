"""Which version of a service a call goes to: shares of the calls, whatever the number of instances of each.

Within a version the caller's own balancer chooses, one for each version, so that none is told about hosts that it cannot have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from sim.model.perception import Perception, SeenHost
from sim.resilience.balancer import Balancer, Host
from sim.resilience.outcomes import Outcome

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.node import Node


def version_of(host: Any) -> str:
    """Of an instance, or of an instance in the eyes of a caller."""
    while isinstance(host, SeenHost):
        host = host.instance
    version: str = host.version
    return version


class ByVersion(Balancer):
    """Chooses a version by *weights()* (None: any host, as if there were no versions), then a host of it."""

    def __init__(self, weights: Callable[[], Mapping[str, float] | None], first: Balancer, another: Callable[[], Balancer]) -> None:
        super().__init__()
        self._weights, self._first, self._another = weights, first, another
        self._of: dict[str, Balancer] = {}
        self._hosts: Sequence[Any] = ()
        self._groups: dict[str, list[Any]] = {}

    def pick(self, hosts: Sequence[Any], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> Any:
        """A host, by version and balancer."""
        if hosts is not self._hosts:
            self._hosts, self._groups = hosts, {}
            for host in hosts:
                self._groups.setdefault(version_of(host), []).append(host)
        weights = self._weights()
        shares = {version: weights.get(version, 0.0) if weights is not None else len(group) for version, group in self._groups.items()}
        while shares:
            version = rng.choices(list(shares), list(shares.values()))[0] if sum(shares.values()) > 0 else next(iter(shares))
            found = self.balancer_of(version).pick(self._groups[version], now, rng, key, exclude)
            if found is not None:
                return found
            del shares[version]
        return None

    def balancer_of(self, version: str) -> Balancer:
        """The one for *version*."""
        if version not in self._of:
            self._of[version] = self._another() if self._of else self._first
        return self._of[version]

    def started(self, host: Host, now: float) -> None:
        self.balancer_of(version_of(host)).started(host, now)

    def finished(self, host: Host, now: float, latency: float, outcome: Outcome) -> None:
        self.balancer_of(version_of(host)).finished(host, now, latency, outcome)

    def renewed(self, fresh: Callable[[], Balancer]) -> ByVersion:
        return ByVersion(self._weights, fresh(), self._another)


def split(node: Node, client: Client, now_serving: str) -> None:
    """From now on *client* goes by the weights that *node* has for its versions; *now_serving* is the one that it knows already."""
    around: Perception | None = None
    inner = client.balancer
    while isinstance(inner, Perception):
        around, inner = inner, inner.inner
    if isinstance(inner, ByVersion):
        return
    by_version = ByVersion(lambda: node.weights, inner, client.new_balancer)
    by_version.balancer_of(now_serving)
    if around is not None:
        around.inner = by_version
    else:
        client.balancer = by_version
