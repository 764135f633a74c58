"""Steps of event sourcing: append events to a stream, and let a projection catch up with the log of all of them.

    - append: {to: order-db, stream: {zipf: 1000}, retries: 3}       read the stream, decide, append at the version that was read
    - project: {name: order-views, from: order-db, each: 1ms}       apply what has come since the last time

The events are really kept, in the tables of the database (sim.model.event_store): if somebody else has appended in between, the
version is not the expected one, and the append fails with 409 or is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sim.model import event_store
from sim.model.event_store import VersionConflict
from sim.model.keys import AnyKeys
from sim.model.messages import Answer, Exchange, Request, Response
from sim.model.paths import Target
from sim.model.steps import Act, Step, key_of_each
from sim.model.tables import Failed, Statement, Tables
from sim.units import Duration

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.database import Database
    from sim.model.service import Service

EVENT = {"type": "event"}


def _count(state: int, event: Any) -> int:
    return state + 1


class Append(Step):
    """Append *events* to a *stream* of the event store in the database *to*, at the version that it had when it was read.

    Each event that is read costs *replay* of work here; with *snapshot_every* only those since the last snapshot are. On a conflict all of
    it is done again, up to *retries* times; then the answer is 409. Without *expect_version* it is appended unread, whatever others
    have done.
    """

    shorthand: ClassVar[str] = "to"
    to: str
    stream: AnyKeys | None = None  # None: the key of the request at hand
    events: int = Field(default=1, ge=1, le=1000)
    expect_version: bool = True
    retries: int = Field(default=0, ge=0, le=1000)
    replay: Duration = 0.0
    snapshot_every: int | None = Field(default=None, ge=1)

    def targets(self) -> Iterator[Target]:
        if self.expect_version:
            yield Target(self.to, "POST", "/read")
        yield Target(self.to, "POST", "/write")

    def build(self, service: Service) -> Act:
        database: Database = service.world.node(self.to)  # type: ignore[assignment]
        way = service.each(lambda instance: instance.client(self.to))
        read, write = service.world.recorder.operation("read stream"), service.world.recorder.operation("append")
        draw_stream = key_of_each(service, self.stream, f"append {self.to}")
        events, every = [EVENT] * self.events, self.snapshot_every

        async def version_of(exchange: Exchange, stream: str) -> int | Response:
            def look(tables: Tables) -> tuple[int, int]:
                kept, _ = tables["snapshots"].get(stream, (0, 0))
                version = len(tables["events"].get(stream, ()))
                return version, version - kept

            response = await _send(way, exchange, "/read", read, Statement(look))
            if response.status >= 400:
                return response
            version, to_replay = response.body
            await exchange.instance.work(self.replay * to_replay)
            return int(version)

        def appending(stream: str, expected: int | None) -> Callable[[Tables], int]:
            def run(tables: Tables) -> int:
                version = event_store.append(tables, stream, events, expected)
                if every is not None:
                    event_store.take_snapshot(tables, stream, _count, 0, every)
                return version

            return run

        async def append(exchange: Exchange) -> Response | None:
            stream = str(exchange.instance.own[draw_stream]()) if draw_stream is not None else exchange.request.key or ""
            for _ in range(1 + self.retries):
                version = await version_of(exchange, stream) if self.expect_version else None
                if isinstance(version, Response):
                    return version
                statement = Statement(appending(stream, version), row=stream)
                response = await _send(way, exchange, "/write", write, statement)
                if response.status >= 400:
                    return response
                if not _conflicts(response):
                    database.learned(exchange.instance, (stream,), statement.position)
                    return None
                database.counts["version_conflicts"] += 1
            return Answer(409)

        return append


class Project(Step):
    """Let the projection *name* apply all events that are in the log of the database *from*, *batch* at a time; each costs
    *each* of work here.

    The position that it has reached is kept in the database, and moves when the work of a batch is done: who is stopped before that does
    it again, and where two do the same, the second one's work is in vain. It is behind as long as nobody does this, and as much as it
    takes.
    """

    name: str = Field(min_length=1)
    from_: str = Field(alias="from")
    batch: int = Field(default=100, ge=1)
    each: Duration = 0.0

    def targets(self) -> Iterator[Target]:
        yield Target(self.from_, "POST", "/read")
        yield Target(self.from_, "POST", "/write")

    def build(self, service: Service) -> Act:
        database: Database = service.world.node(self.from_)  # type: ignore[assignment]
        way = service.each(lambda instance: instance.client(self.from_))
        database.expect_projection(self.name)
        read, write = service.world.recorder.operation("read log"), service.world.recorder.operation(f"project {self.name}")

        def look(tables: Tables) -> tuple[int, int]:
            return event_store.position(tables, self.name), min(self.batch, event_store.lag(tables, self.name))

        async def project(exchange: Exchange) -> Response | None:
            while True:
                response = await _send(way, exchange, "/read", read, Statement(look))
                if response.status >= 400:
                    return response
                start, events = response.body
                if events:
                    await exchange.instance.work(self.each * events)
                    statement = Statement(advancing(start, events))
                    response = await _send(way, exchange, "/write", write, statement)
                    if response.status >= 400:
                        return response
                    database.learned(exchange.instance, (), statement.position)
                if events < self.batch:
                    return None

        def advancing(start: int, events: int) -> Callable[[Tables], int]:
            return lambda tables: event_store.advance(tables, self.name, _keep_up, events, start)

        return project


def _keep_up(tables: Tables, recorded: event_store.Recorded) -> None:
    """What a projection of steps does with an event: it has seen it."""


async def _send(way: int, exchange: Exchange, path: str, operation: int, statement: Statement[Any]) -> Response:
    cause = exchange.request
    client: Client = exchange.instance.own[way]
    return await client.call(Request("POST", path, cause.trace, exchange.span, operation, body=statement, priority=cause.priority))


def _conflicts(response: Response) -> bool:
    return type(response.body) is Failed and isinstance(response.body.error, VersionConflict)
