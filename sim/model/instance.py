"""An instance: one replica of a node. Here is its life; how it serves requests is in station.py.

    started ──start-up time──▶ takes requests ──drain──▶ finishes what it has ──▶ ended
                                  │    ▲
                         kill, crash   start: a new process, empty

Killed, it finishes nothing: callers of requests in service and in the queue see their connection reset. Unavailable, it
refuses what is new and finishes what it has. Paused, it stands still and loses nothing: what it was doing ends late by the
length of the pause, and answers leave after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from functools import partial
from math import inf, prod
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sim.errors import ConnectionReset
from sim.model.client import Client, UseSpec, plain_use
from sim.model.cpu import Cpu
from sim.model.door import Door
from sim.model.messages import Exchange
from sim.model.pause import Pause, on_their_way, sleeps_in
from sim.model.place import PLACE, Place
from sim.model.station import Station
from sim.model.versions import behave
from sim.resilience.policy import PolicySpec
from sim.streams import Stream
from sim.telemetry.codes import Reason

if TYPE_CHECKING:
    from sim.model.node import Node
    from sim.model.versions import VersionSpec
    from sim.model.world import World

T = TypeVar("T")
RESET = int(Reason.RESET)
CRASH_WAIT, LONGEST_CRASH_WAIT = 10.0, 300.0  # seconds until a process that has crashed is started again, doubling: Kubernetes' back-off


class Instance(Station):
    """One replica. *weight*, *zone* and *healthy* are what balancers look at; *slowness* multiplies its service times."""

    __slots__ = ("cpu", "healthy", "own", "slowness")  # for the reason that a station has them
    cpu: Cpu | None
    own: tuple[Any, ...]  # what it has for the steps of its service, by their places

    def __init__(self, world: World, node: Node, number: int, zone: str = "", version: VersionSpec | None = None) -> None:
        super().__init__(world, node, f"{node.name}-{number}")
        self.number = number
        self.zone = zone
        weights = node.spec.weights
        self.weight = weights[number % len(weights)] if weights else 1.0
        self.healthy = True  # up, and takes requests
        self.since = -inf  # when it last began to be healthy, in seconds; it was there before the run
        self.version = ""
        self.slowness = 1.0
        self._slowed: dict[str, float] = {}  # by what makes it slow
        self.clock_offset = 0.0  # seconds by which its calendar is ahead of the true time; its timers are right
        self._lingers = False  # draining, and not yet to end
        self._open = True  # started, and not yet told to stop
        self._unavailable = False
        self.terminating = False  # it was told to end
        self._starts = 0
        self._had_a_process = False  # that was killed
        self._crashes = 0
        self._comes_back: int | None = None  # the process that is started again because it crashed; None once anything else has killed it
        self._crashing: dict[str, None] = {}  # by what lets it crash
        self.clients: list[Client] = []
        self._clients: dict[tuple[str, str], Client] = {}  # by callee and protocol
        self._streams: Counter[str] = Counter()
        self._context.run(PLACE.set, Place(self, None, 0, 0))
        self.config = node.spec.config_of(version)
        self.cpu = Cpu(self.loop, node.cores) if node.cores is not None else None
        self.handle = self._handler = node.handler(self)
        self.door = self._new_door()
        if node.mesh is not None:
            node.mesh.guard(self)
        if version is not None:
            self.version = version.name
            behave(self, version, "version")

    def client(self, callee: str, policies: Sequence[PolicySpec] = (), protocol: Literal["http", "grpc"] | None = None) -> Client:
        """This instance's side of a dependency: one for all its endpoints, so that they share breaker and pool, and one more for calls
        by another *protocol*. A caller with *policies* of its own (a gateway's route) gets a client of its own."""
        use = self.node.spec.uses.get(callee) or plain_use()
        if policies:
            return self._new_client(callee, use.model_copy(update={"policies": [*policies, *use.policies]}))
        way = (callee, protocol or use.protocol)
        if way not in self._clients:
            self._clients[way] = self._new_client(callee, use if protocol is None else use.by(protocol))
        return self._clients[way]

    def client_apart(self, callee: str) -> Client:
        """A way of its own to *callee*, with policies and a pool of its own."""
        return self._new_client(callee, self.node.spec.uses.get(callee) or plain_use())

    def _new_client(self, callee: str, use: UseSpec) -> Client:
        client = self.world.client(self.node.name, self, callee, use)
        self.adopt(client)
        return client

    def adopt(self, client: Client) -> None:
        """*client* is one of its own from now on, and stands still with it."""
        self.clients.append(client)
        if self.pause_now is not None:
            self.pause_now.hold_answers(client)

    def begin(self, act: Callable[..., T], *args: Any) -> T:
        """A new process, whose first code is *act*: what it sets in context variables is seen by all its code, and by nobody else's."""
        self._context = copy_context()
        self._context.run(PLACE.set, Place(self, None, 0, 0))
        return self._context.run(act, *args)

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

    # here and gone

    def kill(self) -> None:
        """It is gone at once, with everything that it was doing; or, between two crashes, it does not come back by itself."""
        self._comes_back = None
        if not self.up:
            return
        self.up = False
        self.coming = {}
        self._had_a_process = True
        for client in self.clients:
            client.process_ended()
        self.node.killed(self)
        pause, self.pause_now = self.pause_now, None
        lost: dict[Exchange, None] = {}
        if pause is not None:
            lost |= {exchange: None for _, exchange, _ in pause.held if exchange.client.source is not self}
            pause.end(deliver=False)
        for exchange in self.queue.drain():
            self._leave_the_line(exchange, RESET)
            lost[exchange] = None
        for exchange in self.serving:
            exchange.task.cancel()
            self._give_up(exchange, RESET)
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
        self.emptied()

    def emptied(self) -> None:
        if self.up and self._open and not self._lingers and not self.busy.value:
            self.set_accepting(False)
            self.world.drained(self)

    def _new_door(self) -> Door | None:
        return Door(self.node.admission, self) if self.node.admission is not None else None

    def start(self) -> None:
        """It runs again, empty; after the node's start-up time it takes requests. One that is taken out of service stays out."""
        if self.up or self.draining:
            return
        self.up = True
        self.accepting = self._open = False
        self._starts += 1
        self.door = self._new_door()
        if self._had_a_process:
            for client in self.clients:
                client.begin_anew()
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
        self._comes_back = self._starts
        self.loop.post(min(CRASH_WAIT * 2 ** (self._crashes - 1), LONGEST_CRASH_WAIT), self._start_again, self._starts)

    def _start_again(self, start: int) -> None:
        if start == self._comes_back:
            self.start()

    def _changed(self) -> None:
        self.accepting = self._open and not self._unavailable and not self.terminating
        healthy = self.up and self.accepting and not self.draining
        if healthy and not self.healthy:
            self.since = self.env._now
        self.healthy = healthy
        self.node.changed()

    def set_accepting(self, accepting: bool) -> None:
        """Refuse new requests, or take them again; what it has goes on."""
        self._open = accepting
        self._changed()

    def set_unavailable(self, unavailable: bool) -> None:
        """Refuse new requests whatever else is said, or no longer so; what it has goes on."""
        self._unavailable = unavailable
        self._changed()

    def set_terminating(self, terminating: bool) -> None:
        """It is told to end, as by SIGTERM: it signs off, refuses what is new, and finishes what it has or has been sent; or it was not
        meant."""
        self.terminating = terminating
        self.coming = on_their_way(self) if terminating and self.accepting else {}
        self._changed()

    def arrive_connected(self, exchange: Exchange) -> None:
        """A request has come over a connection that was there: one that was told to end serves it still, since its caller did not know."""
        if self.terminating:
            self.take(exchange)
        else:
            self.arrive(exchange)

    # slow, and standing still

    def slow_by(self, what: str, factor: float) -> None:
        """*what* makes its work take *factor* times as long; what others make of it multiplies."""
        self._slowed[what] = factor
        self.set_slowness(prod(self._slowed.values()))

    def set_slowness(self, slowness: float) -> None:
        """From now on all work takes so many times as long as it should, also what is left of work under way."""
        factor, self.slowness = slowness / self.slowness, slowness
        if factor == 1.0:
            return
        if self.cpu is not None:
            self.cpu.stretch(factor)
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
