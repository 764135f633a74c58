"""An instance: one replica of a node, with workers and a bounded queue in front of them.

    arrives ──free worker──────────────▶ served ──▶ answer goes back over the link
       ├────queue not full──▶ waits ──▶ served
       ├────queue full, or not admitted───────────▶ 503, 429
       └────instance down─────────────────────────▶ refused

Killed, it finishes nothing: callers of requests in service and in the queue see their connection reset. Unavailable, it
refuses what is new and finishes what it has. Paused, it stands still and loses nothing: what it was doing ends late by the
length of the pause, and answers leave after it.
"""

from __future__ import annotations

from asyncio import CancelledError, Task
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from math import inf, prod
from typing import TYPE_CHECKING, Any

from sim.errors import ConnectFailed, ConnectionReset
from sim.model.client import Client, UseSpec
from sim.model.cpu import Cpu
from sim.model.door import Door
from sim.model.messages import Answer, Exchange, Response
from sim.model.network import LOST, LinkFailed
from sim.model.pause import Pause, sleeps_in
from sim.model.place import PLACE, Place
from sim.model.queues import QUEUES
from sim.model.versions import behave
from sim.resilience.deadline import set_deadline
from sim.resilience.policy import PolicySpec
from sim.streams import Stream
from sim.telemetry.codes import Outcome, Reason, SpanKind
from sim.telemetry.columns import pack_span
from sim.telemetry.integrals import Level

if TYPE_CHECKING:
    from sim.model.node import Node
    from sim.model.versions import VersionSpec
    from sim.model.world import World

SERVER, OK, DEGRADED, FAILED, REJECTED = int(SpanKind.SERVER), int(Outcome.OK), int(Outcome.DEGRADED), int(Outcome.FAILED), int(Outcome.REJECTED)
CANCELLED = int(Reason.CANCELLED)
Hook = Callable[[Exchange, Callable[[Exchange], None]], None]
Handle = Callable[[Exchange], Awaitable[Response | None]]
Wrap = Callable[[Exchange, Handle], Awaitable[Response | None]]
DONE = Response(200)
CRASH_WAIT, LONGEST_CRASH_WAIT = 10.0, 300.0  # seconds until a process that has crashed is started again, doubling: Kubernetes' back-off


class Instance:
    """One replica. *weight*, *zone* and *healthy* are what balancers look at; *slowness* multiplies its service times."""

    def __init__(self, world: World, node: Node, number: int, zone: str = "", version: VersionSpec | None = None) -> None:
        self.world, self.node, self.number = world, node, number
        self.name = f"{node.name}-{number}"
        self.index = world.recorder.instance(self.name)
        self.zone = zone
        self.weight = 1.0
        self.slowness = 1.0
        self.clock_offset = 0.0  # seconds by which its calendar is ahead of the true time; its timers are right
        self._slowed: dict[str, float] = {}  # by what makes it slow
        self.version = ""
        self.loop = world.loop
        self.env = world.loop.env
        self.recorder = world.recorder
        now = self.env._now
        self.workers = node.workers
        self.queue_limit = node.queue_limit
        self.queue = QUEUES[node.queue_order]()
        self.busy = Level(now)
        self.waiting = Level(now)
        self.up = True
        self.accepting = True
        self.draining = False
        self._lingers = False  # draining, and not yet to end
        self.pause_now: Pause | None = None
        self._open = True  # started, and not yet told to stop
        self._unavailable = False
        self._starts = 0
        self._crashes = 0
        self.serving: dict[Exchange, None] = {}
        self._others: dict[Task[Any], None] = {}  # tasks that outlive their requests
        self._hooks: list[Hook] = []
        self.rejected = 0
        self.shed: Counter[str] = Counter()  # of the rejected, by what refused them at the door
        self.refused = 0  # connections that were not accepted
        self.wasted = 0.0  # seconds of work that nobody waited for
        self.worked = 0.0  # seconds of work altogether
        self.healthy = True  # up, and takes requests
        self.clients: list[Client] = []
        self._clients: dict[str, Client] = {}
        self._context = copy_context()
        self._context.run(PLACE.set, Place(self, None, 0, 0))  # all code of this instance runs in copies of it
        self._streams: Counter[str] = Counter()
        self.config = node.spec.config_of(version)
        cores = node.cores
        self.cpu: Cpu | None = Cpu(self.loop, cores) if cores is not None else None
        self.handle = self._handler = node.handler(self)
        self.door = self._new_door()
        self._wraps: list[Wrap] = []
        self._crashing: dict[str, None] = {}  # by what lets it crash
        if node.mesh is not None:
            node.mesh.guard(self)
        if version is not None:
            self.version = version.name
            behave(self, version, "version")

    def client(self, callee: str, policies: Sequence[PolicySpec] = ()) -> Client:
        """This instance's side of a dependency: one for all its endpoints, so that they share breaker and pool. A caller with
        *policies* of its own (a gateway's route) gets a client of its own."""
        use = self.node.spec.uses.get(callee) or UseSpec()
        if policies:
            return self._new_client(callee, use.model_copy(update={"policies": [*policies, *use.policies]}))
        if callee not in self._clients:
            self._clients[callee] = self._new_client(callee, use)
        return self._clients[callee]

    def client_apart(self, callee: str) -> Client:
        """A way of its own to *callee*, with policies and a pool of its own."""
        return self._new_client(callee, self.node.spec.uses.get(callee) or UseSpec())

    def _new_client(self, callee: str, use: UseSpec) -> Client:
        client = self.world.client(self.node.name, self, callee, use)
        self.clients.append(client)
        return client

    def context(self) -> Context:
        """For a task that belongs to this instance and to no request."""
        return self._context.copy()

    def work(self, seconds: float) -> Awaitable[None]:
        """Compute for so long: CPU time where there is `cpu`, and longer where it is slow."""
        seconds *= self.slowness
        return self.cpu.work(seconds) if self.cpu is not None else self.loop.sleep(seconds)

    def stream(self, purpose: str) -> Stream:
        """A stream of its own for each that asks, in the order of asking."""
        self._streams[purpose] += 1
        return self.world.streams[f"{self.name} {purpose} {self._streams[purpose]}"]

    @property
    def process(self) -> int:
        """Counts its processes: another number is another process."""
        return self._starts

    @property
    def paused(self) -> bool:
        """It stands still."""
        return self.pause_now is not None

    def _changed(self) -> None:
        self.accepting = self._open and not self._unavailable
        self.healthy = self.up and self.accepting and not self.draining
        self.node.changed()

    # requests

    def arrive(self, exchange: Exchange) -> None:
        """A request has come over the link."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.arrive, exchange))
            return
        exchange.arrived = self.env._now
        if not (self.up and self.accepting):
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
            self._turned_away(exchange, Response(503, rejected=True, body="queue full"))

    def _new_door(self) -> Door | None:
        return Door(self.node.admission, self) if self.node.admission is not None else None

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
        self.answer(exchange, response)

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
        proceed: Callable[[Exchange], None] = partial(type(self).arrive, self)
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

    def _start(self, exchange: Exchange) -> None:
        now = self.env._now
        context = self._context.copy()
        deadline = exchange.deadline
        if deadline < inf:
            if deadline <= now and exchange.client.tells_deadline:
                self._too_late(exchange)
                return
            set_deadline(context, deadline)
        self.busy.change(1, now)
        exchange.started = now
        exchange.span = self.recorder.next_span()
        self.serving[exchange] = None
        exchange.task = Task(self._serve(exchange), loop=self.loop, name=self.name, context=context)

    def _too_late(self, exchange: Exchange) -> None:
        """The time was over before the work began, and the transport says so: nothing is done."""
        exchange.client.edge.counts["deadline.expired_on_arrival"] += 1
        self._turned_away(exchange, Response(504, rejected=True, body="deadline exceeded"))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            response = await self.handle(exchange) or DONE
        except CancelledError:  # killed, or told that the caller has gone
            if exchange in self.serving:
                self._give_up(exchange)
            return
        except Exception as error:  # of the service's own code: a 500, never the end of the run
            self.world.handler_failed(self, exchange, error)
            response = Response(500)  # its caller learns no more than that
        if exchange.degraded or type(response) is Answer:
            response = _plain(response, exchange.degraded)
        if exchange not in self.serving:  # killed, and its code did not want to know
            return
        now = self.env._now
        self._leave(exchange, now)
        status, request = response.status, exchange.request
        self.recorder.write_span(pack_span(
            exchange.span, exchange.parent, request.trace, exchange.arrived, now, exchange.started - exchange.arrived,
            self.node.index, exchange.client.caller_index, exchange.operation, self.index, status, exchange.attempt, SERVER,
            (DEGRADED if response.degraded else OK) if status < 400 else REJECTED if response.rejected else FAILED))
        self.answer(exchange, response)

    def _give_up(self, exchange: Exchange) -> None:
        if not hasattr(exchange, "operation"):  # its task has not begun yet
            exchange.operation = self.node.operation_of(exchange.request)
        self._leave(exchange, self.env._now)
        self._record(exchange, CANCELLED, FAILED)

    def _leave(self, exchange: Exchange, now: float) -> None:
        """Give the worker to the next in line."""
        took = now - exchange.started
        self.worked += took
        if exchange.answer.done():
            self.wasted += took
        del self.serving[exchange]
        self.busy.change(-1, now)
        if self.waiting.value:
            self._serve_next()
        if self.draining and not self.serving:
            self._end_if_idle()

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
            self.node.index, exchange.client.caller_index, exchange.operation, self.index, status, exchange.attempt, SERVER, outcome))

    def answer(self, exchange: Exchange, response: Response) -> None:
        """Send *response* back over the link."""
        if self.pause_now is not None:
            self.pause_now.hold(exchange, partial(self.answer, exchange, response))
            return
        client = exchange.client
        link = client.back
        try:
            delay = link.latency() if not link.rules else link.delay(self, client.source, exchange.request, response)
        except LinkFailed as failed:
            self.loop.post(failed.verdict.after, client.broken, exchange, failed.verdict.error())
            return
        if delay != LOST:
            self.loop.post(delay, client.answered, exchange, response)

    def fail(self, exchange: Exchange, error: Exception) -> None:
        """Tell the caller that its connection was refused or has broken."""
        client = exchange.client
        try:
            delay = client.back.delay(self, client.source, exchange.request, Response(0, size=40))
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
        elif exchange in self.serving:
            exchange.task.cancel()
            exchange.task.add_done_callback(lambda task: self._give_up(exchange) if exchange in self.serving else None)  # it never began
        elif self.queue.remove(exchange):
            self._leave_the_line(exchange)

    def _leave_the_line(self, exchange: Exchange) -> None:
        """Recorded as one whose work was broken off: it was here, and never got a worker."""
        self.waiting.change(-1, self.env._now)
        exchange.span = self.recorder.next_span()
        exchange.started = self.env._now
        exchange.operation = self.node.operation_of(exchange.request)
        self._record(exchange, CANCELLED, FAILED)

    # failures

    def kill(self) -> None:
        """It is gone at once, with everything that it was doing."""
        if not self.up:
            return
        self.up = False
        self.node.killed(self)
        pause, self.pause_now = self.pause_now, None
        lost: dict[Exchange, None] = {}
        if pause is not None:
            lost |= {exchange: None for _, exchange, _ in pause.held if exchange.client.source is not self}
            pause.end(deliver=False)
        for exchange in self.queue.drain():
            self._leave_the_line(exchange)
            lost[exchange] = None
        for exchange in list(self.serving):
            exchange.task.cancel()
            self._give_up(exchange)
            lost[exchange] = None
        for task in list(self._others):
            task.cancel()
        for exchange in lost:
            self.fail(exchange, ConnectionReset(f"{self.name} was killed"))
        self._changed()
        if self.draining:
            self.node.left(self)

    def drain(self, linger: float = 0.0, timeout: float = inf) -> None:
        """Leave service: no caller that knows of it sends more, what it has is finished, and then it ends.

        It waits *linger* seconds for who has not heard of it yet, and ends after *timeout* whatever it has.
        """
        if self.draining:
            return
        self.draining = self._lingers = True
        self._changed()
        if not (self.up and self._open):  # not there, or not yet
            self.kill()
            self.node.left(self)
            return
        self.loop.post(linger, self._stop_lingering)
        if timeout < inf:
            self.loop.post(timeout, self.kill)

    def _stop_lingering(self) -> None:
        self._lingers = False
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self.up and self._open and not self._lingers and not self.serving:
            self.set_accepting(False)
            self.world.drained(self)

    def start(self) -> None:
        """It runs again, empty; after the node's start-up time it takes requests. One that is taken out of service stays out."""
        if self.up or self.draining:
            return
        self.up = True
        self.accepting = self._open = False
        self._starts += 1
        self.door = self._new_door()
        self.loop.post(self.node.startup, self._ready, self._starts)

    def _ready(self, start: int) -> None:
        if self.up and start == self._starts and not self.draining:
            self.node.configure(self)
            if self._crashing:
                self._crash()
            else:
                self.node.boot(self)

    def crash(self, why: str) -> None:
        """Its process ends because of *why*, is started again, ends again, and so on until that is over."""
        self._crashing[why] = None
        if self.up and self._open:
            self._crash()

    def recover(self, why: str) -> None:
        """*why* is no reason any more to crash."""
        self._crashing.pop(why, None)

    def _crash(self) -> None:
        self._crashes += 1
        self.recorder.event("instance.crash", node=self.node.name, instance=self.name, number=self._crashes)
        self.kill()
        self.loop.post(min(CRASH_WAIT * 2 ** (self._crashes - 1), LONGEST_CRASH_WAIT), self._start_again, self._starts)

    def _start_again(self, start: int) -> None:
        if start == self._starts:
            self.start()

    def set_accepting(self, accepting: bool) -> None:
        """Refuse new requests, or take them again; what it has goes on."""
        self._open = accepting
        self._changed()

    def set_unavailable(self, unavailable: bool) -> None:
        """Refuse new requests whatever else is said, or no longer so; what it has goes on."""
        self._unavailable = unavailable
        self._changed()

    def slow_by(self, what: str, factor: float) -> None:
        """*what* makes its work take *factor* times as long; what others make of it multiplies."""
        self._slowed[what] = factor
        self.set_slowness(prod(self._slowed.values()))

    def set_slowness(self, slowness: float) -> None:
        """From now on all work takes so many times as long as it should, also what is left of work under way."""
        factor, self.slowness = slowness / self.slowness, slowness
        if factor == 1.0:
            return
        if self.pause_now is not None:
            self.pause_now.stretch(factor)
        else:
            working = self.loop.freeze(partial(sleeps_in, self))
            self.loop.thaw([(left * factor, sleep) for left, sleep in working])

    def resize(self, workers: int) -> None:
        """Serve so many at once; who is served is not sent away, and new workers take those who wait."""
        self.workers = workers
        self._serve_next()

    def pause(self) -> None:
        """Stand still: what is in work stops, arrivals and answers wait. Discovery does not see it: it is up, and silent."""
        if self.pause_now is None and self.up:
            self.pause_now = Pause(self)

    def resume(self) -> None:
        """Go on where it stood."""
        pause, self.pause_now = self.pause_now, None
        if pause is None:
            return
        pause.end()
        self._serve_next()


def _hooked(hook: Hook, proceed: Callable[[Exchange], None], exchange: Exchange) -> None:
    hook(exchange, proceed)


def _wrapped(wrap: Wrap, handle: Handle, exchange: Exchange) -> Awaitable[Response | None]:
    return wrap(exchange, handle)


def _plain(response: Response, degraded: bool) -> Response:
    """As it goes over the link: an Answer ends the endpoint that it comes up in, and not that of the caller."""
    return Response(response.status, response.body, headers=response.headers, size=response.size, degraded=degraded or response.degraded,
                    rejected=response.rejected, retry_after=response.retry_after, error=response.error, reason=response.reason)
