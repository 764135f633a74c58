"""One server of a database: what it does with a statement, alone or in a transaction."""

from __future__ import annotations

import math
from asyncio import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.errors import ConnectFailed
from sim.model.database_copies import Copy, Entry
from sim.model.database_locks import Deadlock, LockTable, LockTimeout
from sim.model.database_sessions import READ, WRITE, Session
from sim.model.health import is_check
from sim.model.instance import Instance
from sim.model.messages import Exchange, Response
from sim.model.scaling import CrowdedCpu
from sim.model.spans import explain
from sim.model.tables import Failed, Statement
from sim.telemetry.codes import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from sim.model.database import Database
    from sim.model.node import Handler
    from sim.model.station import Hook
    from sim.model.versions import VersionSpec
    from sim.model.world import World

TRANSACTION, STATEMENTS = "/transaction", (READ, WRITE)
GOOD, WRONG = Response(200), Response(500)
TOO_LONG = Response(503, reason=int(Reason.LOCK_TIMEOUT), body="lock wait timeout exceeded")
VICTIM = Response(503, reason=int(Reason.DEADLOCK), body="deadlock")
TAKES_NO_WRITES = Response(503, reason=int(Reason.READ_ONLY), body="read-only")
UNCONFIRMED = Response(503, body="no replica had it when another server became the primary")


class Behind:
    """The body of the answer to a session's read for which the replica is not far enough: nothing was read."""


BEHIND = Behind()


class Ask:
    """The body of a statement of steps, where the database has replicas: *time* (seconds, None: as the database says), how far in the log
    its caller has written this row itself (*own*), and whether it *waits* until that is there."""

    __slots__ = ("own", "time", "waits")

    def __init__(self, time: float | None, own: int, waits: bool) -> None:
        self.time, self.own, self.waits = time, own, waits


class DatabaseServer(Instance):
    """One server. What belongs to a transaction goes to its session; everything else gets a connection, and may have to wait for it."""

    node: Database
    queue_full = Response(503, rejected=True, reason=int(Reason.POOL_TIMEOUT), body="no connection is free, and the queue is full")
    no_time = Response(503, rejected=True, reason=int(Reason.POOL_TIMEOUT), body="no connection became free in time")

    def __init__(self, world: World, node: Database, number: int, zone: str, version: VersionSpec | None = None) -> None:
        spec = node.spec
        self.locks = LockTable(world.loop, spec.lock_wait_timeout, spec.deadlock_detection)
        self.copy = Copy(self, world.loop, node.lag, lambda: node.way_to(self), lambda: node.primary.up)
        self.sessions: dict[Session, None] = {}
        self.extra = 0.0  # seconds that each statement takes longer; for faults
        self._inside: tuple[Hook, ...] = ()  # who has the statements of open transactions before they do
        self._unconfirmed: dict[Future[bool], None] = {}  # of writes that wait for a replica
        super().__init__(world, node, number, zone, version)
        if spec.scaling is not None:
            self.cpu = CrowdedCpu(world.loop, spec.cpu.cores if spec.cpu is not None else math.inf, spec.scaling)
        self._draw, self._dice = spec.query.sampler(self.stream("query")), self.stream("errors")

    @property
    def is_primary(self) -> bool:
        """It takes writes; without replicas every server does."""
        return not self.node.replicated or self.node.primary is self

    def hear(self, exchange: Exchange) -> None:
        """A word of an open transaction has come: over its connection, and so past whoever stands in front of the door."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.hear, exchange))
        elif self.up:
            self._deliver(self._inside if exchange.request.path in STATEMENTS else (), exchange)
        else:
            self.refused += 1
            self.fail(exchange, ConnectFailed(f"{self.name} refuses connections"))

    def _deliver(self, hooks: tuple[Hook, ...], exchange: Exchange) -> None:
        if hooks:
            hooks[0](exchange, partial(self._deliver, hooks[1:]))
        else:
            exchange.request.body.session.deliver(exchange)

    @contextmanager
    def statements_through(self, hook: Hook) -> Iterator[None]:
        """Let *hook(exchange, proceed)* have each statement of an open transaction while the block lasts; the last has it first."""
        self._inside = (hook, *self._inside)
        try:
            yield
        finally:
            self._inside = tuple(other for other in self._inside if other is not hook)

    @property
    def answers(self) -> bool:
        """It is there for whoever asks it."""
        return self.up and self.accepting and not self.paused

    def pause(self) -> None:
        super().pause()
        self.node.look()

    def resume(self) -> None:
        super().resume()
        self.copy.go_on()
        self.node.look()

    def step_down(self) -> None:
        """It is not the primary any more: open transactions are rolled back, and what no replica has is not confirmed any more."""
        for session in list(self.sessions):
            session.abort()
        for come in self._unconfirmed:
            if not come.done():
                come.set_result(False)

    # requests

    def statements(self) -> Handler:
        """What it does with a request."""

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            exchange.operation = request.operation
            if request.path == WRITE:
                response = await self._write(exchange)
            elif request.path == TRANSACTION:
                response = await self._transact(exchange)
            elif is_check(exchange):
                await self._work(None)
                response = GOOD
            else:
                response = await self._read(exchange)
            if response.status >= 500 and response.body is not None:
                explain(self.recorder, exchange.span, response.body)
            return response

        return serve

    def _work(self, body: Any) -> Awaitable[None]:
        """Take the time that a statement takes."""
        time: float | None = body if body is None or type(body) is float else body.time
        seconds = self._draw() if time is None else time
        return self._work_late(seconds) if self.extra else self.work(seconds)

    async def _work_late(self, seconds: float) -> None:
        await self.loop.sleep(self.extra)
        await self.work(seconds)

    def _goes_wrong(self) -> bool:
        share = self.node.spec.error_rate
        if share and self._dice.random() < share:
            self.node.counts["errors"] += 1
            return True
        return False

    async def _read(self, exchange: Exchange) -> Response:
        node, body = self.node, exchange.request.body
        node.counts["reads"] += 1
        if self.locks.blockers and (refusal := await self._lock(exchange, exchange.request.key, writes=False)) is not None:
            return refusal
        if type(body) is Ask and body.waits and body.own > self.copy.applied and not await self._has_caught_up(body.own):
            node.counts["session_timeouts"] += 1
            explain(self.recorder, exchange.span, f"it had not got what its caller has written within {node.spec.session_wait:g} s")
            return Response(200, BEHIND)
        await self._work(body)
        if self._goes_wrong():
            return WRONG
        if not self.is_primary:
            return self._read_copy(exchange)
        return Response(200, body.execute(node.tables_at(self))) if type(body) is Statement else GOOD

    async def _has_caught_up(self, position: int) -> bool:
        """Wait until what was written up to *position* is here; False if that takes too long."""
        come = self.copy.reached(position)
        timer = self.loop.call_at(self.loop.time() + self.node.spec.session_wait, _give_up, come)
        try:
            return await come
        finally:
            timer.cancel()

    def _read_copy(self, exchange: Exchange) -> Response:
        """A read at a server that may not have got everything yet. What service code reads is compared with what stands at the primary."""
        counts, key, body = self.node.counts, exchange.request.key, exchange.request.body
        if type(body) is Statement:
            found = body.look(self.copy.tables)
            if self.copy.applied < self.node.position and type(found) is not Failed:
                counts["stale_reads"] += found != body.look(self.node.tables)
            return Response(200, found)
        written = self.node.last_write.get(key, 0)
        counts["stale_reads"] += written > self.copy.applied
        counts["own_writes_missed"] += type(body) is Ask and body.own > self.copy.applied
        return GOOD

    async def _write(self, exchange: Exchange) -> Response:
        node, request = self.node, exchange.request
        if (refusal := self.refusal()) is not None:
            return refusal
        node.counts["writes"] += 1
        response = await self.locked(exchange, request.key, request.body)
        try:
            if response.status >= 400:
                return response
            if (refusal := self.refusal()) is not None:
                return refusal
            result = self._change(request.body, request.key)
            return await self.unconfirmed() or Response(200, result)
        finally:
            if request.key is not None:
                self.locks.release(exchange)

    def _change(self, body: Any, key: str | None) -> Any:
        """Write now, and return what the statement gives; that of a step gives its position in the log."""
        if type(body) is not Statement:
            return self.log(key)
        tables = self.node.tables_at(self)
        result = body.execute(tables)
        if type(result) is not Failed:
            body.position = self.log(key if body.row is None else body.row, tables)
            self.node.look_at_projections(tables)
        return result

    async def _transact(self, exchange: Exchange) -> Response:
        if (refusal := self.refusal()) is not None:
            return refusal
        self.node.counts["transactions"] += 1
        session = Session(self, exchange)
        self.sessions[session] = None
        try:
            return await session.run()
        finally:
            del self.sessions[session]

    # parts of a statement

    async def locked(self, owner: Exchange | Session, key: str | None, body: Any, writes: bool = True) -> Response:
        """Do the work of a statement. One that *writes*, or will, has the lock on the row *key* if there is one; *owner* keeps it."""
        if ((key is not None and writes) or self.locks.blockers) and (refusal := await self._lock(owner, key, writes)) is not None:
            return refusal
        try:
            await self._work(body)
        except BaseException:
            if key is not None and type(owner) is Exchange:
                self.locks.release(owner)
            raise
        return WRONG if self._goes_wrong() else GOOD

    async def _lock(self, owner: Exchange | Session, key: str | None, writes: bool) -> Response | None:
        """Have the lock that a statement needs, if it needs one; why it cannot be had."""
        try:
            if self.locks.blockers:
                await self.locks.pass_blockers(owner, key, writes)
            if key is not None and writes:
                await self.locks.acquire(owner, key, exclusive=True)
        except LockTimeout:
            return TOO_LONG
        except Deadlock:
            return VICTIM
        return None

    def refusal(self) -> Response | None:
        """Why it takes no write now."""
        if not self.node.read_only and self.is_primary:
            return None
        self.node.counts["refused_writes"] += 1
        return TAKES_NO_WRITES

    def log(self, key: str | None, tables: Any = None) -> int:
        """Something was written; return its position."""
        node = self.node
        if not node.replicated and key is None:
            return 0
        node.position += 1
        self.copy.applied = node.position
        node.written(Entry(node.position, key, tables.changes() if tables is not None and node.replicated else []))
        return node.position

    async def unconfirmed(self) -> Response | None:
        """Where writes are synchronous: wait until one replica has all that is written now; why that will never be."""
        node = self.node
        if not node.spec.synchronous:
            return None
        come: Future[bool] = Future(loop=self.loop)
        for server in node.instances:
            if server is not self:
                server.copy.tell(node.position, come)
        self._unconfirmed[come] = None
        try:
            return None if await come else UNCONFIRMED
        finally:
            del self._unconfirmed[come]


def _give_up(come: Future[bool]) -> None:
    if not come.done():
        come.set_result(False)
