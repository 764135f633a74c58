"""Mutual TLS between sidecars: a handshake for each new connection, certificates that both sides show, and what happens when one is over.

    message ──connection is there──▶ sent
       └──none, or it is too old──▶ handshake: a round trip and some work ──both certificates valid──▶ sent
                                                       └──one has expired──▶ no connection: the call fails, nothing was sent

A certificate is looked at when a connection is made, and not again: after it has expired, what is connected works on, and fails only
when it has to connect anew. That is why an expired certificate takes a system down bit by bit. Connections are those between one
caller instance and one callee instance; a restart on either side ends them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from sim.errors import CertificateExpired, CertificateRefused
from sim.model.network import Delay, Fail, Message, Verdict
from sim.spec import Spec
from sim.units import Duration, PositiveDuration

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.node import Node
    from sim.model.world import World


MOST_ROTATIONS_TOLD = 1_000  # of a node; they change nothing but the record


class MtlsSpec(Spec):
    """Certificates are *valid_for* so long, are *age* old when the run begins, and are renewed in time if they *rotate*: only a clock
    that is wrong by what is left of one finds it over.

    A handshake takes a round trip and *handshake* of work. A connection is used for *max_connection_age*. `strict` refuses callers
    without a certificate, `permissive` lets them in.
    """

    shorthand: ClassVar[str] = "mode"
    mode: Literal["strict", "permissive"] = "permissive"
    handshake: Duration = 0.002
    valid_for: PositiveDuration = 24 * 3600.0
    age: Duration = 0.0
    rotate: bool = True
    max_connection_age: PositiveDuration = 300.0


class Connection(NamedTuple):
    """Between two processes: usable from *ready* until *until* (seconds)."""

    ready: float
    until: float
    processes: tuple[int, int]


class Certificates:
    """Those of the instances of one *node*."""

    def __init__(self, node: Node, spec: MtlsSpec) -> None:
        self.node, self.spec = node, spec
        self.expires = math.inf if spec.rotate else spec.valid_for - spec.age
        self._expired: dict[Instance, None] = {}  # by a fault
        self._renewed: dict[Instance, float] = {}  # after one, until when
        self.refused: Counter[Instance] = Counter()  # connections that were not made because that of the instance was over
        self._broken = 0  # how often all connections were dropped
        self._rotations = 0
        if spec.rotate:
            node.world.loop.after(spec.valid_for - spec.age % spec.valid_for, self._rotated)
        else:
            node.world.loop.after(max(0.0, self.expires), self._tell, "certificate.expired")

    def _tell(self, kind: str) -> None:
        """What happens to all of them at once."""
        self.node.world.recorder.event(kind, node=self.node.name)

    def _rotated(self) -> None:
        self._tell("certificate.rotated")
        self._rotations += 1
        if self._rotations < MOST_ROTATIONS_TOLD:
            self.node.world.loop.after(self.spec.valid_for, self._rotated)

    def valid(self, instance: Instance, now: float, ahead: float) -> bool:
        """Would the other side, whose clock is so far *ahead* of the true time *now* (seconds), accept it?"""
        if instance in self._expired:
            return False
        if self.spec.rotate:
            return ahead < self.spec.valid_for - (now + self.spec.age) % self.spec.valid_for
        return now + ahead < self._renewed.get(instance, self.expires)

    def expire(self, instances: Iterable[Instance]) -> None:
        """Their certificates are over now, whatever was said about rotation; what is connected goes on."""
        for instance in instances:
            self._expired[instance] = None
            self.node.world.recorder.event("certificate.expired", node=self.node.name, instance=instance.name)

    def renew(self, instances: Iterable[Instance]) -> None:
        """They have new ones."""
        for instance in instances:
            if self._expired.pop(instance, self) is None:
                self._renewed[instance] = self.node.world.loop.time() + self.spec.valid_for
                self.node.world.recorder.event("certificate.renewed", node=self.node.name, instance=instance.name)

    def drop_connections(self) -> None:
        """All connections to this node end, as when its sidecars are restarted: everybody must make a new one."""
        self._broken += 1

    @property
    def generation(self) -> int:
        """Connections of another generation are no more."""
        return self._broken


class Handshakes:
    """The rule on the way from one node to another that makes connections. *theirs* are the callee's certificates, *ours* the caller's."""

    def __init__(self, world: World, theirs: Certificates, ours: Certificates | None) -> None:
        self._world, self._clock, self.theirs, self.ours = world, world.loop.time, theirs, ours
        self._connections: dict[tuple[str, str], Connection] = {}

    def __call__(self, message: Message) -> Verdict:
        source, target, now = message.source, message.target, self._clock()
        processes = (getattr(source, "process", 0), target.process + self.theirs.generation)
        connection = self._connections.get((source.name, target.name))
        if connection is not None and now < connection.until and connection.processes == processes:
            return Delay(connection.ready - now) if now < connection.ready else None
        return self._connect(message, source, target, now, processes)

    def _connect(self, message: Message, source: Any, target: Instance, now: float, processes: tuple[int, int]) -> Verdict:
        spec = self.theirs.spec
        if self.ours is None and spec.mode == "permissive":
            return None
        round_trip = message.link.latency() + message.link.latency()
        if self.ours is None:
            return Fail(lambda: CertificateRefused(f"{target.name} wants a certificate, and {source.name} has none"), round_trip)
        for certificates, instance, judge in ((self.theirs, target, source), (self.ours, source, target)):
            if not certificates.valid(instance, now, judge.clock_offset):  # by the calendar of who looks at it
                certificates.refused[instance] += 1
                return Fail(lambda instance=instance: CertificateExpired(f"the certificate of {instance.name} has expired"), round_trip)  # type: ignore[misc]
        took = round_trip + spec.handshake
        self._connections[source.name, target.name] = Connection(now + took, now + spec.max_connection_age, processes)
        self._world.edge(message.link.source, message.link.target).counts["mesh.handshake"] += 1
        return Delay(took)
