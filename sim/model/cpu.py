"""Processor sharing: everybody who works gets an equal part of the cores, and never more than one core.

In virtual time each job needs just its work; virtual time runs at `min(1, cores/jobs)`. So the next to finish is the one with
the smallest virtual end, and one timer is enough (Parekh and Gallager's view of generalised processor sharing).
"""

from __future__ import annotations

import heapq
from asyncio import Future
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.kernel import SimLoop, Timer


class Cpu:
    """*cores* shared by all jobs; *speed* below 1 makes all of them slower (CPU taken away by others)."""

    def __init__(self, loop: SimLoop, cores: float, speed: float = 1.0) -> None:
        self._loop = loop
        self.cores = cores
        self.speed = speed
        self._standing = False
        self._virtual = 0.0
        self._used = 0.0  # core seconds
        self._since = loop.time()
        self._jobs: list[tuple[float, int, Future[None]]] = []
        self._number = count()
        self._timer: Timer | None = None

    def work(self, seconds: float) -> Future[None]:
        """A future that is done when *seconds* of CPU time have been spent on it."""
        self._advance()
        done: Future[None] = Future(loop=self._loop)
        done.add_done_callback(self._cancelled)
        heapq.heappush(self._jobs, (self._virtual + seconds, next(self._number), done))
        self._arm()
        return done

    def _cancelled(self, done: Future[None]) -> None:
        if done.cancelled():  # the others get its part from here on
            self._advance()
            self._jobs = [job for job in self._jobs if job[2] is not done]
            heapq.heapify(self._jobs)
            self._arm()

    def set_speed(self, speed: float) -> None:
        """From now on each core does *speed* seconds of work a second; 0 stands still."""
        self._advance()
        self.speed = speed
        self._arm()

    def stretch(self, factor: float) -> None:
        """What is left of every job is *factor* times as much work."""
        self._advance()
        self._jobs = [(self._virtual + (end - self._virtual) * factor, number, done) for end, number, done in self._jobs]
        self._arm()

    def stop(self) -> None:
        """Stand still."""
        self._advance()
        self._standing = True
        self._arm()

    def go_on(self) -> None:
        """Go on, at the speed that is set."""
        self._advance()
        self._standing = False
        self._arm()

    def used(self, now: float) -> float:
        """Cores at work times seconds, from the start to *now*."""
        return self._used + (now - self._since) * self._at_work

    @property
    def _at_work(self) -> float:
        return 0.0 if self._standing else min(self.cores, float(len(self._jobs)))

    @property
    def _rate(self) -> float:
        if self._standing:
            return 0.0
        return self.speed * min(1.0, self.cores / len(self._jobs)) if self._jobs else 0.0

    def _advance(self) -> None:
        now = self._loop.time()
        self._virtual += (now - self._since) * self._rate
        self._used += (now - self._since) * self._at_work
        self._since = now

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._jobs and self._rate > 0:
            self._timer = self._loop.after(max(0.0, (self._jobs[0][0] - self._virtual) / self._rate), self._finish)

    def _finish(self) -> None:
        self._timer = None
        self._advance()
        end, _, done = heapq.heappop(self._jobs)
        self._virtual = max(self._virtual, end)  # what rounding left over
        if not done.done():
            done.set_result(None)
        self._arm()
