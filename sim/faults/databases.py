"""Faults of databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sim.faults.http import RequestFault
from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.nodes import NodeFault
from sim.faults.system import System
from sim.model.database import Database, DatabaseSpec
from sim.model.messages import Exchange, Response
from sim.model.station import Handle, Hook
from sim.spec import Mistake
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from asyncio import Future

    from sim.model.instance import Instance

Statements = Literal["read", "write", "any"]
LOCK_WAIT = 50.0  # seconds; InnoDB's lock_wait_timeout


class DbSlow(InstanceFault):
    """Every statement takes *factor* times as long: a slow disk, a missing index, a neighbour.

    `{kind: db.slow, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, factor: 10}`
    """

    severity: ClassVar[str] = "factor"
    of_kind: ClassVar[str] = "database"
    kind: Literal["db.slow"] = "db.slow"
    factor: float = Field(gt=0, le=1e6)

    def strike(self, instance: Instance, at: Injection) -> AbstractContextManager[None]:
        return at.slow(instance, lambda strength: 1 + (self.factor - 1) * strength)


class DbError(RequestFault):
    """Statements fail with *status* before anything is done, with *probability*; `read`, `write` or `any` of them.

    `{kind: db.error, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, statement: write, probability: 5%}`
    """

    of_kind: ClassVar[str] = "database"
    kind: Literal["db.error"] = "db.error"
    statement: Statements = "any"
    status: int = Field(default=500, ge=500, le=599)

    def concerns(self, exchange: Exchange) -> bool:
        return concerns(self.statement, exchange) and super().concerns(exchange)

    def spoiler(self, at: Injection) -> Hook:
        return lambda exchange, proceed: exchange.instance.reply(exchange, Response(self.status))


class DbLock(InstanceFault):
    """Somebody holds locks and does not let go: a *share* of the statements (default: writes) waits, each on a connection of its own,
    until the fault ends, or gives up after *wait_timeout* with an error. So a lock can use up all connections.

    `{kind: db.lock, target: {service: orders-db}, schedule: {at: 60s, for: 5s}, share: 20%}`
    """

    severity: ClassVar[str] = "share"
    of_kind: ClassVar[str] = "database"
    kind: Literal["db.lock"] = "db.lock"
    statement: Statements = "write"
    share: Share = Field(default=1.0, gt=0)
    wait_timeout: PositiveDuration = LOCK_WAIT

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        released: Future[None] = instance.loop.create_future()
        at.hits -= 1  # counted by statement

        def wait(exchange: Exchange, handle: Handle) -> Awaitable[Response | None]:
            if not concerns(self.statement, exchange) or at.rng.random() >= self.share * at.strength:
                return handle(exchange)
            at.hits += 1
            return self._wait(released, exchange, handle)

        with instance.served_through(wait):
            try:
                yield
            finally:
                released.set_result(None)

    async def _wait(self, released: Future[None], exchange: Exchange, handle: Handle) -> Response | None:
        try:
            async with asyncio.timeout(self.wait_timeout):
                await asyncio.shield(released)
        except TimeoutError:
            return Response(500)
        return await handle(exchange)


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
    back, and no write is taken for *read_only* so long.

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
        database = self.database(at)
        database.fail_over()
        with at.hold(database, "read-only", partial(database.set_read_only, True), partial(database.set_read_only, False)):
            yield


class DbReplicaLag(DatabaseFault):
    """Every write reaches the replicas *lag* later: who reads there misses it (a stale read), and a failover loses it.

    `{kind: db.replica_lag, target: {service: orders-db}, schedule: {at: 60s, for: 30s}, lag: 5s}`
    """

    severity: ClassVar[str] = "lag"
    kind: Literal["db.replica_lag"] = "db.replica_lag"
    lag: Duration

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        database = self.database(at)
        with at.layer(database, "lag", lambda strength: self.lag * strength, base=lambda: 0.0,
                      apply=partial(setattr, database, "extra_lag"), combine=sum):
            yield


def concerns(statement: Statements, exchange: Exchange) -> bool:
    """Whether the request is a statement of that sort; a transaction counts as a write."""
    return statement == "any" or (exchange.request.path == "/read") == (statement == "read")
