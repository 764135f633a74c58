"""The instances as a caller sees them: what discovery has told it, less those that it has found bad itself.

With a registry a caller cannot know who is up; it only knows who is listed. With outlier detection it leaves out for a while who has
answered badly. Balancers choose among hosts, and for them a host here is an instance in this light.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from sim.resilience.balancer import Balancer, Host
from sim.resilience.events import Event
from sim.resilience.outcomes import Outcome
from sim.resilience.outlier_detection import HostEjected, OutlierDetectionSpec

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.instance import Instance


class SeenHost:
    """An *instance* in the eyes of one caller."""

    __slots__ = ("_perception", "instance", "name", "out_until", "zone")

    def __init__(self, perception: Perception, instance: Instance) -> None:
        self._perception = perception
        self.instance = instance
        self.name, self.zone = instance.name, instance.zone
        self.out_until = 0.0  # seconds

    @property
    def weight(self) -> float:
        """Its share relative to the others."""
        return self.instance.weight

    @property
    def since(self) -> float:
        """When its instance last began to be healthy."""
        return self.instance.since

    @property
    def healthy(self) -> bool:
        """May it be used, as far as the caller knows?"""
        perception = self._perception
        return perception.now >= self.out_until and (not perception.knows_the_truth or self.instance.healthy)


class Perception(Balancer):
    """Chooses by *inner* among what *client* knows; an instance that is ejected is unhealthy to it."""

    def __init__(self, client: Client, inner: Balancer, detection: OutlierDetectionSpec | None = None) -> None:
        super().__init__()
        self.client, self.inner = client, inner
        self.knows_the_truth = True
        self._detection = detection
        self._over = False
        self.now = 0.0
        self._of: Sequence[Any] = ()
        self._hosts: dict[str, SeenHost] = {}
        self._seen: tuple[SeenHost, ...] = ()
        self._detector = detection.build(f"{client.edge.name}.outlier_detection", self._moved) if detection is not None else None
        if self._detector is not None:
            client.loop.after(self._detector.interval, self._tick)

    def pick(self, hosts: Sequence[Any], now: float, rng: Random, key: Any = None, exclude: Collection[Any] = ()) -> Any:
        self.now = now
        if hosts is not self._of:
            self._look(hosts)
        found = self.inner.pick(self._seen, now, rng, key, exclude)
        return found.instance if found is not None else None

    def _look(self, instances: Sequence[Instance]) -> None:
        self._of = instances
        self._hosts = {instance.name: self._hosts.get(instance.name) or SeenHost(self, instance) for instance in instances}
        self._seen = tuple(self._hosts.values())
        if self._detector is not None:
            self._detector.set_hosts(self._hosts)

    def started(self, host: Host, now: float) -> None:
        self.inner.started(host, now)

    def finished(self, host: Host, now: float, latency: float, outcome: Outcome) -> None:
        self.inner.finished(host, now, latency, outcome)
        if self._detector is not None and host.name in self._hosts:
            self._detector.record(host.name, outcome, now)

    def renewed(self, fresh: Callable[[], Balancer]) -> Perception:
        self._over = True
        renewed = Perception(self.client, self.inner.renewed(fresh), self._detection)
        renewed.knows_the_truth = self.knows_the_truth
        return renewed

    # ejections

    def _tick(self) -> None:
        assert self._detector is not None, "only outlier detection ticks"
        if self._over:
            return
        self._detector.tick(self.client.env._now)
        self.client.loop.after(self._detector.interval, self._tick)

    def _moved(self, event: Event) -> None:
        client = self.client
        client.edge.counts[f"outlier_detection.{event.kind}"] += 1
        if isinstance(event, HostEjected):
            if event.enforced and event.host in self._hosts:
                self._hosts[event.host].out_until = event.until
            client.recorder.event("outlier.ejected", edge=client.edge.name, caller=client.source.name, instance=event.host,
                                  reason=event.reason, until=event.until, enforced=event.enforced)
        else:
            client.recorder.event("outlier.returned", edge=client.edge.name, caller=client.source.name, instance=event.host)  # type: ignore[attr-defined]
