"""Timeout: one attempt may take so long and no longer.

    running ──answer or error in time──▶ passed on
      ├──limit over──▶ the call is cancelled, and once it has ended: AttemptTimeout (the work may have happened)
      └──the caller cancels──▶ the caller's cancellation passes unchanged, also where the limit is over in the same instant
"""

from __future__ import annotations

from asyncio import CancelledError, Task, current_task, get_running_loop
from math import inf
from typing import Any, ClassVar

from sim.units import PositiveDuration

from .errors import AttemptTimeout
from .events import AttemptTimedOut, Listener
from .policy import Policy, PolicyParts, PolicySpec, Proceed, Worst

NO_TASK = "there is no task to cancel when time is over: await this in one, for example by asyncio.create_task"


class TimeoutSpec(PolicySpec):
    """One attempt may take *duration*; a total over all attempts is a `deadline`."""

    shorthand: ClassVar[str] = "duration"
    duration: PositiveDuration

    def build(self, parts: PolicyParts) -> Timeout:
        return Timeout(self.duration)


def give_up(task: Task[Any], fired: list[bool]) -> None:
    """The timer has fired: cancel what the task is waiting for."""
    fired.append(True)
    task.cancel()


class Timeout(Policy):
    """Give a call *duration* seconds, then cancel it and raise AttemptTimeout; infinite or not positive: no limit.

    A call that ends exactly at the limit may go either way: asyncio does not order timers of the same instant, and a SimLoop runs
    first what was scheduled first, which is the timeout.
    """

    word = "timeout"

    def __init__(self, duration: float, *, name: str | None = None, on_event: Listener | None = None) -> None:
        self.duration = duration
        self._name = name
        self.on_event = on_event

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed*; raise AttemptTimeout once it has been cancelled because the time was over."""
        limit = self.duration
        if not 0 < limit < inf:
            return await proceed(*args)
        loop = get_running_loop()
        started = loop.time()
        task = current_task(loop)
        if task is None:
            raise RuntimeError(NO_TASK)
        fired: list[bool] = []  # an own timer and this list, not asyncio.timeout, which costs three times as much; the rule is the same
        cancelled_before = task.cancelling()
        timer = loop.call_at(started + limit, give_up, task, fired)
        try:
            return await proceed(*args)
        except CancelledError as cancelled:
            if fired and fired.pop() and task.uncancel() <= cancelled_before:
                raise self._too_long(limit, started, loop.time()) from cancelled
            raise
        finally:
            timer.cancel()
            if fired:  # it ended otherwise, in the instant in which the timer fired
                task.uncancel()

    def _too_long(self, limit: float, started: float, now: float) -> AttemptTimeout:
        if self.on_event is not None:
            self.emit(AttemptTimedOut(at=now, policy=self.name, limit=limit, elapsed=now - started))
        return AttemptTimeout(f"{self.name}: no answer within {limit:g} s")

    def worst(self, inner: Worst) -> Worst:
        return inner.within(self.duration if self.duration > 0 else inf)
