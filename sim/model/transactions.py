"""A transaction, as the caller does it: its steps run when the database has begun, and their end decides about commit or rollback.

Each attempt is a transaction of its own: if a policy tries again, because of a deadlock say, all the steps are done again.
"""

from __future__ import annotations

from asyncio import Future, Task
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.model.database_sessions import COMMIT, ROLLBACK, InSession, Plan, Session
from sim.model.failures import explain_failure
from sim.model.messages import Exchange, Request, Response
from sim.model.network import Fail, Packet

if TYPE_CHECKING:
    from sim.model.instance import Instance

Run = Callable[[Exchange], Coroutine[Any, Any, Response | None]]


class InTransaction(Exchange):
    """What the steps inside work on: the request at hand, and the open *session*."""

    __slots__ = ("session",)


class Transaction(Plan):
    """What *instance* does in one transaction of the request in *exchange*: *steps*, about the row *key* unless they say otherwise."""

    def __init__(self, instance: Instance, exchange: Exchange, steps: Run, key: str | None) -> None:
        self._instance, self._exchange, self._steps, self._key = instance, exchange, steps, key
        self._context = copy_context()
        self._tasks: list[Task[None]] = []  # kept, so that they live
        self._answer: Response | None = None
        self._error: Exception | None = None

    def expect(self, exchange: Exchange) -> Exchange:
        begun: Future[Response] = Future(loop=self._instance.loop)
        begun.add_done_callback(partial(self._begun, exchange))
        return Exchange(exchange.request, begun, exchange.instance, exchange.client, exchange.attempt, exchange.parent)

    def _begun(self, attempt: Exchange, begun: Future[Response]) -> None:
        if begun.cancelled() or begun.exception() is not None or attempt.answer.done():
            return
        session: Session = begun.result().body
        task = self._instance.loop.create_task(
            self._run(attempt, session), name=f"{self._instance.name} transaction", context=self._context.copy())
        self._tasks.append(task)
        attempt.answer.add_done_callback(lambda answer: task.cancel())  # it has ended at the database, or its caller has left

    async def _run(self, attempt: Exchange, session: Session) -> None:
        outer = self._exchange
        inner = InTransaction(outer.request, outer.answer, outer.instance, outer.client, outer.attempt, outer.parent)
        inner.span, inner.session = attempt.parent, session
        if self._key is not None:
            inner.request = _about(outer.request, self._key)
        try:
            answer = await self._steps(inner)
        except Exception as error:
            self._error, answer = error, Response(500)
        self._answer = answer
        outer.degraded = outer.degraded or inner.degraded
        send(session, COMMIT if answer is None or answer.status < 400 else ROLLBACK, inner.span)

    def outcome(self, response: Response) -> Response | None:
        """What the step comes to, where the database has answered *response* to the whole transaction."""
        if self._error is not None:
            raise self._error
        return response if response.status >= 400 else self._answer


def _about(request: Request, key: str) -> Request:
    """The same request, about the row *key*."""
    same = Request(request.method, request.path, request.trace, request.parent, request.operation, request.headers, request.size,
                   request.body, key,
                   request.priority)
    same.deadline = request.deadline
    return same


def send(session: Session, path: str, parent: int) -> None:
    """Tell the database how the transaction ends; its answer is that to the whole. A connection that breaks under it ends it."""
    cause, client = session.exchange.request, session.exchange.client
    nobody: Future[Response] = Future(loop=session.server.loop)
    nobody.cancel()
    exchange = Exchange(Request("POST", path, cause.trace, parent, body=InSession(session)), nobody, session.server, client,
                        session.exchange.attempt, parent)
    _post(session, exchange, lambda verdict: client.loop.post(verdict.after, client.broken, session.exchange, verdict.error()))


async def ask(session: Session, path: str, parent: int, operation: int, key: str | None, time: float | None, wants_lock: bool) -> Response:
    """Ask for one statement in an open transaction."""
    cause = session.exchange.request
    body = InSession(session, time, wants_lock)
    request = Request("POST", path, cause.trace, parent, operation, body=body, key=key, priority=cause.priority)
    answer: Future[Response] = Future(loop=session.server.loop)
    client = session.exchange.client
    exchange = Exchange(request, answer, session.server, client, session.exchange.attempt, parent)
    _post(session, exchange, lambda verdict: client.loop.post(verdict.after, client.broken, exchange, verdict.error()))
    try:
        return await answer
    except Exception as error:
        return explain_failure(error)


def _post(session: Session, exchange: Exchange, fail: Callable[[Fail], object]) -> None:
    """Put a message of the transaction on the link, as part of its connection: what the network loses is sent again as long as the caller
    is there. *fail* is told what a rule of the link says against it."""
    client, server = exchange.client, session.server
    word = Packet(lambda delay: client.loop.post(delay, server.hear, exchange), fail, session.exchange.answer.done)
    client.edge.there.send(word, client.source, server, exchange.request)
