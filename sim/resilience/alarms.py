"""Alarms: cancel a task when its time is over, for many calls on one timer of the loop.

    set ──▶ waiting, in the order in which they ring ──off──▶ forgotten
                      └──its time──▶ rings: the task is cancelled

The calls through one policy have the same length of time, so the one that began first is the first whose time is over. One timer for
the first of them is then enough: a call that ends in time, as nearly all do, costs no timer of its own and leaves none behind.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Task, TimerHandle, current_task
from collections import deque
from math import inf
from typing import Any


class Alarm:
    """For one call. Whoever sets it turns it off exactly once, whichever way the call ends."""

    __slots__ = ("cancelled_before", "rung", "task", "timer", "when")

    task: Task[Any] | None  # None: off
    when: float
    rung: bool
    cancelled_before: int
    timer: TimerHandle | None

    def ring(self, why: str | None) -> None:
        """Its time is over: cancel what the task is waiting for, with *why* as the message."""
        if self.task is not None:
            self.rung = True
            self.task.cancel(why)


class Alarms:
    """Of one policy on one *loop*. As with `asyncio.timeout`, a cancellation is ours only if nobody else has cancelled as well.

    *why* is the message of the cancellation, so that who is cancelled can tell a limit of its caller from a caller who has left.
    """

    def __init__(self, loop: AbstractEventLoop, why: str | None = None) -> None:
        self.loop = loop
        self.why = why
        self._waiting: deque[Alarm] = deque()
        self._last = -inf  # the latest time in it
        self._armed_for = -inf  # the time for which the timer is set, if it is
        self._is_armed = False

    def set(self, when: float) -> Alarm:
        """Cancel the current task at *when* (seconds, `loop.time()`), unless it is turned off before."""
        task = current_task(self.loop)
        if task is None:
            raise RuntimeError("there is no task to cancel when time is over: await this in one, for example by asyncio.create_task")
        alarm = Alarm()
        alarm.task, alarm.when, alarm.rung, alarm.cancelled_before = task, when, False, task.cancelling()
        if when < self._last:  # an earlier deadline came from outside
            alarm.timer = self.loop.call_at(when, alarm.ring, self.why)
            return alarm
        alarm.timer = None
        self._last = when
        self._waiting.append(alarm)
        if not self._is_armed:
            self._arm()
        return alarm

    def off(self, alarm: Alarm) -> bool:
        """Turn it off. True if it has rung and nobody else has cancelled the task, so that a cancellation that arrives is its own."""
        task, alarm.task = alarm.task, None
        waiting = self._waiting
        while waiting and waiting[0].task is None:
            waiting.popleft()
        if alarm.timer is not None:
            alarm.timer.cancel()
        return alarm.rung and task is not None and task.uncancel() <= alarm.cancelled_before

    def _arm(self) -> None:
        self._armed_for, self._is_armed = self._waiting[0].when, True
        self.loop.call_at(self._armed_for, self._ring)

    def _ring(self) -> None:
        """Ring all whose time is over, and set the timer for the next; it stays unset while nobody waits."""
        now, waiting = max(self.loop.time(), self._armed_for), self._waiting
        while waiting and waiting[0].when <= now:
            waiting.popleft().ring(self.why)
        self._is_armed = False
        if waiting:
            self._arm()
