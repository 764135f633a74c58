"""Timeout: one attempt may take so long and no longer.

    running ──answer or error in time──▶ passed on
      ├──limit over──▶ the call is cancelled, and once it has ended: AttemptTimeout (the work may have happened)
      └──the caller cancels──▶ the caller's cancellation passes unchanged, also where the limit is over in the same instant
"""

from __future__ import annotations

from asyncio import CancelledError, get_running_loop
from functools import partial
from math import inf
from typing import Any, ClassVar

from sim.units import PositiveDuration

from .alarms import Alarms
from .deadline import deadline_at
from .errors import AttemptTimeout
from .events import AttemptTimedOut, Listener
from .policy import Policy, PolicyParts, PolicySpec, Proceed, Worst


class TimeoutSpec(PolicySpec):
    """One attempt may take *duration*; a total over all attempts is a `deadline`. With *hand_on* the callee is told how long it has."""

    shorthand: ClassVar[str] = "duration"
    duration: PositiveDuration
    hand_on: bool = False

    def build(self, parts: PolicyParts) -> Timeout:
        return Timeout(self.duration, hand_on=self.hand_on)


class Timeout(Policy):
    """Give a call *duration* seconds, then cancel it and raise AttemptTimeout; infinite or not positive: no limit.

    A call that ends exactly at the limit may go either way, on a real loop as on a simulated one. With *hand_on* the limit is also the
    deadline of what is inside, as a proxy's header x-envoy-expected-rq-timeout-ms is for the callee of one attempt.
    """

    word = "timeout"

    def __init__(self, duration: float, *, hand_on: bool = False, name: str | None = None, on_event: Listener | None = None) -> None:
        self.duration = duration
        self._hands_on = hand_on
        self._alarms: Alarms | None = None
        self._name = name
        self.on_event = on_event

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed*; raise AttemptTimeout once it has been cancelled because the time was over."""
        limit = self.duration
        if not 0 < limit < inf:
            return await proceed(*args)
        loop = get_running_loop()
        alarms = self._alarms
        if alarms is None or alarms.loop is not loop:
            alarms = self._alarms = Alarms(loop, self.word)
        started = loop.time()
        if self._hands_on:
            proceed = partial(_by, started + limit, proceed)
        alarm = alarms.set(started + limit)
        try:
            result = await proceed(*args)
        except CancelledError as cancelled:
            if alarms.off(alarm):
                raise self._too_long(limit, started, loop.time()) from cancelled
            raise
        except BaseException:
            alarms.off(alarm)
            raise
        alarms.off(alarm)
        return result

    def _too_long(self, limit: float, started: float, now: float) -> AttemptTimeout:
        if self.on_event is not None:
            self.emit(AttemptTimedOut(at=now, policy=self.name, limit=limit, elapsed=now - started))
        return AttemptTimeout(f"{self.name}: no answer within {limit:g} s")

    def worst(self, inner: Worst) -> Worst:
        return inner.within(self.duration if self.duration > 0 else inf)


async def _by(moment: float, proceed: Proceed, *args: Any) -> Any:
    with deadline_at(moment):
        return await proceed(*args)
