"""What each server of a database has: the rows, and how far it is in the log of all writes.

    write ──▶ primary: position 7 ──after the lag──▶ replica: position 7
                  │                                     └─ a read in between misses it (stale)
                  └─ dies: what no replica has is lost

Positions count writes from 1 on. A replica applies them in order, each at the earliest *lag* after it was written.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

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
    """The state of one server, *instance*. *lag* draws how long an entry takes to get here (seconds), while it is *connected*
    to the primary."""

    def __init__(self, instance: Instance, loop: SimLoop, lag: Callable[[], float], connected: Callable[[], bool]) -> None:
        self.instance, self._loop, self._lag, self._connected = instance, loop, lag, connected
        self.tables = Tables()
        self.applied = 0  # position
        self.backlog: deque[Entry] = deque()  # written, and not here yet
        self.behind = Level(loop.time())  # how many those are
        self.halted = False
        self._due = 0.0  # when the last one is to be applied
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        self._generation = 0  # entries that were on their way before a failover are not those of today

    def receive(self, entry: Entry) -> None:
        """The primary has written it."""
        now = self._loop.time()
        self.backlog.append(entry)
        self.behind.change(1, now)
        self._due = max(self._due, now + self._lag())
        self._loop.post(self._due - now, self._arrived, self._generation, entry.position)

    def _arrived(self, generation: int, position: int) -> None:
        if generation == self._generation and not self.halted and self.instance.up and self._connected():
            self.apply_up_to(position)

    def apply_up_to(self, position: int) -> None:
        """All that is written up to *position* is here now."""
        now = self._loop.time()
        while self.backlog and self.backlog[0].position <= position:
            entry = self.backlog.popleft()
            self.tables.apply(entry.changes)
            self.applied = entry.position
            self.behind.change(-1, now)
        while self._waiting and self._waiting[0][0] <= self.applied:
            _, come = self._waiting.popleft()
            if not come.done():
                come.set_result(None)

    def halt(self) -> None:
        """Apply nothing from now on."""
        self.halted = True

    def go_on(self) -> None:
        """Apply again, or again connected: after one more lag all that was written by now is here."""
        self.halted = False
        if self.backlog and self.instance.up:
            self._loop.post(self._lag(), self._arrived, self._generation, self.backlog[-1].position)

    def reached(self, position: int) -> Future[None]:
        """A future that is done when *position* is here."""
        come: Future[None] = Future(loop=self._loop)
        self.tell(position, come)
        return come

    def tell(self, position: int, come: Future[None]) -> None:
        """Set *come* when *position* is here, unless somebody else has done so."""
        if self.applied < position:
            self._waiting.append((position, come))
        elif not come.done():
            come.set_result(None)

    def forget_after(self, position: int) -> int:
        """What was written after *position* is lost everywhere; return how many entries that were."""
        lost = 0
        while self.backlog and self.backlog[-1].position > position:
            self.backlog.pop()
            lost += 1
        self.behind.change(-lost, self._loop.time())
        return lost

    def restart_from(self, other: Copy) -> None:
        """Become a copy of *other* as it is now."""
        self._generation += 1
        self.behind.change(-len(self.backlog), self._loop.time())
        self.backlog.clear()
        self.tables, self.applied = other.tables.copy(), other.applied
