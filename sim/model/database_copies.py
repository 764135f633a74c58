"""What each server of a database has: the rows, and how far it is in the log of all writes.

    write ──▶ primary: position 7 ──after the lag──▶ replica: position 7
                  │                                     └─ a read in between misses it (stale)
                  └─ dies: what no replica has is lost

Positions count writes from 1 on, and none is used twice, whatever is lost. A replica applies them in order, each at the earliest *lag*
after it was written. They come over one TCP connection: where the network is cut, it tries again, later and later, and all that was
written meanwhile comes when it gets through.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from sim.model.network import FIRST_RTO, LAST_RTO, LOST
from sim.model.tables import Change, Tables
from sim.telemetry.integrals import Level

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.model.instance import Instance


class Entry(NamedTuple):
    """One write: its place in the log, the row it was about (None: not known), and the rows of service code that it left."""

    position: int
    key: str | None
    changes: list[Change]


class Copy:
    """The state of one server, *instance*. *lag* draws how long an entry takes to get here (seconds), while it is *connected* to the
    primary; *way* is asked how much longer it takes over the network as it is now, LOST where it does not get through."""

    def __init__(self, instance: Instance, loop: SimLoop, lag: Callable[[], float], way: Callable[[], float],
                 connected: Callable[[], bool]) -> None:
        self.instance, self._loop, self._lag, self._way, self._connected = instance, loop, lag, way, connected
        self.tables = Tables()
        self.applied = 0  # position
        self.backlog: deque[Entry] = deque()  # written, and not here yet
        self.behind = Level()  # how many those are
        self.halted = False
        self._due = 0.0  # when the last one is to be applied
        self._cut = False  # the network does not let them through; they are sent again when it is tried next
        self._waiting: list[tuple[int, int, Future[bool]]] = []  # a heap: the position, and who came first
        self._arrivals = count()
        self._generation = 0  # entries that were on their way before a failover are not those of today

    def receive(self, entry: Entry) -> None:
        """The primary has written it."""
        self.backlog.append(entry)
        self.behind.change(1, self._loop.time())
        if not self._cut:
            self._send(self._generation, FIRST_RTO)

    def _send(self, generation: int, timeout: float) -> None:
        """Put all that is not here on its way; if the network will not carry it, once more after *timeout*, and so on."""
        if generation != self._generation:
            return
        way = self._way()
        self._cut = way == LOST
        if self._cut:
            self._loop.post(timeout, self._send, generation, min(2 * timeout, LAST_RTO))
        elif self.backlog:
            now = self._loop.time()
            self._due = max(self._due, now + self._lag() + way)
            self._loop.post(self._due - now, self._arrived, generation, self.backlog[-1].position)

    def _arrived(self, generation: int, position: int) -> None:
        if generation == self._generation and not self.halted and self.instance.up and not self.instance.paused and self._connected():
            self.apply_up_to(position)

    def apply_up_to(self, position: int) -> None:
        """All that is written up to *position* is here now."""
        now = self._loop.time()
        while self.backlog and self.backlog[0].position <= position:
            entry = self.backlog.popleft()
            self.tables.apply(entry.changes)
            self.applied = entry.position
            self.behind.change(-1, now)
        self._tell_who_waits()

    def halt(self) -> None:
        """Apply nothing from now on."""
        self.halted = True

    def go_on(self) -> None:
        """Apply again, or again connected: after one more lag all that was written by now is here."""
        self.halted = False
        if self.backlog and self.instance.up and not self._cut:
            self._send(self._generation, FIRST_RTO)

    def catch_up(self) -> None:
        """The lag is another: what is on its way is here after one lag as it is now, unless it comes sooner."""
        if self.backlog and not self._cut:
            self._due = 0.0
            self._send(self._generation, FIRST_RTO)

    def reached(self, position: int) -> Future[bool]:
        """A future that is done when *position* is here, or is known to be lost."""
        come: Future[bool] = Future(loop=self._loop)
        self.tell(position, come)
        return come

    def tell(self, position: int, come: Future[bool]) -> None:
        """Set *come* to True when *position* is here, unless somebody else has set it."""
        if self.applied < position:
            heappush(self._waiting, (position, next(self._arrivals), come))
        elif not come.done():
            come.set_result(True)

    def _tell_who_waits(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.applied:
            _, _, come = heappop(self._waiting)
            if not come.done():
                come.set_result(True)

    def forget_after(self, position: int) -> list[Entry]:
        """What was written after *position* is lost everywhere; return those entries that were not here yet."""
        lost: list[Entry] = []
        while self.backlog and self.backlog[-1].position > position:
            lost.append(self.backlog.pop())
        self.behind.change(-len(lost), self._loop.time())
        return lost

    def lead(self, position: int) -> None:
        """It is the primary's from here on, with nothing left to come; the log has got as far as *position*."""
        self._begin_anew()
        self.applied = position
        self._tell_who_waits()

    def follow(self, leader: Copy, position: int) -> None:
        """*leader* is the primary's from here on, and all that was written after *position* is lost: also what is here of it."""
        self.forget_after(position)
        if self.applied > position:
            self.restart_from(leader)
        elif self._cut:  # from who was the primary: the way to the new one is another
            self._begin_anew()
            self._send(self._generation, FIRST_RTO)

    def restart_from(self, other: Copy) -> None:
        """Become a copy of *other* as it is now."""
        self._begin_anew()
        self.behind.change(-len(self.backlog), self._loop.time())
        self.backlog.clear()
        self.tables, self.applied = other.tables.copy(), other.applied
        self._tell_who_waits()

    def _begin_anew(self) -> None:
        self._generation += 1
        self._cut = False
