"""HTTP/1.1 with a pool of connections: one request at a time on each.

    request ──idle connection──▶ used ──answered──▶ idle ──keep_alive over──▶ closed
       ├──room for another──▶ opened ──▶ used ──given up, or broken──▶ closed: nobody can tell where the next answer begins
       └──max_connections are in use──▶ waits for one ──pool_timeout──▶ PoolTimeout

An instance that was told to end takes no new connections, and serves what comes over those that it has, once: `Connection: close`.
Who waits for one of them then looks for another instance.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from sim.errors import CallError, StatusError
from sim.model.messages import Exchange, Request, Response
from sim.model.network import LOST
from sim.model.pool import PoolTimeout
from sim.model.transport import Transport
from sim.resilience.policy import Policy

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.instance import Instance
    from sim.model.transport_spec import ConnectionSpec


class Pool:
    """The connections of one client to one instance. *idle* holds when each was last used (seconds), the latest last."""

    def __init__(self, spec: ConnectionSpec) -> None:
        self.spec = spec
        self.idle: deque[float] = deque()
        self.used = 0
        self.generation = 0  # connections of an earlier one broke with the instance
        self.waiting: deque[Future[bool]] = deque()

    def take(self, now: float) -> bool:
        """Take an idle connection that is still open."""
        while self.idle and self.idle[0] + self.spec.keep_alive <= now:
            self.idle.popleft()
        if not self.idle:
            return False
        self.idle.pop()
        self.used += 1
        return True

    def has_room(self) -> bool:
        """Another one may be opened."""
        return self.spec.max_connections is None or self.used + len(self.idle) < self.spec.max_connections

    def give_back(self, now: float, generation: int, reusable: bool) -> None:
        """A used connection is free, or closed; who waits longest is told (True: it may have this one, False: it opens its own)."""
        reusable = reusable and generation == self.generation
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(reusable)
                return  # it stays in use
        self.used -= 1
        if reusable:
            self.idle.append(now)

    def broken(self) -> None:
        """One end is gone, and all connections with it."""
        self.idle.clear()
        self.generation += 1


class HttpTransport(Transport, Policy):
    """Calls over pooled connections. It is inside the policies: a breaker does not take its refusal for a failure of the callee."""

    word = "pool"

    def __init__(self, client: Client, connection: ConnectionSpec) -> None:
        super().__init__(client, connection)
        self.spec = connection
        self._name = f"{client.edge.name}.pool"
        self.pools: dict[Instance, Pool] = {}
        client.node.watchers.append(self._instances_changed)
        client.carry = self._carry
        client.surround(partial(self.send))  # as a pipeline composes its policies

    def _instances_changed(self) -> None:
        for instance, pool in list(self.pools.items()):
            if not instance.up:
                pool.broken()

    def begin_anew(self) -> None:
        for pool in self.pools.values():
            pool.broken()

    async def send(self, request: Request) -> Response:
        """One attempt over a connection."""
        pool, instance = await self._connected(request)
        generation, reusable = pool.generation, False
        try:
            response = await self.client.attempt(request, instance)
            reusable = True
            return response
        except StatusError:
            reusable = True
            raise
        finally:
            pool.give_back(self.env._now, generation, reusable and not instance.terminating)

    def _carry(self, exchange: Exchange, delay: float) -> None:
        if delay != LOST:
            self.loop.post(delay, exchange.instance.arrive_connected, exchange)

    async def _connected(self, request: Request) -> tuple[Pool, Instance]:
        """A connection of that pool, to that instance."""
        client, start, instance = self.client, self.env._now, None
        try:
            while True:
                instance = client.choose(request)
                pool = self.pools.get(instance)
                if pool is None:
                    pool = self.pools[instance] = Pool(self.spec)
                if await self._connection(pool, instance, request):
                    return pool, instance
        except (CallError, CancelledError) as error:
            client.not_sent(request, instance, start, error)
            raise

    async def _connection(self, pool: Pool, instance: Instance, request: Request) -> bool:
        """Have a connection: an idle one, a new one, or one that somebody gives back. False: it had to wait, and there will be no more."""
        if pool.take(self.env._now):
            return True
        if pool.has_room():
            pool.used += 1
        elif await self._turn(pool, instance, request):
            return True
        elif instance.terminating:
            pool.give_back(self.env._now, pool.generation, reusable=False)
            return False
        try:
            await self.open(instance)
        except BaseException:
            pool.give_back(self.env._now, pool.generation, reusable=False)
            raise
        return True

    async def _turn(self, pool: Pool, instance: Instance, request: Request) -> bool:
        """Wait for one of the connections in use; True if it can be used again."""
        turn: Future[bool] = Future(loop=self.loop)
        pool.waiting.append(turn)
        try:
            async with asyncio.timeout(self.spec.pool_timeout):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came in the same instant
                pool.give_back(self.env._now, pool.generation, turn.result())
            if not isinstance(error, TimeoutError):
                raise
        client = self.client
        client.edge.note("pool.rejected", request.span)
        client.recorder.event("pool.timeout", edge=client.edge.name, caller=client.source.name, waited=self.spec.pool_timeout,
                              size=self.spec.max_connections, instance=instance.name)
        raise PoolTimeout(self, f"no free connection to {instance.name} within {self.spec.pool_timeout:g} s")
