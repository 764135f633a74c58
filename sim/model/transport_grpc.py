"""gRPC: requests as streams on long-lived connections, deadlines on the wire, cancellation, a limit of message size, keepalive.

    connect ──▶ ready ──▶ carries all requests to that instance at once
                  ├──nothing heard for keepalive.time──▶ ping ──no answer──▶ dead: its streams fail, and another one is opened
                  ├──the instance dies──▶ closed
                  └──max_age, or the instance drains or was told to end (GOAWAY)──▶ takes no new
                      streams; what was on its way is served, and the next request opens another one, elsewhere if it can

A pinned caller has one connection, to an instance that a balancer of connections chose: all its requests go there, however many
instances there are. An instance that cannot be reached is left out for a while, twice as long each time or so (gRPC's connection backoff);
a call that finds it so, or that waits for a stream when its connection closes, was not sent: it goes to another one, while there is one.
Once it has failed it is tried again beside the calls, which do not wait for it where they have a connection to another.
A server ends its work at the deadline that it was told, whether or not it hears that the caller has left.
Sources: grpc/doc/keepalive.md, connection-backoff.md; proposals A6 (transparent retries), A9 (max_age).
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future, Task
from collections import deque
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from sim.errors import CallError, ConnectFailed, ConnectionReset, NoHealthyInstances, StatusError
from sim.model.grpc_codes import HTTP_STATUS, Code
from sim.model.messages import Exchange, Request, Response
from sim.model.network import LOST, Packet
from sim.model.spans import explain
from sim.model.transport import Transport
from sim.model.transport_spec import ConnectionSpec
from sim.resilience.deadline import from_grpc_timeout, to_grpc_timeout

if TYPE_CHECKING:
    from sim.model.client import Client, UseSpec
    from sim.model.instance import Instance

LARGEST = 4 * 2**20  # bytes of a message that a gRPC peer takes unless it is told otherwise
FIRST_BACKOFF, BACKOFF_FACTOR, LAST_BACKOFF, BACKOFF_JITTER = 1.0, 1.6, 120.0, 0.2  # seconds
AGE_JITTER = 0.1
GRACE = 1e-9  # seconds; a caller that leaves at its deadline, and says so, is heard first
STRIKES = 2  # pings that come too early and are forgiven
TOO_LARGE = "message larger than max"
GOAWAY = Request("", "", size=57)  # bytes: a frame of 17 in a packet


def _ends(instance: Instance) -> bool:
    """It finishes what it has, and is told to."""
    return instance.draining or instance.terminating


class Connection:
    """An HTTP/2 connection to *instance*; *streams* are the requests under way."""

    def __init__(self, instance: Instance, opened: float, until: float) -> None:
        self.instance = instance
        self.until = until  # seconds; then it takes no new streams
        self.heard = opened  # when something came from the other side
        self.pinged = opened
        self.early_pings = 0
        self.streams: dict[Exchange, None] = {}
        self.taken = 0  # streams under way, and those about to begin
        self.waiting: deque[Future[bool]] = deque()  # True: its turn has come; False: it takes no new streams, or is closed
        self.closed = False
        self.told = False  # the other side has said that it goes away

    def free(self) -> None:
        """A stream has ended: the next in line may begin."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self.taken -= 1

    def turn_away(self) -> None:
        """Who waits for a stream has not sent anything: it finds another one."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(False)


class GrpcTransport(Transport):
    """A channel. Without a `connection` (and `keepalive`) in the scenario its connections are free, and never break by themselves."""

    def __init__(self, client: Client, use: UseSpec) -> None:
        super().__init__(client, use.connection or (ConnectionSpec() if use.keepalive is not None else None))
        self.largest = LARGEST if use.max_message_size is None else use.max_message_size  # that this side takes
        there = client.node.spec.largest_message()
        self.largest_there = LARGEST if there is None else there
        self.keepalive = use.keepalive
        self.connections: dict[Instance, Connection] = {}
        self._ping_after = use.keepalive.time if use.keepalive is not None else inf
        self._opening: dict[Instance, Task[Connection]] = {}
        self._failures: dict[Instance, tuple[int, float]] = {}  # in a row, and until when it is left out
        self._leaving: dict[Instance, None] = {}  # those that have said so
        self._sending: Connection | None = None
        client.carry = self._carry
        if self.connection is not None:
            client.node.watchers.append(self._instances_changed)
        client.surround(self.send)

    def begin_anew(self) -> None:
        for task in list(self._opening.values()):
            task.cancel()
        for connection in list(self.connections.values()):
            self._close(connection)
        self._failures.clear()
        self._ping_after = self.keepalive.time if self.keepalive is not None else inf

    # a call

    async def send(self, request: Request) -> Response:
        """One attempt as a stream."""
        client = self.client
        if self.connection is None:
            return self._small(request, await client.attempt(request))
        connection, instance = await self._stream(request)
        try:
            self._sending = connection
            return self._small(request, await client.attempt(request, instance))
        finally:
            connection.free()

    async def _stream(self, request: Request) -> tuple[Connection, Instance]:
        """A place for a stream at an instance that can be reached: each is tried once. Raise what was wrong with the last one."""
        start, instance, why = self.env._now, None, None
        unreachable: list[str] = []
        while True:
            try:
                instance = self._choose(request, unreachable)
            except CallError as error:
                self.client.not_sent(request, instance, start, why or error)
                raise why or error from None
            if instance in self._failures and self._has_another(instance):  # it is tried again beside the calls
                self._begin(instance)
                unreachable.append(instance.name)
                continue
            try:
                connection = await self._stream_to(instance)
            except CancelledError as error:
                self.client.not_sent(request, instance, start, error)
                raise
            except CallError as error:
                why = error
                unreachable.append(instance.name)
            else:
                if connection is not None:
                    return connection, instance

    def _small(self, request: Request, response: Response) -> Response:
        """*response*, if it is not too large to be taken; the work is done either way."""
        if response.size <= self.largest:
            return response
        explain(self.client.recorder, request.span, TOO_LARGE)
        refusal = Response(HTTP_STATUS[Code.RESOURCE_EXHAUSTED], body=TOO_LARGE)
        if self.client.raises:
            raise StatusError(refusal)
        return refusal

    def _carry(self, exchange: Exchange, delay: float) -> None:
        """Send a request. What travels is the time that is left, not the deadline, since clocks differ; the way itself is not counted."""
        connection, self._sending = self._sending, None
        if connection is not None:
            connection.streams[exchange] = None
            exchange.answer.add_done_callback(partial(self._ended, connection, exchange))
        if delay != LOST:
            left = exchange.deadline - self.env._now
            self.loop.post(delay, self._arrive, exchange, None if left == inf else to_grpc_timeout(left), connection is not None)

    def _arrive(self, exchange: Exchange, timeout: str | None, on_connection: bool) -> None:
        """It has come to the far side."""
        request, instance = exchange.request, exchange.instance
        if timeout is not None:
            left = from_grpc_timeout(timeout)
            exchange.deadline = self.env._now + left
            self.loop.post(left + GRACE, instance.deadline_passed, exchange)
        if request.size > self.largest_there and instance.up and instance.accepting and instance.pause_now is None:
            instance.reply(exchange, Response(HTTP_STATUS[Code.RESOURCE_EXHAUSTED], body=TOO_LARGE, rejected=True))
        elif on_connection:
            instance.arrive_connected(exchange)
        else:
            instance.arrive(exchange)

    def _ended(self, connection: Connection, exchange: Exchange, answer: Future[Response]) -> None:
        connection.streams.pop(exchange, None)
        if not answer.cancelled():
            connection.heard = self.env._now

    # connections

    def _choose(self, request: Request, unreachable: list[str]) -> Instance:
        """Not one that was found *unreachable*, or that cannot be reached for now; one that ends only where there is no other."""
        now, client = self.env._now, self.client
        assert self.connection is not None, "free connections are not chosen"
        if self.connection.pinned:
            for connection in self.connections.values():
                if now < connection.until:
                    return connection.instance
            for instance in self._opening:
                if instance.name not in unreachable:
                    return instance
        left_out = [*unreachable, *(instance.name for instance, (_, until) in self._failures.items() if now < until)]
        if not (left_out or self._leaving or self.connection.pinned):
            return client.choose(request)
        hosts = client.discovered.reachable
        leaving = [instance.name for instance in self._leaving]
        found = self._pick(hosts, request, [*left_out, *leaving]) or self._pick(hosts, request, left_out)
        if found is None:
            raise ConnectFailed(f"no connection to {client.node.name}") if left_out else NoHealthyInstances(client.node.name)
        return found

    def _pick(self, hosts: Sequence[Instance], request: Request, left_out: list[str]) -> Instance | None:
        client = self.client
        assert self.connection is not None, "free connections are not chosen"
        if not self.connection.pinned:
            return client.balancer.pick(hosts, self.env._now, client.rng, request.key, left_out)
        hosts = [host for host in hosts if host.name not in left_out]
        return hosts[int(client.rng.random() * len(hosts))] if hosts else None

    async def _stream_to(self, instance: Instance) -> Connection | None:
        """A place for a stream on the connection to *instance*, which is opened if there is none; None if it goes away meanwhile."""
        connection = self.connections.get(instance)
        if connection is not None and self.env._now >= connection.until:
            del self.connections[instance]  # it ends when its streams have ended
            connection = None
        if connection is None:
            connection = await self._opened(instance)
        assert self.connection is not None, "free connections have no limit"
        if connection.taken < self.connection.max_streams:
            connection.taken += 1
            return connection
        turn: Future[bool] = Future(loop=self.loop)
        connection.waiting.append(turn)
        try:
            return connection if await turn else None
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.result():
                connection.free()
            raise

    def _has_another(self, instance: Instance) -> bool:
        """There is a connection to one of those that a call may go to beside *instance*."""
        return any(host is not instance and host in self.connections for host in self.client.discovered.reachable)

    async def _opened(self, instance: Instance) -> Connection:
        return await asyncio.shield(self._begin(instance))

    def _begin(self, instance: Instance) -> Task[Connection]:
        """Open a connection: one for all who want it now."""
        task = self._opening.get(instance)
        if task is None:
            task = self._opening[instance] = self.loop.create_task(self._open(instance), name=f"{self.client.edge.name} connect")
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())  # whoever wanted it may have left
        return task

    async def _open(self, instance: Instance) -> Connection:
        assert self.connection is not None, "free connections are not opened"
        try:
            await self.open(instance)
            if not instance.up:  # its reset has not come yet
                raise ConnectFailed(f"{instance.name} is gone")
        except CallError:
            self._failed(instance)
            raise
        finally:
            del self._opening[instance]
        self._failures.pop(instance, None)
        age = self.connection.max_age
        until = inf if age is None else self.env._now + age * (1 + AGE_JITTER * (2 * self.client.rng.random() - 1))
        connection = self.connections[instance] = Connection(instance, self.env._now, until)
        if self.keepalive is not None:
            self.loop.call_later(self._ping_after, self._look_after, connection)
        return connection

    def _failed(self, instance: Instance) -> None:
        times = self._failures.get(instance, (0, 0.0))[0]
        wait = min(LAST_BACKOFF, FIRST_BACKOFF * BACKOFF_FACTOR**times)
        wait *= 1 + BACKOFF_JITTER * (2 * self.client.rng.random() - 1)
        self._failures[instance] = times + 1, self.env._now + wait

    def _instances_changed(self) -> None:
        for instance, connection in list(self.connections.items()):
            if not instance.up:  # its streams are told by the instance itself
                self._close(connection)
            elif _ends(instance) and not connection.told:
                connection.told = True
                word = Packet(partial(self._say, connection))
                self.client.edge.back.send(word, instance, self.client.source, GOAWAY)
        for instance in [instance for instance in self._leaving if not (instance.up and _ends(instance))]:
            del self._leaving[instance]

    def _say(self, connection: Connection, delay: float) -> None:
        self.loop.post(delay, self._go_elsewhere, connection)

    def _go_elsewhere(self, connection: Connection) -> None:
        """It takes no new streams, and ends when those that it has have ended."""
        self._leaving[connection.instance] = None
        if self.connections.get(connection.instance) is connection:
            del self.connections[connection.instance]
        connection.turn_away()

    def _close(self, connection: Connection) -> None:
        connection.closed = True
        if self.connections.get(connection.instance) is connection:
            del self.connections[connection.instance]
        connection.turn_away()

    def _break(self, connection: Connection, why: str) -> None:
        """It is dead: everything on it fails."""
        self._close(connection)
        client = self.client
        client.edge.counts["connection.lost"] += 1
        client.recorder.event("connection.lost", edge=client.edge.name, caller=client.source.name, instance=connection.instance.name,
                              why=why, streams=len(connection.streams))
        for exchange in list(connection.streams):
            client.broken(exchange, ConnectionReset(f"{connection.instance.name}: {why}"))

    # keepalive

    def _look_after(self, connection: Connection) -> None:
        """Ping it, if nothing was heard for long enough; else look again when that can be so."""
        keepalive = self.keepalive
        left = self.connections.get(connection.instance) is not connection  # for a newer one
        if connection.closed or keepalive is None or (left and not connection.streams):
            return
        now = self.env._now
        quiet = now - connection.heard
        if quiet < self._ping_after - 1e-9:
            self.loop.call_later(self._ping_after - quiet, self._look_after, connection)
        elif not (connection.streams or keepalive.permit_without_stream):
            self.loop.call_later(self._ping_after, self._look_after, connection)
        else:
            connection.early_pings = connection.early_pings + 1 if now - connection.pinged < keepalive.server_min_time - 1e-9 else 0
            connection.pinged = now
            self.loop.create_task(self._ping(connection, keepalive.timeout), name=f"{self.client.edge.name} keepalive")

    async def _ping(self, connection: Connection, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self.round_trip(connection.instance, partial(self._pinged, connection))
        except TimeoutError:
            self._failed(connection.instance)
            self._break(connection, "keepalive timeout")
        except CallError as error:
            self._break(connection, str(error))
        else:
            connection.heard = self.env._now
            self._look_after(connection)

    def _pinged(self, connection: Connection, instance: Instance, request: Request, come: Future[None]) -> None:
        """A ping is answered by the process, which may stand still; one that comes too often ends the connection."""
        if not instance.up or instance.pause_now is not None:
            return
        if connection.early_pings > STRIKES:
            self._ping_after *= 2  # what a client does that was told so
            self.send_back(instance, request, come, ConnectionReset("too many pings"))
        else:
            self.send_back(instance, request, come)
