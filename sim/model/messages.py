"""What travels: a request, its response, and the exchange that carries one attempt of a request to one instance."""

from __future__ import annotations

import json
import math
from asyncio import Future, Task
from collections.abc import Mapping
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from sim.errors import StatusError

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.database_sessions import Session
    from sim.model.instance import Instance

MESSAGE_SIZE = 512  # bytes of a request or response that does not say otherwise
NO_HEADERS: Mapping[str, str] = {}


def as_bytes(body: Any) -> bytes:
    """A body as bytes: those of an app as they are, anything else as JSON."""
    if type(body) is bytes:
        return body
    return b"" if body is None else json.dumps(body, separators=(",", ":")).encode()


class Request:
    """One logical call, whatever number of attempts it takes.

    *deadline* is in seconds of simulated time (inf for none); *tried* are the names of the instances that it was sent to; *trace*,
    *parent* and *span* are ids of recorded rows;
    *operation* is the index of the name under which the caller records the call; *body* is any Python value; *endpoint* is what serves it
    at the callee, where the caller knows that ahead.
    """

    __slots__ = (
        "attempts", "body", "deadline", "endpoint", "headers", "key", "method", "operation", "parent", "path", "priority", "size", "span",
        "trace", "tried",
    )

    def __init__(self, method: str, path: str, trace: int = 0, parent: int = 0, operation: int = 0, headers: Mapping[str, str] = NO_HEADERS,
                 size: int = MESSAGE_SIZE, body: Any = None, key: str | None = None, priority: int = 0, endpoint: Any = None) -> None:
        self.method = method
        self.path = path
        self.trace = trace
        self.parent = parent
        self.operation = operation
        self.headers = headers
        self.size = size
        self.body = body
        self.key = key
        self.priority = priority
        self.endpoint = endpoint
        self.deadline = math.inf
        self.attempts = 0
        self.tried: tuple[str, ...] = ()
        self.span = 0

    def __repr__(self) -> str:
        body = f" {short(self.body)}" if self.body is not None else ""
        return f"<{type(self).__name__} {self.method} {self.path}{body}>"

    @property
    def json(self) -> Any:
        """The body, as a handler reads it."""
        return json.loads(self.body) if type(self.body) is bytes else self.body

    @property
    def content(self) -> bytes:
        """The body as bytes, as it would go over a wire."""
        return as_bytes(self.body)


class Response:
    """*status* as in HTTP. *degraded*: a substitute; *rejected*: refused before any work was done.

    *error* is the exception that ended the call at the caller, where there is no answer of a callee at all; *reason* its
    code (sim.telemetry.codes.Reason) or 0.

    >>> answer = Response(201, json={"id": "o-1"})
    >>> answer
    <Response 201 {'id': 'o-1'}>
    >>> answer.ok, answer.json["id"], answer.content
    (True, 'o-1', b'{"id":"o-1"}')
    >>> Response(503).raise_for_status()
    Traceback (most recent call last):
    sim.errors.StatusError: status 503
    """

    __slots__ = ("body", "degraded", "error", "headers", "reason", "rejected", "retry_after", "size", "status")

    def __init__(self, status: int = 200, body: Any = None, *, json: Any = None, headers: Mapping[str, str] = NO_HEADERS,
                 size: int = MESSAGE_SIZE, degraded: bool = False, rejected: bool = False, retry_after: float | None = None,
                 error: BaseException | None = None, reason: int = 0) -> None:
        self.status = status
        self.body = json if body is None else body
        self.headers = headers
        self.size = size
        self.degraded = degraded
        self.rejected = rejected
        self.retry_after = retry_after
        self.error = error
        self.reason = reason

    @property
    def json(self) -> Any:
        """The body, as a caller reads it."""
        return json.loads(self.body) if type(self.body) is bytes else self.body

    @property
    def content(self) -> bytes:
        """The body as bytes, as it would go over a wire."""
        return as_bytes(self.body)

    def __repr__(self) -> str:
        """What a failing assertion shows: the status, and why there is no answer, or what is in it."""
        if self.error is not None:
            return f"<{type(self).__name__} {self.status} {type(self.error).__name__}: {self.error}>"
        body = f" {short(self.body)}" if self.body is not None else ""
        return f"<{type(self).__name__} {self.status}{' degraded' if self.degraded else ''}{body}>"

    @property
    def ok(self) -> bool:
        """Answered as asked: a status below 400."""
        return self.status < 400

    def raise_for_status(self) -> Response:
        """Itself, if it is ok; else raise what ended the call, or StatusError with the status of the answer."""
        if self.status < 400:
            return self
        raise self.error if self.error is not None else StatusError(self)


class Answer(Response):
    """A response that ends the endpoint it comes up in: what a `return` or `fail` step gives."""

    __slots__ = ()


class Exchange:
    """One attempt of a request at one instance: what the far side works on, and the future that the caller waits for."""

    __slots__ = (
        "answer", "arrived", "attempt", "client", "deadline", "degraded", "instance", "operation", "parent", "request", "span", "started",
        "task",
    )

    def __init__(self, request: Request, answer: Future[Response], instance: Instance, client: Client, attempt: int, parent: int) -> None:
        self.request = request
        self.answer = answer
        self.instance = instance
        self.client = client
        self.attempt = attempt
        self.deadline = request.deadline  # a later attempt may have another one
        self.parent = parent  # the caller's span
        self.degraded = False

    session: Session | None = None  # the open transaction whose steps work on it

    # set by the instance as it goes: they have no value before
    span: int  # the far side's
    operation: int
    arrived: float
    started: float
    task: Task[None]

    @property
    def abandoned(self) -> bool:
        """Nobody waits for the answer any more."""
        return self.answer.done()
