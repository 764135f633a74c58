"""A transaction, as the database sees it: a connection that is taken until the end, statements one by one, locks held to the end.

    caller: begin ──▶ a connection ──begun──▶ caller runs its steps ──statement──▶ locks, work ──result──▶ ... ──commit──▶ written, answered
                                                  └─ leaves, or its patience ends ──rollback──▶ nothing was written

The connection is taken all the time, also while the caller is busy with something else.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from sim.model.messages import Exchange, Response
from sim.model.network import FIRST_RTO, LAST_RTO, LOST, LinkFailed
from sim.telemetry.codes import Outcome, SpanKind
from sim.telemetry.columns import pack_span

if TYPE_CHECKING:
    from sim.model.database_server import DatabaseServer

READ, WRITE, COMMIT, ROLLBACK = "/read", "/write", "/commit", "/rollback"
INTERNAL, OK, FAILED = int(SpanKind.INTERNAL), int(Outcome.OK), int(Outcome.FAILED)
ROLLED_BACK = Response(200)
ABORTED = Response(503, body="the transaction has ended")


class Plan:
    """The body of a request that begins a transaction: what the caller means to do in it."""

    def expect(self, exchange: Exchange) -> Exchange:
        """What carries the word to the caller that the database has begun with *exchange*, one of its attempts."""
        raise NotImplementedError


class InSession:
    """The body of a request that belongs to an open transaction; *time* (seconds) and *wants_lock* are of a statement, and *spoiled* is
    what a fault has it come to."""

    __slots__ = ("session", "spoiled", "time", "wants_lock")

    def __init__(self, session: Session, time: float | None = None, wants_lock: bool = False) -> None:
        self.session, self.time, self.wants_lock = session, time, wants_lock
        self.spoiled: Response | None = None


class Committed(NamedTuple):
    """The body of the answer to a transaction that was committed: the rows that it has written (None: not known which), and how far in
    the log that is."""

    keys: list[str | None]
    position: int


class Session:
    """One transaction at *server*; it owns its locks. *exchange* is the caller's attempt."""

    def __init__(self, server: DatabaseServer, exchange: Exchange) -> None:
        self.server, self.exchange = server, exchange
        self.open = True
        self.committed = False
        self.writes: list[str | None] = []  # keys, in order
        self._read_at: dict[str, int] = {}  # the version of rows that it has read without a lock
        self._inbox: deque[Exchange] = deque()
        self._come: Future[None] | None = None
        self._over = False
        exchange.answer.add_done_callback(self._caller_left)

    # what comes over the link

    def deliver(self, exchange: Exchange) -> None:
        """A statement, or how it is to end."""
        if self.open:
            self._inbox.append(exchange)
            self._wake()
        else:
            self.server.answer(exchange, ABORTED)

    def _caller_left(self, answer: Future[Response]) -> None:
        """At the caller: its patience has ended, or its connection. Until the server hears of it, all locks are held."""
        self._tell_departure(FIRST_RTO)

    def _tell_departure(self, timeout: float) -> None:
        """The word crosses the link; if the network will not carry it, TCP sends it again after *timeout*, and so on."""
        if not self.open:
            return
        client = self.exchange.client
        try:
            delay = client.edge.there.delay(client.source, self.server, self.exchange.request)
        except LinkFailed:
            delay = LOST
        if delay != LOST:
            client.loop.post(delay, self._departure_heard)
        else:
            client.loop.post(timeout, self._tell_departure, min(2 * timeout, LAST_RTO))

    def _departure_heard(self) -> None:
        pause = self.server.pause_now
        if pause is not None:
            pause.hold(self.exchange, self._departure_heard)
        else:
            self.abort()

    def abort(self) -> None:
        """It is over, whatever the caller means to do."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        if self._come is not None and not self._come.done():
            self._come.set_result(None)

    async def _next(self) -> Exchange | None:
        """What the caller asks for next; None: it has gone, or has been silent for too long."""
        loop, patience = self.server.loop, self.server.node.spec.idle_in_transaction_timeout
        while not self._inbox and not self._over:
            self._come = Future(loop=loop)
            timer = loop.call_at(loop.time() + patience, self.abort) if patience is not None else None
            try:
                await self._come
            finally:
                if timer is not None:
                    timer.cancel()
        return None if self._over else self._inbox.popleft()

    # what the server does

    async def run(self) -> Response:
        """From the begin to the end; the answer is that to the whole transaction."""
        server = self.server
        plan: Plan = self.exchange.request.body
        try:
            server.answer(plan.expect(self.exchange), Response(200, self))
            while (asked := await self._next()) is not None:
                if asked.request.path == ROLLBACK:
                    return ROLLED_BACK
                if asked.request.path == COMMIT:
                    return await self._commit()
                response = await self._statement(asked)
                server.answer(asked, response)
                if response.status >= 400:
                    return response
            return ABORTED
        finally:
            self._close()

    async def _statement(self, asked: Exchange) -> Response:
        server, request = self.server, asked.request
        began, response = server.env._now, ABORTED
        is_write, body = request.path == WRITE, request.body
        try:
            response = body.spoiled or await server.locked(self, request.key, body, is_write or body.wants_lock)
            if response.status < 400:
                self._note(request.key, is_write)
            return response
        finally:
            server.recorder.write_span(pack_span(
                server.recorder.next_span(), request.parent, request.trace, began, server.env._now, 0.0, server.node.index,
                self.exchange.client.edge.caller_index, request.operation, server.index, response.reason or response.status, 0, INTERNAL,
                OK if response.status < 400 else FAILED))

    def _note(self, key: str | None, is_write: bool) -> None:
        database = self.server.node
        database.counts["writes" if is_write else "reads"] += 1
        if key is not None and is_write:
            if self._read_at.pop(key, None) not in (None, database.last_write.get(key, 0)):
                database.counts["lost_updates"] += 1
        elif key is not None:
            self._read_at[key] = database.last_write.get(key, 0)
        if is_write:
            self.writes.append(key)

    async def _commit(self) -> Response:
        server = self.server
        if self.writes and (refusal := server.refusal()) is not None:
            return refusal
        position = 0
        for key in self.writes:
            position = server.log(key)
        self.committed = True
        if self.writes and (failure := await server.unconfirmed()) is not None:
            self.committed = False  # what it had written is lost
            return failure
        return Response(200, Committed(self.writes, position))

    def _close(self) -> None:
        self.open = False
        self.server.locks.release(self)
        self.server.node.counts["commits" if self.committed else "rollbacks"] += 1
        if self.server.up:
            for exchange in self._inbox:
                self.server.answer(exchange, ABORTED)
        self._inbox.clear()
