"""Processor sharing: everybody who works gets an equal part of the cores, and never more than one core.

In virtual time each job needs just its work; virtual time runs at `min(1, cores/jobs)`. So the next to finish is the one with
the smallest virtual end, and one timer is enough (Parekh and Gallager's view of generalised processor sharing).
"""

from __future__ import annotations

import heapq
from asyncio import Future
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.kernel import SimLoop, Timer


class Job(Future[None]):
    """Work to be done; who cancels it gives its part of the *cpu* to the others at once."""

    def __init__(self, cpu: Cpu, loop: SimLoop) -> None:
        super().__init__(loop=loop)
        self._cpu = cpu

    def cancel(self, msg: Any = None) -> bool:
        cancelled = super().cancel(msg)
        if cancelled:
            self._cpu.leave(self)
        return cancelled


class Cpu:
    """*cores* shared by all jobs; *speed* below 1 makes all of them slower (CPU taken away by others)."""

    def __init__(self, loop: SimLoop, cores: float, speed: float = 1.0) -> None:
        self._loop, self._env = loop, loop.env
        self.cores = cores
        self.speed = speed
        self._standing = False
        self._virtual = 0.0
        self._used = 0.0  # core seconds
        self._since = loop.time()
        self._rate = 0.0  # virtual seconds a second
        self._at_work = 0.0  # cores
        self._jobs: list[tuple[float, int, Job]] = []
        self._number = count()
        self._timer: Timer | None = None

    def work(self, seconds: float) -> Future[None]:
        """A future that is done when *seconds* of CPU time have been spent on it."""
        self._advance()
        job = Job(self, self._loop)
        heapq.heappush(self._jobs, (self._virtual + seconds, next(self._number), job))
        self._arm()
        return job

    def leave(self, gone: Job) -> None:
        """Nobody wants the result of *gone* any more; the others get its part from here on."""
        self._advance()
        self._jobs = [job for job in self._jobs if job[2] is not gone]
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
        self._jobs = [(self._virtual + (end - self._virtual) * factor, number, job) for end, number, job in self._jobs]
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

    def pace(self, jobs: int) -> float:
        """Seconds of work a second for each of so many *jobs* (at least one)."""
        return self.speed if jobs <= self.cores else self.speed * (self.cores / jobs)

    def _advance(self) -> None:
        now = self._env._now
        passed = now - self._since
        self._virtual += passed * self._rate
        self._used += passed * self._at_work
        self._since = now

    def _arm(self) -> None:
        """The jobs, or what becomes of them, have changed."""
        jobs = len(self._jobs)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not jobs or self._standing:
            self._rate = self._at_work = 0.0
            return
        self._at_work = min(self.cores, float(jobs))
        self._rate = rate = self.pace(jobs)
        if rate > 0:
            self._timer = self._loop.after(max(0.0, (self._jobs[0][0] - self._virtual) / rate), self._finish)

    def _finish(self) -> None:
        self._timer = None
        self._advance()
        end, _, job = heapq.heappop(self._jobs)
        self._virtual = max(self._virtual, end)  # what rounding left over
        if not job.done():
            job.set_result(None)
        self._arm()
