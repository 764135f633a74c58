"""The step that asks a database: one statement, or a transaction of several.

    - query: order-db                                                          a read
    - query: {database: order-db, statement: write, key: {zipf: 1000}}         a write to one of a thousand rows
    - query: {database: order-db, transaction: [...steps...]}                  all or nothing; locks are held until the end

A statement without a `key` is about the row that the request itself is about (its `key`), if it says so; else about no row that
could be locked.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from sim.distributions import TimeDistribution
from sim.model.client import Client
from sim.model.database_server import BEHIND, Ask
from sim.model.database_sessions import Committed
from sim.model.instance import Instance
from sim.model.keys import AnyKeys
from sim.model.messages import Exchange, Request, Response
from sim.model.paths import Target
from sim.model.steps import Act, AnyStep, Step, key_of_each, sequence
from sim.model.transactions import Transaction, ask
from sim.spec import Mistake, invalid

if TYPE_CHECKING:
    from sim.model.database import Database
    from sim.model.service import Service

ALONE = ("statement", "time", "for_update", "consistency")  # what is said of one statement


class Query(Step):
    """A *statement* at a database, which takes *time* (default: as the database says) and is about the row *key*; or a *transaction* of
    steps.

    A write locks its row until it is done, in a transaction until that ends; a read *for_update* in a transaction does so too.
    Where there are replicas, *consistency* says what a read may miss: nothing (`strong`: it goes to the primary), what others have
    written (`session`: the replica waits until it has the caller's own writes, and if that takes too long the primary is asked), or
    anything (`eventual`).
    """

    shorthand: ClassVar[str] = "database"
    beside: ClassVar[tuple[str, ...]] = ("statement", "time", "key", "for_update", "consistency", "transaction")
    database: str
    statement: Literal["read", "write"] = "read"
    time: TimeDistribution | None = None
    key: AnyKeys | None = None
    for_update: bool = False
    consistency: Literal["eventual", "session", "strong"] = "eventual"
    transaction: list[AnyStep] | None = None

    @model_validator(mode="after")
    def _one_or_many(self) -> Query:
        wrong = [name for name in ALONE if name in self.written()] if self.transaction is not None else []
        if wrong:
            raise invalid(*(Mistake((name,), f"`{name}` is of one statement, and a transaction has several",
                                    "write it at the queries inside `transaction`", at_key=True) for name in wrong))
        if self.statement == "write" and (self.for_update or self.consistency != "eventual"):
            name = "for_update" if self.for_update else "consistency"
            what = f"`{name}` is of reads: a write locks its row, and goes to the primary"
            raise invalid(Mistake((name,), what, "remove it", at_key=True))
        return self

    @property
    def word(self) -> str:
        """What is done: `read`, `write` or `transaction`."""
        return self.statement if self.transaction is None else "transaction"

    def targets(self) -> Iterator[Target]:
        yield Target(self.database, "POST", f"/{self.word}")

    def children(self) -> Iterator[list[Step]]:
        if self.transaction is not None:
            yield self.transaction

    def build(self, service: Service) -> Act:
        draw_key = key_of_each(service, self.key, f"query {self.database} key")

        def key_of(exchange: Exchange) -> str | None:
            return exchange.request.key if draw_key is None else str(exchange.instance.own[draw_key]())

        return self._transaction(service, key_of) if self.transaction is not None else self._statement(service, key_of)

    def _statement(self, service: Service, key_of: Callable[[Exchange], str | None]) -> Act:
        node: Database = service.world.node(self.database)  # type: ignore[assignment]
        writes, replicated = self.statement == "write", getattr(node, "replicated", False)
        primary = writes or not replicated or self.consistency == "strong"
        way = service.each(lambda instance: instance.client(self.database) if primary else node.reader(instance))
        operation, path = service.world.recorder.operation(self.statement), f"/{self.statement}"
        length = self.time
        draw = service.each(lambda instance: length.sampler(instance.stream(f"query {self.database}"))) if length is not None else None
        for_update, waits, name = self.for_update, self.consistency == "session", self.database

        def query(exchange: Exchange) -> Coroutine[Any, Any, Response]:
            own, cause, session, key = exchange.instance.own, exchange.request, exchange.session, key_of(exchange)
            time = own[draw]() if draw is not None else None
            if session is not None and session.server.node.name == name:
                return ask(session, path, exchange.span, operation, key, time, for_update)
            request = Request("POST", path, cause.trace, exchange.span, operation, body=time, key=key, priority=cause.priority)
            client: Client = own[way]
            return remembering(exchange.instance, client, request, time) if replicated else client.call(request)

        async def remembering(instance: Instance, client: Client, request: Request, time: float | None) -> Response:
            """The caller knows which of its own writes it has seen answered."""
            key = request.key
            request.body = Ask(time, node.own_writes(instance).get(key, 0), waits)
            response = await client.call(request)
            if response.body is BEHIND:  # the replica has waited in vain, and the primary knows
                response = await instance.client(name).call(Request("POST", path, request.trace, request.parent, operation,
                                                                    body=request.body, key=key, priority=request.priority))
            if writes and response.status < 400 and isinstance(response.body, int):
                node.learned(instance, (key,), response.body)
            return response

        return query

    def _transaction(self, service: Service, key_of: Callable[[Exchange], str | None]) -> Act:
        node: Database = service.world.node(self.database)  # type: ignore[assignment]
        way = service.each(lambda instance: instance.client(self.database))
        steps = sequence(self.transaction or [], service)
        operation = service.world.recorder.operation("transaction")

        async def transact(exchange: Exchange) -> Response | None:
            cause, client = exchange.request, exchange.instance.own[way]
            plan = Transaction(exchange.instance, exchange, steps, key_of(exchange))
            response = await client.call(
                Request("POST", "/transaction", cause.trace, exchange.span, operation, body=plan, priority=cause.priority))
            if type(response.body) is Committed:
                node.learned(exchange.instance, response.body.keys, response.body.position)
            return plan.outcome(response)

        return transact
