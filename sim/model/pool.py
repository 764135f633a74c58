"""A caller's pool of connections: each carries one call at a time; who finds none free waits in line, and not for ever.

    call ──a connection is free──────────────▶ sent ──▶ its end gives the connection back, to the one who has waited longest
       └──all are in use──▶ waits at most max_wait ──▶ refused: nothing was sent

A pool bounds what one instance asks of a database at once, and its line is where an overload shows first: the database looks
well, and its callers wait. Names and defaults follow HikariCP.
"""

from __future__ import annotations

from asyncio import CancelledError, Future
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sim.distributions import TimeDistribution
from sim.model.waits import Waits
from sim.resilience.errors import Rejected
from sim.resilience.policy import Policy, Proceed
from sim.spec import Spec
from sim.units import Duration

if TYPE_CHECKING:
    from sim.model.client import Client


class PoolSpec(Spec):
    """At most *size* connections of one instance; a call waits at most *max_wait* for one. To open one takes *connect*, and it stays
    open."""

    shorthand: ClassVar[str] = "size"
    size: int = Field(default=10, ge=1, le=1_000_000)
    max_wait: Duration = 30.0
    connect: TimeDistribution | None = None


class PoolTimeout(Rejected):
    """No connection became free in time; nothing was sent."""


class ConnectionPool(Policy):
    """The pool of one *client*. It is inside the policies: a breaker does not take its refusal for a failure of the database."""

    word = "pool"

    def __init__(self, client: Client, spec: PoolSpec) -> None:
        self.client, self.size, self.max_wait = client, spec.size, spec.max_wait
        self._name = f"{client.edge.name}.pool"
        self.in_use = 0
        self.opened = 0  # connections that are open, in use or not
        self.waits = self.timeouts = 0
        self.ended_waits = Waits()
        stream = client.world.streams[f"{client.source.name} pool {client.node.name}"]
        self._connect = spec.connect.sampler(stream) if spec.connect else None
        self._line: OrderedDict[int, Future[None]] = OrderedDict()
        client.surround(partial(self.__call__, client.send))  # as a pipeline composes its policies

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Run *proceed* on a connection."""
        client, start = self.client, self.client.env._now
        try:
            await self.acquire()
        except PoolTimeout:
            client.edge.note("pool.rejected", args[0].span)
            raise
        except CancelledError as error:
            client.not_sent(args[0], None, start, error)
            raise
        try:
            return await proceed(*args)
        finally:
            self.release()

    async def acquire(self) -> None:
        """Take a connection; raise PoolTimeout."""
        if self.in_use < self.size:
            self.in_use += 1
        else:
            await self._turn()
        if self._connect is not None and self.opened < self.in_use:
            self.opened += 1
            try:
                await self.client.loop.sleep(self._connect())
            except BaseException:
                self.opened -= 1
                self.release()
                raise

    def release(self) -> None:
        """Give a connection back: it goes to the one who has waited longest."""
        while self._line and self.in_use <= self.size:
            _, turn = self._line.popitem(last=False)
            if not turn.done():  # else who waited has left in this instant
                turn.set_result(None)
                return
        self.in_use -= 1

    def resize(self, size: int) -> None:
        """Have so many connections: who holds one keeps it, and those who wait get new ones at once."""
        self.size = size
        while self._line and self.in_use < self.size:
            _, turn = self._line.popitem(last=False)
            if not turn.done():
                self.in_use += 1
                turn.set_result(None)

    def close(self) -> None:
        """All idle connections are gone, as after one end was restarted: the next calls open new ones."""
        self.opened = min(self.opened, self.in_use)

    async def _turn(self) -> None:
        loop, began = self.client.loop, self.client.env._now
        turn: Future[None] = Future(loop=loop)
        self._line[id(turn)] = turn
        self.waits += 1
        timer = loop.call_at(began + self.max_wait, self._give_up, turn)
        try:
            await turn
        except BaseException:
            if self._line.pop(id(turn), None) is None and turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release()  # its turn came in the same instant
            raise
        finally:
            timer.cancel()
            self.ended_waits.add(began, self.client.env._now)

    def _give_up(self, turn: Future[None]) -> None:
        if self._line.pop(id(turn), None) is not None and not turn.done():
            self.timeouts += 1
            client = self.client
            client.recorder.event("pool.timeout", edge=client.edge.name, caller=client.source.name, waited=self.max_wait, size=self.size)
            turn.set_exception(PoolTimeout(self, f"no connection within {self.max_wait:g} s"))
