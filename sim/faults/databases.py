"""Faults of databases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from sim.faults.http import RequestFault
from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.nodes import NodeFault
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.model.database import Database, DatabaseSpec
from sim.model.database_locks import Blocker
from sim.model.database_server import TRANSACTION, DatabaseServer
from sim.model.database_sessions import InSession
from sim.model.keys import AnyKeys
from sim.model.messages import Exchange, Response
from sim.model.station import Hook
from sim.resilience.balancer import stable_hash
from sim.spec import Mistake, invalid
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.instance import Instance

Statements = Literal["read", "write", "any"]
MOST_ROWS = 10_000
TRIES = 100  # draws for each row that is wanted; where there are fewer rows than wanted, all are locked


class DbSlow(InstanceFault):
    """Every statement takes *factor* times as long, and *latency* longer, without CPU: a slow disk, a missing index, a neighbour.

    `{kind: db.slow, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, factor: 10}`
    """

    severity: ClassVar[str] = "factor"
    neutral: ClassVar[float] = 1.0
    of_kind: ClassVar[str] = "database"
    of_work: ClassVar[bool] = True
    kind: Literal["db.slow"] = "db.slow"
    factor: float = Field(default=1.0, gt=0, le=1e6)
    latency: Duration = 0.0

    @model_validator(mode="after")
    def _says_how_slow(self) -> DbSlow:
        if not self.model_fields_set & {"factor", "latency"}:
            raise invalid(Mistake((), "it does not say how slow", "add `factor: 10`, or `latency: 200ms`"))
        return self

    def does_nothing(self) -> bool:
        return super().does_nothing() and not self.latency

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        with (at.slow(instance, lambda strength: 1 + (self.factor - 1) * strength),
              at.layer(instance, "extra time of statements", lambda strength: self.latency * strength, base=lambda: 0.0,
                       apply=partial(setattr, instance, "extra"), combine=sum)):
            yield


class DbError(RequestFault):
    """Statements fail with *status* before anything is done, with *probability*; `read`, `write` or `any` of them, also those of open
    transactions, which then are rolled back.

    `{kind: db.error, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, statement: write, probability: 5%}`
    """

    of_kind: ClassVar[str] = "database"
    kind: Literal["db.error"] = "db.error"
    statement: Statements = "any"
    status: int = Field(default=500, ge=500, le=599)

    def concerns(self, exchange: Exchange) -> bool:
        path = exchange.request.path
        return path != TRANSACTION and self.statement in ("any", path[1:]) and super().concerns(exchange)

    @contextmanager
    def laid(self, hook: Hook, instance: Instance) -> Iterator[None]:
        assert isinstance(instance, DatabaseServer), "it was checked to be a database's"
        with instance.intercepted(hook), instance.statements_through(hook):
            yield

    def spoiler(self, at: Injection) -> Hook:
        def fail(exchange: Exchange, proceed: Callable[[Exchange], None]) -> None:
            database: Database = exchange.instance.node  # type: ignore[assignment]
            database.counts["errors"] += 1
            failure, body = Response(self.status), exchange.request.body
            if type(body) is InSession:
                body.spoiled = failure
                proceed(exchange)
            else:
                exchange.instance.reply(exchange, failure)

        return fail


class DbLock(InstanceFault):
    """Somebody holds locks and does not let go: a migration, a transaction that was forgotten. Who needs them waits on a connection of
    its own until the fault ends, or gives up after the database's `lock_wait_timeout`, or *wait_timeout* if that is sooner; so a lock can
    use up all connections.

    Locked are a *share* of all rows, or of the rows named by *key*: one, or as many different ones as *rows* says, drawn each time as a
    request draws its own. A write, and a read `for_update`, waits for its row; a statement that names no row meets the lock with the
    probability *share*. With *statement* `read` or `any`, reads wait too, as for a lock on the table. A kill of the server, or a failover,
    ends it.

    `{kind: db.lock, target: {service: orders-db}, schedule: {at: 60s, for: 5s}, share: 20%}`
    """

    severity: ClassVar[str] = "share"
    of_kind: ClassVar[str] = "database"
    kind: Literal["db.lock"] = "db.lock"
    statement: Statements = "write"
    key: AnyKeys | None = None
    rows: int = Field(default=1, ge=1, le=MOST_ROWS)
    share: Share = Field(default=1.0, gt=0)
    wait_timeout: PositiveDuration | None = None

    @model_validator(mode="after")
    def _rows_of_a_key(self) -> DbLock:
        if self.key is None and self.rows != 1:
            raise invalid(Mistake(("rows",), "`rows` counts those that `key` draws", "add `key: {zipf: 1000}`, or write `share: 20%`",
                                  at_key=True))
        return self

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        assert isinstance(instance, DatabaseServer), "it was checked to be a database's"
        locks, rows, salt = instance.locks, self._drawn(at), at.rng.getrandbits(32)
        at.hits -= 1  # counted by statement

        def has(key: str) -> bool:
            return (rows is None or key in rows) and stable_hash(f"{salt} {key}") / 2**64 < self.share * at.strength

        def covers(key: str | None, writes: bool) -> bool:
            if self.statement != "any" and writes != (self.statement == "write"):
                return False
            met = has(key) if key is not None else rows is None and at.rng.random() < self.share * at.strength
            at.hits += met
            return met

        blocker = Blocker(f"held by {at.name} since {at.start!r}", covers)
        with ExitStack() as parts:
            if self.wait_timeout is not None:
                sooner = self.wait_timeout
                parts.enter_context(at.layer(locks, "timeout", lambda strength: sooner, base=lambda: locks.timeout,
                                             apply=partial(setattr, locks, "timeout"), combine=min))
            locks.block(blocker)
            parts.callback(locks.unblock, blocker)
            parts.enter_context(at.following(lambda strength: locks.unblock_rows(blocker, has)))
            yield

    def _drawn(self, at: Injection) -> frozenset[str] | None:
        """The rows that *key* names; None: any row."""
        if self.key is None:
            return None
        draw = self.key.drawer(at.rng)
        drawn: dict[str, None] = {}
        for _ in range(TRIES * self.rows):
            drawn[str(draw())] = None
            if len(drawn) == self.rows:
                break
        return frozenset(drawn)

    def missed(self, at: Injection) -> Reason:
        return because("no lock needed", where=", ".join(at.targets))


class DatabaseFault(NodeFault):
    """A fault of a database with replicas, as a whole."""

    of_kind: ClassVar[str] = "database"

    def database(self, at: Injection) -> Database:
        """The database that is hit."""
        database = self.hit(at)
        assert isinstance(database, Database), f"{database.name} was checked to be a database"
        return database

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from super().mistakes(system)
        spec = system.services.get(self.target.service)
        if isinstance(spec, DatabaseSpec) and not spec.replicas:
            yield Mistake(("target", "service"), f"{self.target.service!r} has no replicas", "add `replicas: 1` to it")


class DbFailover(DatabaseFault):
    """The replica that has most of the writes becomes the primary, at once: what it does not have is lost. Transactions are rolled
    back, writes that still wait for a replica fail, and no write is taken for *read_only* so long.

    `{kind: db.failover, target: {service: orders-db}, schedule: {at: 60s}, read_only: 10s}`
    """

    kind: Literal["db.failover"] = "db.failover"
    read_only: Duration = 5.0

    def own_length(self) -> float | None:
        return self.read_only

    def length_field(self) -> str:
        return "read_only"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        database, until = self.database(at), math.inf if at.until is None else at.until
        at.count(True)
        with at.layer(database, "read-only", lambda strength: until, base=lambda: 0.0,
                      apply=partial(setattr, database, "kept_read_only_until"), combine=max):
            database.fail_over()
            yield


class DbReplicaLag(DatabaseFault):
    """Every write reaches the replicas *lag* later: who reads there misses it (a stale read), and a failover loses it. When the fault
    ends they catch up.

    `{kind: db.replica_lag, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, lag: 5s}`
    """

    severity: ClassVar[str] = "lag"
    kind: Literal["db.replica_lag"] = "db.replica_lag"
    lag: Duration

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        database = self.database(at)
        at.count_if_changed(lambda: database.position)
        with at.layer(database, "lag", lambda strength: self.lag * strength, base=lambda: 0.0,
                      apply=database.set_extra_lag, combine=sum):
            yield

    def missed(self, at: Injection) -> Reason:
        return because("nobody wrote", database=self.target.service)
