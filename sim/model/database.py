"""A database: a number of connections, each running one statement at a time; who finds none free waits in line.

    write, transaction ──▶ primary ──lag──▶ replicas ◀── read
                             └─ silent ──after──▶ the replica that has most becomes the primary; what it does not have is lost

Statements of steps take time and lock the row that they are about (their `key`); those of service code change rows of tables as well.
With `cpu` the statements at work share cores; with `scaling` they are in each other's way, so that more connections can mean less work.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sim.distributions import Constant, TimeDistribution
from sim.mistakes import Mistake, invalid
from sim.model import event_store
from sim.model.client import Client
from sim.model.database_copies import Entry
from sim.model.database_server import DatabaseServer
from sim.model.database_views import Primary, Readers
from sim.model.instance import Instance
from sim.model.messages import Request
from sim.model.network import LOST, Link, LinkFailed
from sim.model.node import CpuSpec, Handler, Node, NodeSpec, QueueSpec
from sim.model.scaling import ScalingSpec
from sim.model.tables import Tables
from sim.model.waits import Waits
from sim.sampling import always
from sim.spec import Spec
from sim.telemetry.integrals import Level
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.versions import VersionSpec
    from sim.model.world import World

LOCK_WAIT = 50.0  # seconds; InnoDB's innodb_lock_wait_timeout
SESSION_WAIT = 10.0  # seconds; MariaDB MaxScale's causal_reads_timeout
LOOK = 1.0  # seconds between two looks at the primary, as Redis' Sentinel pings
ENTRY = Request("POST", "/log")  # what goes from a primary to its replicas, as the network sees it


class FailoverSpec(Spec):
    """When the primary has not answered for *after*, the replica that has most of the writes takes its place, and takes none itself for
    the next *read_only*.

    It does not answer while it is dead, stands still or refuses connections, or none of its replicas gets through to it over the network
    (they look once a second). That its callers cannot reach it is no reason.
    """

    shorthand: ClassVar[str] = "after"
    after: PositiveDuration = 10.0
    read_only: Duration = 0.0


class DatabaseSpec(NodeSpec):
    """Statements take *query* (or what a step says); *connections* run at once. A share *error_rate* of them fails.

    With *replicas*, writes go to the first instance, and reads to the others, or as *reads* says. Each write is at a replica *replica_lag*
    later; what faults do to messages between instances of the database comes on top. A session's read that a replica is not far enough
    for goes to the primary after *session_wait*. *synchronous*: a write is answered when one replica has it. Locks: who waits longer than
    *lock_wait_timeout* fails; a deadlock is found at once, or by that timeout.
    """

    word: ClassVar[str] = "database"
    kind: Literal["database"] = "database"
    connections: int = Field(default=20, ge=1)
    queue: QueueSpec = Field(default_factory=lambda: QueueSpec.model_construct(limit=10_000, order="fifo"))
    query: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.002))
    error_rate: Share = 0.0
    cpu: CpuSpec | None = None
    scaling: ScalingSpec | None = None
    replicas: int = Field(default=0, ge=0, le=100)
    replica_lag: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0))
    reads: Literal["primary", "replicas", "any"] = "replicas"
    session_wait: PositiveDuration = SESSION_WAIT
    synchronous: bool = False
    failover: FailoverSpec | None = None
    lock_wait_timeout: PositiveDuration = LOCK_WAIT
    deadlock_detection: bool = True
    idle_in_transaction_timeout: PositiveDuration | None = None

    @model_validator(mode="before")
    @classmethod
    def _count_replicas(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("replicas"), int) and value["replicas"] > 0 and "instances" not in value:
            return {**value, "instances": 1 + value["replicas"]}
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> DatabaseSpec:
        if self.instances != 1 + self.replicas and (self.replicas or not self.instances):
            raise invalid(Mistake(("instances",), f"{self.instances} instances do not go with {self.replicas} replicas",
                                  f"leave `instances` out: one primary and {self.replicas} replicas are {1 + self.replicas}"))
        for key in ("failover", "synchronous"):
            if getattr(self, key) and not self.replicas:
                raise invalid(Mistake((key,), f"`{key}` needs somebody else who has the data", "add `replicas: 1`", at_key=True))
        return self

    def workers_each(self) -> int:
        return self.connections

    def queue_spec(self) -> QueueSpec:
        return self.queue

    def cores_each(self) -> float | None:
        return self.cpu.cores if self.cpu is not None else None

    def build(self, name: str, world: World) -> Node:
        return Database(name, self, world)


class Database(Node):
    """The runtime of a database; its first instance is the primary, as long as that lives."""

    spec: DatabaseSpec
    instances: list[DatabaseServer]  # type: ignore[assignment]

    def __init__(self, name: str, spec: DatabaseSpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.replicated = spec.replicas > 0
        self.alone = Tables()  # of all instances together, where there are no replicas
        self.position = 0  # of the last write, also if that is lost
        self.last_write: dict[str | None, int] = {}  # that is not lost: by key; None: of any row
        self.counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._extra_lag = 0.0  # seconds; for faults
        self.primary: DatabaseServer
        self.read_only_until = 0.0
        self.kept_read_only_until = 0.0  # for faults
        self._readers: dict[Instance, Client] = {}
        self._projections: dict[str, Level] = {}
        self._own: dict[Instance, tuple[int, dict[str | None, int]]] = {}  # of which process, and what it knows
        self._lag = spec.replica_lag.sampler(world.streams[f"{name} replication"])
        self._between: Link  # its servers, where there are replicas
        self._silent_since: float | None = None  # since when the primary does not answer, in seconds

    def new_instance(self, number: int, version: VersionSpec | None = None) -> Instance:
        server = DatabaseServer(self.world, self, number, self.zone_of(number), version)
        if number == 0:
            self.primary = server
        return server

    def start(self) -> None:
        if self.replicated:
            self._between = self.world.link(self.name, self.name)
            self._between.take(always(0.0))  # `replica_lag` is all that it takes without faults
        super().start()
        if self.replicated and self.spec.failover is not None:
            self._look_again()
        if self.replicated:
            for server in self.instances:
                self.world.recorder.gauge(self.name, server.name, "replica_behind", server.copy.behind.reading)

    def handler(self, instance: Instance) -> Handler:
        assert isinstance(instance, DatabaseServer), "a database makes its own instances"
        return instance.statements()

    @property
    def tables(self) -> Tables:
        """What service code keeps here; steps only take time."""
        return self.primary.copy.tables if self.replicated else self.alone

    def tables_at(self, server: DatabaseServer) -> Tables:
        """What *server* has."""
        return server.copy.tables if self.replicated else self.alone

    def lag(self) -> float:
        """Seconds until the next entry is at a replica."""
        return self._lag() + self._extra_lag

    def set_extra_lag(self, seconds: float) -> None:
        """Every write is at the replicas so much later; where that is less than before, also those that are on their way."""
        self._extra_lag = seconds
        for server in self.instances:
            server.copy.catch_up()

    def way_to(self, server: DatabaseServer) -> float:
        """Seconds that the network adds to what goes from the primary to *server* now; LOST where it does not get there."""
        return self._way(self.primary, server)

    def _way(self, source: DatabaseServer, target: DatabaseServer) -> float:
        if not self._between.rules:
            return 0.0
        try:
            return self._between.delay(source, target, ENTRY)
        except LinkFailed:
            return LOST

    # callers

    def adopt(self, client: Client) -> None:
        super().adopt(client)
        if self.replicated:
            client.discovered = Primary(self)

    def reader(self, instance: Instance) -> Client:
        """The way of *instance* to where it reads; the same as for writes, where there is nobody else."""
        if not self.replicated or self.spec.reads == "primary":
            return instance.client(self.name)
        if instance not in self._readers:
            client = self._readers[instance] = instance.client_apart(self.name)
            client.discovered = Readers(self, primary_too=self.spec.reads == "any")
        return self._readers[instance]

    def own_writes(self, instance: Instance) -> dict[str | None, int]:
        """By row, the position of the last write that the process of *instance* knows to be done; None: any row."""
        known = self._own.get(instance)
        if known is None or known[0] != instance.process:
            known = self._own[instance] = instance.process, {}
        return known[1]

    def learned(self, instance: Instance, keys: Iterable[str | None], position: int) -> None:
        """The process of *instance* knows that what it has written to the rows *keys* is in the log, up to *position*."""
        if not self.replicated:
            return
        own = self.own_writes(instance)
        for key in (*keys, None):
            own[key] = max(own.get(key, 0), position)

    # writes

    def written(self, entry: Entry) -> None:
        """The primary has written *entry*."""
        self.last_write[entry.key] = self.last_write[None] = entry.position
        if self.replicated:
            self._distribute(entry)

    def _distribute(self, entry: Entry) -> None:
        for server in self.instances:
            if server is not self.primary:
                server.copy.receive(entry)

    def look_at_projections(self, tables: Tables) -> None:
        """Something was written: how far behind is each projection of the event store?"""
        for name in tables.get("positions", ()):
            self.expect_projection(name)
        for name, level in self._projections.items():
            behind = event_store.lag(tables, name)
            if behind != level.value:
                level.change(behind - level.value, self.world.loop.time())

    def expect_projection(self, name: str) -> None:
        """From now on the projection *name* has a lag, whether it has done anything or not."""
        if name not in self._projections:
            level = self._projections[name] = Level()
            self.world.recorder.gauge(self.name, "", f"lag {name}", level.reading)

    @property
    def read_only(self) -> bool:
        """It takes no writes now."""
        return self.world.loop.time() < max(self.read_only_until, self.kept_read_only_until)

    # failover

    def killed(self, instance: Instance) -> None:
        assert isinstance(instance, DatabaseServer), "a database makes its own instances"
        instance.locks.unblock_all()
        self.look()

    def changed(self) -> None:
        super().changed()
        self.look()

    def look(self) -> None:
        """Does the primary answer? If it has not for too long, and somebody can take its place, that happens now."""
        failover, now = self.spec.failover, self.world.loop.time()
        if failover is None or self._is_heard():
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
            self.world.loop.post(failover.after, self.look)
        elif now >= self._silent_since + failover.after and self._others():
            self.fail_over(failover.read_only)

    def _look_again(self) -> None:
        self.look()
        self.world.loop.post(LOOK, self._look_again)

    def _is_heard(self) -> bool:
        primary, others = self.primary, self._others()
        if not primary.answers or not self._between.rules or not others:
            return primary.answers
        return any(self._way(one, primary) < LOST and self._way(primary, one) < LOST for one in others)

    def _others(self) -> list[DatabaseServer]:
        """Those who could take the place of the primary."""
        return [server for server in self.instances if server is not self.primary and server.answers]

    def fail_over(self, read_only: float = 0.0) -> None:
        """Make the replica that has most of the writes the primary, at once: what it does not have is lost. It takes no writes for the next
        *read_only* seconds. Where there is no replica, the one there is takes no writes for so long."""
        candidates = self._others()
        self.read_only_until = max(self.read_only_until, self.world.loop.time() + read_only)
        until = longest if (longest := max(self.read_only_until, self.kept_read_only_until)) < math.inf else None  # nobody knows yet
        if not candidates:
            self.world.recorder.event("database.read_only", node=self.name, until=until)
            return
        old, new = self.primary, max(candidates, key=lambda server: server.copy.applied)
        lost = self._promote(new)
        self.counts["lost_writes"] += lost
        self.counts["failovers"] += 1
        for client in self.clients:
            if client.pool is not None:
                client.pool.close()
        self.world.recorder.event("database.failover", node=self.name, primary=new.name, was=old.name, lost_writes=lost,
                                  read_only_until=until)
        self.changed()

    def _promote(self, new: DatabaseServer) -> int:
        """Make *new* the primary; return how many writes are lost that were answered."""
        old, has = self.primary, new.copy.applied
        replicas = [server for server in self.instances if server is not old]
        answered = max(server.copy.applied for server in replicas) if self.spec.synchronous else self.position
        self.primary, self._silent_since = new, None
        if old.up:
            old.step_down()
        for server in (old, new):
            server.locks.unblock_all()
        lost = new.copy.forget_after(has)
        new.copy.lead(self.position)
        for server in replicas:
            if server is not new:
                server.copy.follow(new.copy, has)
        self.last_write = {key: position for key, position in self.last_write.items() if position <= has}
        if has:
            self.last_write[None] = has
        if old.up:
            old.copy.restart_from(new.copy)
        if lost:  # no position is used twice: with this entry, which changes nothing, replicas get past those that are lost
            self._distribute(Entry(self.position, None, []))
        return sum(entry.position <= answered for entry in lost)

    def boot(self, instance: Instance) -> None:
        """A server that comes back takes the data of the primary; if it is the primary itself, the others go on where they were."""
        assert isinstance(instance, DatabaseServer), "a database makes its own instances"
        if self.replicated and instance is not self.primary:
            instance.copy.restart_from(self.primary.copy)
        elif self.replicated:
            for server in self.instances:
                server.copy.go_on()
        super().boot(instance)

    # the books

    def measure_from_here(self) -> None:
        self._before = self._counted()
        for waits in (*self._lock_waits(), *self._pool_waits()):
            waits.measure_from(self.world.loop.time())
        for level in self._projections.values():
            level.forget_peaks()

    def _lock_waits(self) -> list[Waits]:
        return [server.locks.ended_waits for server in self.instances]

    def _pool_waits(self) -> list[Waits]:
        return [client.pool.ended_waits for client in self.clients if client.pool is not None]

    def _counted(self) -> Counter[str]:
        counts = self.counts.copy()
        for server in self.instances:
            counts["lock_waits"] += server.locks.waits
            counts["lock_timeouts"] += server.locks.timeouts
            counts["deadlocks"] += server.locks.deadlocks
        for client in self.clients:
            if client.pool is not None:
                counts["pool_waits"] += client.pool.waits
                counts["pool_timeouts"] += client.pool.timeouts
        return counts

    def figures(self) -> dict[str, Any]:
        """Since the warm-up; waits, in seconds, are those that began after it and have ended. *pool_waits* and *pool_timeouts* are of the
        pools of callers; who waits for one of the database's own connections is in its queue, as with any service.

        A *stale* read missed a write that was there before it; an *own* one a write of the same caller; after
        a *session_timeout* the primary was asked. *lost_writes* were answered, and are gone. *lost_updates*: a transaction wrote over
        what it had read, and somebody else had written meanwhile.
        """
        counts = self._counted()
        names = ("reads", "writes", "errors", "transactions", "commits", "rollbacks", "pool_waits", "pool_timeouts", "lock_waits",
                 "lock_timeouts", "deadlocks", "stale_reads", "own_writes_missed", "session_timeouts", "lost_writes",
                 "lost_updates", "refused_writes", "failovers", "version_conflicts")
        return {
            **{name: counts[name] - self._before[name] for name in names},
            "lock_wait_s": _wait(self._lock_waits()), "pool_wait_s": _wait(self._pool_waits()),
            "primary": self.primary.name, "instances": len(self.instances),
            "projections": {name: {"lag": level.value, "lag_max": max(level.ever, level.highest)}
                            for name, level in self._projections.items()},
        }


def _wait(some: list[Waits]) -> dict[str, float | None]:
    ended = sum(waits.ended for waits in some)
    longest = max((waits.longest for waits in some), default=None)
    return {"mean": sum(waits.total for waits in some) / ended if ended else None, "max": longest}
