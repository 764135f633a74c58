"""Faults of databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sim.faults.http import RequestFault
from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.model.instance import Handle, Hook
from sim.model.messages import Exchange, Response
from sim.units import PositiveDuration, Share

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


def concerns(statement: Statements, exchange: Exchange) -> bool:
    """Whether the request is a statement of that sort."""
    return statement == "any" or exchange.request.path == f"/{statement}"
