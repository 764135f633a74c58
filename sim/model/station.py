"""A station: workers, and a bounded queue in front of them. It is the part of an instance that requests go through.

    arrives ──free worker──────────────▶ served ──▶ answer goes back over the link
       ├────queue not full──▶ waits ──▶ served
       │                        └─ for max_wait ──▶ 503
       ├────queue full, or not admitted───────────▶ 503, 429
       └────instance down─────────────────────────▶ refused

Faults and others may stand in two places: in front of the door (`intercept`), and around what serves (`wrap`).
"""

from __future__ import annotations

from asyncio import CancelledError, Task
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from sim.errors import ConnectFailed, ConnectionReset
from sim.model.messages import Answer, Exchange, Response
from sim.model.network import LOST, LinkFailed
from sim.model.part import Part
from sim.model.queues import QUEUES, Impatient
from sim.model.spans import explain
from sim.resilience.deadline import set_deadline
from sim.telemetry.codes import Outcome, Reason, SpanKind
from sim.telemetry.columns import pack_span
from sim.telemetry.integrals import Level

if TYPE_CHECKING:
    from sim.model.door import Door
    from sim.model.node import Node
    from sim.model.pause import Pause
    from sim.model.world import World

SERVER, CANCELLED = int(SpanKind.SERVER), int(Reason.CANCELLED)
OK, DEGRADED, FAILED, REJECTED = int(Outcome.OK), int(Outcome.DEGRADED), int(Outcome.FAILED), int(Outcome.REJECTED)
Hook = Callable[[Exchange, Callable[[Exchange], None]], None]
Handle = Callable[[Exchange], Awaitable[Response | None]]
Wrap = Callable[[Exchange, Handle], Awaitable[Response | None]]
DONE, LATE = Response(200), Response(504, body="deadline exceeded")


class Station(Part):
    """Where requests wait and are served. Whether it is there at all (`up`, `accepting`, `pause_now`) is for the instance to say."""

    __slots__ = (  # what requests look up: few lines of memory, that stay in the processor's cache in a large system too
        "__dict__", "_context", "accepting", "busy", "door", "draining", "handle", "index", "name", "node", "pause_now", "queue",
        "queue_limit", "rejected", "up", "waiting", "workers",
    )
    queue_full = Response(503, rejected=True, body="queue full")
    no_time = Response(503, rejected=True, body="waited too long")
    handle: Handle  # what serves: the handler, in all its wraps
    _handler: Handle

    def __init__(self, world: World, node: Node, name: str) -> None:
        super().__init__(world)
        self.node, self.name = node, name
        self.index = world.recorder.instance(name)
        self.workers = node.workers
        self.queue_limit = node.queue_limit
        self.queue = QUEUES[node.queue_order]()
        if node.max_wait is not None:
            self.queue = Impatient(self.queue, self.loop, node.max_wait.sampler(world.streams[f"{name} max_wait"]), self.waited_too_long)
        self.busy = Level()
        self.waiting = Level()
        self.up = True
        self.accepting = True
        self.draining = False
        self.pause_now: Pause | None = None
        self.door: Door | None = None
        self._others: dict[Task[Any], None] = {}  # tasks that outlive their requests
        self.rejected = 0
        self.shed: Counter[str] = Counter()  # of the rejected, by what refused them at the door
        self.refused = 0  # connections that were not accepted
        self.wasted = 0.0  # seconds of work that nobody waited for
        self.coming: Mapping[Exchange, float] = {}  # on their way as it was told to end, and when they arrive: they are served
        self._context = copy_context()  # all code of this instance runs in copies of it
        self._hooks: list[Hook] = []
        self._wraps: list[Wrap] = []

    @property
    def serving(self) -> list[Exchange]:
        """What its workers are at, in the order in which they began."""
        return [exchange for exchange in self.world.in_service if exchange.instance is self]

    def taken(self) -> list[float]:
        """When each request came that it has and has not answered (seconds), in order."""
        return sorted([exchange.arrived for exchange in (*self.serving, *self.queue)])

    def emptied(self) -> None:
        """It is to end, and serves nobody any more."""
        raise NotImplementedError

    # the way in

    def arrive(self, exchange: Exchange) -> None:
        """A request has come over the link."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.arrive, exchange))
            return
        exchange.arrived = self.world.env._now
        if not (self.up and self.accepting):
            if exchange in self.coming:
                self._take(exchange)
                return
            self.refused += 1
            self.fail(exchange, ConnectFailed(f"{self.name} refuses connections"))
            return
        door = self.door
        if door is not None and self._turned_away(exchange, door.arrive(exchange)):
            return
        if self.busy.value < self.workers and not self.waiting.value:
            if door is None or not self._turned_away(exchange, door.start(exchange)):
                self._start(exchange)
        elif self.waiting.value < self.queue_limit:
            self.queue.push(exchange)
            self.waiting.change(1, self.env._now)
        else:
            self._turned_away(exchange, self.queue_full)

    def take(self, exchange: Exchange) -> None:
        """A message is due that the process had taken before and kept beside the line: it is not refused, and never one too many."""
        self._through_hooks(exchange, self._take)

    def _take(self, exchange: Exchange) -> None:
        exchange.arrived = self.env._now
        if not self.up:
            self.fail(exchange, ConnectionReset(f"{self.name} was killed"))
        elif self.door is None or not self._turned_away(exchange, self.door.arrive(exchange)):
            self.queue.push(exchange)
            self.waiting.change(1, self.env._now)
            self._serve_next()

    def waited_too_long(self, exchange: Exchange) -> None:
        """Nobody had time for *exchange*, and it has left the line."""
        self.waiting.change(-1, self.env._now)
        self.shed["max_wait"] += 1
        self._turned_away(exchange, self.no_time)

    def _turned_away(self, exchange: Exchange, refusal: Response | None) -> bool:
        """Answer with *refusal*, if there is one."""
        if refusal is None:
            return False
        self.rejected += 1
        self._answer_unserved(exchange, refusal)
        return True

    def reply(self, exchange: Exchange, response: Response) -> None:
        """Answer a request that does not get as far as here."""
        exchange.arrived = self.env._now
        self._answer_unserved(exchange, response)

    def _answer_unserved(self, exchange: Exchange, response: Response) -> None:
        exchange.span = self.recorder.next_span()
        exchange.started = self.env._now
        exchange.operation = self.node.operation_of(exchange.request)
        self._record(exchange, response.status, REJECTED if response.rejected else FAILED)
        if type(response.body) is str:
            explain(self.recorder, exchange.span, response.body)
        self.answer(exchange, response)

    # being served

    def _start(self, exchange: Exchange) -> None:
        world, context = self.world, self._context.copy()
        now = world.env._now
        deadline = exchange.deadline
        if deadline < inf:
            if deadline <= now and exchange.client.tells_deadline:
                self._too_late(exchange)
                return
            set_deadline(context, deadline)
        self.busy.change(1, now)
        exchange.started = now
        exchange.span = world.recorder.next_span()
        world.in_service[exchange] = None
        exchange.task = Task(self._serve(exchange), loop=world.loop, name=self.name, context=context)

    def _too_late(self, exchange: Exchange) -> None:
        """The time was over before the work began, and the transport says so: nothing is done."""
        exchange.client.edge.note("deadline.expired_on_arrival", exchange.request.span)
        self._turned_away(exchange, Response(504, rejected=True, body="deadline exceeded"))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            response = await self.handle(exchange) or DONE
        except CancelledError:  # killed, or told that the caller has gone
            if exchange in self.world.in_service:
                self._give_up(exchange)
            return
        except Exception as error:  # of the service's own code: a 500, never the end of the run
            self.world.handler_failed(exchange.instance, exchange, error)
            response = Response(500)  # its caller learns no more than that
        if exchange.degraded or type(response) is Answer:
            response = _plain(response, exchange.degraded)
        world = self.world
        if exchange not in world.in_service:  # killed, and its code did not want to know
            return
        now = world.env._now
        self._leave(exchange, now)
        status, request, edge = response.status, exchange.request, exchange.client.edge
        world.recorder.write_span(pack_span(
            exchange.span, exchange.parent, request.trace, exchange.arrived, now, exchange.started - exchange.arrived,
            edge.callee_index, edge.caller_index, exchange.operation, self.index, status, exchange.attempt, SERVER,
            (DEGRADED if response.degraded else OK) if status < 400 else REJECTED if response.rejected else FAILED))
        self.answer(exchange, response)

    def _give_up(self, exchange: Exchange, status: int = CANCELLED) -> None:
        if not hasattr(exchange, "operation"):  # its task has not begun yet
            exchange.operation = self.node.operation_of(exchange.request)
        self._leave(exchange, self.env._now)
        self._record(exchange, status, FAILED)

    def _leave(self, exchange: Exchange, now: float) -> None:
        """Give the worker to the next in line."""
        if exchange.answer.done():
            self.wasted += now - exchange.started
        del self.world.in_service[exchange]
        self.busy.change(-1, now)
        if self.waiting.value:
            self._serve_next()
        if self.draining and not self.busy.value:
            self.emptied()

    def _serve_next(self) -> None:
        while self.waiting.value and self.busy.value < self.workers and self.up and self.pause_now is None:
            exchange = self.queue.pop()
            self.waiting.change(-1, self.env._now)
            if self.door is None or not self._turned_away(exchange, self.door.start(exchange)):
                self._start(exchange)

    def _record(self, exchange: Exchange, status: int, outcome: int) -> None:
        request = exchange.request
        self.recorder.write_span(pack_span(
            exchange.span, exchange.parent, request.trace, exchange.arrived, self.env._now, exchange.started - exchange.arrived,
            self.node.index, exchange.client.edge.caller_index, exchange.operation, self.index, status, exchange.attempt, SERVER, outcome))

    # the way out

    def answer(self, exchange: Exchange, response: Response) -> None:
        """Send *response* back over the link."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.answer, exchange, response))
            return
        client, post = exchange.client, self.world.loop.post
        edge = client.edge
        latencies = edge.free_back
        try:
            delay = latencies.pop() if latencies else edge.back.delay(self, client.source, exchange.request, response, exchange)
        except LinkFailed as failed:
            post(failed.verdict.after, client.broken, exchange, failed.verdict.error())
            return
        if delay != LOST:
            post(delay, client.answered, exchange, response)

    def fail(self, exchange: Exchange, error: Exception) -> None:
        """Tell the caller that its connection was refused or has broken."""
        client = exchange.client
        try:
            delay = client.edge.back.delay(self, client.source, exchange.request, Response(0, size=40))
        except LinkFailed as failed:
            delay, error = failed.verdict.after, failed.verdict.error()
        if delay != LOST:
            self.loop.post(delay, client.broken, exchange, error)

    def keep(self, task: Task[Any]) -> None:
        """*task* may go on when its request has been answered; it ends with the process."""
        if not task.done():
            self._others[task] = None
            task.add_done_callback(self._others.pop)

    def caller_gone(self, exchange: Exchange) -> None:
        """The caller has left, and this transport tells: stop working for it."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.caller_gone, exchange))
        elif exchange in self.world.in_service:
            exchange.task.cancel()  # it may not have begun, and never will
            exchange.task.add_done_callback(lambda task: self._give_up(exchange) if exchange in self.world.in_service else None)
        elif self.queue.remove(exchange):
            self._leave_the_line(exchange)

    def deadline_passed(self, exchange: Exchange) -> None:
        """The time that its caller has stated is over: stop working for it, and say so."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.deadline_passed, exchange))
        elif exchange in self.world.in_service:
            exchange.task.cancel()
            self._give_up(exchange, LATE.status)
            explain(self.recorder, exchange.span, LATE.body)
            self.answer(exchange, LATE)
        elif self.queue.remove(exchange):
            self.waiting.change(-1, self.env._now)
            self._too_late(exchange)

    def _leave_the_line(self, exchange: Exchange, status: int = CANCELLED) -> None:
        """Recorded as one whose work was broken off: it was here, and never got a worker."""
        self.waiting.change(-1, self.env._now)
        exchange.span = self.recorder.next_span()
        exchange.started = self.env._now
        exchange.operation = self.node.operation_of(exchange.request)
        self._record(exchange, status, FAILED)

    # who stands in between

    @contextmanager
    def intercepted(self, hook: Hook) -> Iterator[None]:
        """Let *hook(exchange, proceed)* have each request that is sent while the block lasts, before it arrives; the last has it first."""
        self.intercept(hook)
        try:
            yield
        finally:
            self._hooks.remove(hook)
            if not self._hooks:
                del self.arrive

    def intercept(self, hook: Hook) -> None:
        """As `intercepted`, for good."""
        self._hooks.append(hook)
        self.arrive = self._arrive_through_hooks  # type: ignore[method-assign]

    def _arrive_through_hooks(self, exchange: Exchange) -> None:
        self._through_hooks(exchange, partial(Station.arrive, self))

    def _through_hooks(self, exchange: Exchange, proceed: Callable[[Exchange], None]) -> None:
        for hook in self._hooks:
            proceed = partial(_hooked, hook, proceed)
        proceed(exchange)

    @contextmanager
    def served_through(self, wrap: Wrap) -> Iterator[None]:
        """Let *wrap(exchange, handle)* serve what gets a worker while the block lasts; the last laid is the outermost."""
        self.wrap(wrap)
        try:
            yield
        finally:
            self.unwrap(wrap)

    def wrap(self, wrap: Wrap) -> None:
        """As `served_through`, for good."""
        self._wraps.append(wrap)
        self._rewrap()

    def unwrap(self, wrap: Wrap) -> None:
        """Take away what `wrap` laid."""
        self._wraps.remove(wrap)
        self._rewrap()

    def set_handler(self, handler: Handle) -> None:
        """A new process serves from now on."""
        self._handler = handler
        self._rewrap()

    def _rewrap(self) -> None:
        self.handle = self._handler
        for wrap in self._wraps:
            self.handle = partial(_wrapped, wrap, self.handle)


def _hooked(hook: Hook, proceed: Callable[[Exchange], None], exchange: Exchange) -> None:
    hook(exchange, proceed)


def _wrapped(wrap: Wrap, handle: Handle, exchange: Exchange) -> Awaitable[Response | None]:
    return wrap(exchange, handle)


def _plain(response: Response, degraded: bool) -> Response:
    """As it goes over the link: an Answer ends the endpoint that it comes up in, and not that of the caller."""
    return Response(response.status, response.body, headers=response.headers, size=response.size, degraded=degraded or response.degraded,
                    rejected=response.rejected, retry_after=response.retry_after, error=response.error, reason=response.reason)
