"""When what runs: the clock, the queue, and everything that is put into it.

Four things can stand in SimPy's queue: a `Timer` (asyncio's `call_at`), an `asyncio.Future` (`sleep`: it is given its
result when its time comes), a tuple of a callback and its arguments (`post`: cannot be cancelled), and SimPy's own events.
What is due at the current time and was asked for at the current time is kept in a plain deque instead, since a heap is not
needed to keep order there.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import Future
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heapify, heappush
from typing import Any

from sim.kernel.environment import NORMAL, Environment
from sim.kernel.problems import NotSimulated
from sim.kernel.timers import Timer, go_off, is_dead

AT_ONCE = 10_000  # timers for now, at one instant
NANOSECOND = 1e-9

class Schedule(asyncio.BaseEventLoop):
    """The part of the loop that knows the time; it starts at *start* seconds."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self._thread_id: int | None = None
        self._due: deque[Any] = deque()
        self.env = Environment(self._due, start)
        self._queue: list[Any] = self.env._queue
        self._number = self.env._eid.__next__
        self.dead = 0  # cancelled timers that still stand in the queue
        self._instant, self._at_once = start, 0

    def time(self) -> float:
        """Simulated seconds."""
        return self.env._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        timer = Timer(callback, args, context if context is not None else copy_context(), self.env._now, self)
        self._due.append(timer)
        return timer

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        if self._thread_id not in (None, threading.get_ident()):
            raise NotSimulated("a callback from another thread", "threads live in real time; use tasks")
        return self.call_soon(callback, *args, context=context)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_at(self.env._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        timer = Timer(callback, args, context if context is not None else copy_context(), when, self)
        if when > self.env._now:
            heappush(self._queue, (when, NORMAL, self._number(), timer))
        else:
            self._schedule(self._not_for_ever(when), timer)
        return timer

    def _not_for_ever(self, when: float) -> float:
        """Now, for a time that is over; a nanosecond later for whoever has asked for that all too often.

        A library that waits until "enough time has passed" may be short of it by a rounding error, and ask for now, again and again. On
        a real machine the clock goes on by itself.
        """
        now = self.env._now
        if now != self._instant:
            self._instant, self._at_once = now, 0
        self._at_once += 1
        return now + NANOSECOND if self._at_once > AT_ONCE and when <= now else when

    def after(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        """As `call_later`, for the simulation's own callbacks: no context variables are kept for it."""
        now = self.env._now
        when = now + delay
        timer = Timer(callback, args, None, when, self)
        if when > now:
            heappush(self._queue, (when, NORMAL, self._number(), timer))
        else:
            self._schedule(when, timer)
        return timer

    def post(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """As `after`, for what is never cancelled: a message that is on its way. The cheapest thing that can be scheduled."""
        now = self.env._now
        if now + delay > now:  # in line what `_schedule` does, for the path that every message takes
            heappush(self._queue, (now + delay, NORMAL, self._number(), (callback, args)))
        else:
            self._schedule(now + delay, (callback, args))

    def sleep(self, delay: float) -> Future[None]:
        """A future that is done after *delay* seconds; what `asyncio.sleep` does, with less in between."""
        future: Future[None] = Future(loop=self)
        now = self.env._now
        if now + delay > now:
            heappush(self._queue, (now + delay, NORMAL, self._number(), future))
        else:
            self._schedule(now + delay, future)
        return future

    def alarm(self, delay: float) -> Future[None]:
        """As `sleep`, but by the clock on the wall: `freeze` leaves it alone, and only `hold` can keep it back."""
        future: Future[None] = Future(loop=self)
        self.post(delay, go_off, future)
        return future

    async def settle(self) -> None:
        """Return once all else that is due at this instant has run, and what that asked for; after AT_ONCE turns at the latest."""
        for _ in range(AT_ONCE):
            if not self._due and not (self._queue and self._queue[0][0] <= self.env._now):
                return
            await asyncio.sleep(0)

    def _schedule(self, when: float, event: Any) -> None:
        now = self.env._now
        if when > now:
            heappush(self._queue, (when, NORMAL, self._number(), event))
        elif when != when:
            raise ValueError("a time that is not a number (NaN) never comes: check how the delay was computed")
        else:
            self._due.append(event)

    def freeze(self, wanted: Callable[[Future[Any]], bool]) -> list[tuple[float, Future[Any]]]:
        """Take the sleeps that *wanted* chooses out of the queue; with each, the seconds that were left. For `thaw`."""
        entries = sorted(self._queue, key=lambda entry: entry[:3])
        frozen = [(when - self.env._now, event) for when, _, _, event in entries if type(event) is Future and wanted(event)]
        out = {id(future) for _, future in frozen}
        self._queue[:] = [entry for entry in self._queue if id(entry[3]) not in out]
        heapify(self._queue)
        return frozen

    def thaw(self, frozen: list[tuple[float, Future[Any]]]) -> None:
        """Let frozen sleeps go on from where they stood."""
        for left, future in frozen:
            self._schedule(self.env._now + left, future)

    def hold(self, wanted: Callable[[Any], bool]) -> list[tuple[float, Any]]:
        """Take everything that *wanted* chooses (timers, sleeps, posts) out of what is due and out of the queue.

        With each comes its time, in the order in which they would have run. For `release`.
        """
        now = self.env._now
        entries = sorted(self._queue, key=lambda entry: entry[:3])
        overdue = [(entry[0], entry[3]) for entry in entries if entry[0] <= now]  # asked for before what is due was
        due = [(now, event) for event in self._due]
        later = [(entry[0], entry[3]) for entry in entries if entry[0] > now]
        held = [(when, event) for when, event in (*overdue, *due, *later) if wanted(event)]
        out = {id(event) for _, event in held}
        kept = [event for event in self._due if id(event) not in out]
        self._due.clear()
        self._due.extend(kept)
        self._queue[:] = [entry for entry in self._queue if id(entry[3]) not in out]
        heapify(self._queue)
        return held

    def posted(self) -> list[tuple[float, tuple[Callable[..., object], tuple[Any, ...]]]]:
        """What is on its way by `post`, in no order: with each callback and its arguments the time at which it is due."""
        entries = [*((self.env._now, event) for event in self._due), *((entry[0], entry[3]) for entry in self._queue)]
        return [(when, event) for when, event in entries if type(event) is tuple]

    def release(self, held: list[tuple[float, Any]]) -> None:
        """Put back what was held: at its time, or now if that has passed, in the old order."""
        for when, event in held:
            if not is_dead(event):
                self._schedule(when, event)

    def forget_dead(self) -> None:
        """Rebuild the queue without what has been cancelled; a timer calls this when that is more than half of it."""
        self._queue[:] = [entry for entry in self._queue
                          if (entry[3].callback is not None if type(entry[3]) is Timer else not is_dead(entry[3]))]
        heapify(self._queue)
        self.dead = 0
