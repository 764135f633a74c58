"""Deadline: a moment by which the whole call must be over, retries and waiting included, here and further down.

    a call ──▶ deadline = the earlier of now + duration and the caller's own ──▶ everything inside sees it (a context variable)
      ├──already over──▶ DeadlineExceeded(sent=False): refused
      └──over while running──▶ the call is cancelled: DeadlineExceeded(sent=True), the work may have happened

Between machines the *remaining time* travels and not the moment, since clocks differ; what the way takes is lost from it
by itself. That is gRPC's rule (`grpc-timeout`).
"""

from __future__ import annotations

import re
from asyncio import CancelledError, get_running_loop
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from math import ceil, inf
from typing import Any, ClassVar

from sim.units import PositiveDuration

from .alarms import Alarms
from .errors import DeadlineExceeded
from .events import DeadlinePassed, Listener
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed, Worst

_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


class DeadlineSpec(PolicySpec):
    """All of the call, with its retries and its waiting, may take *duration*; what is left is handed on downstream."""

    shorthand: ClassVar[str] = "duration"
    duration: PositiveDuration

    def build(self, parts: PolicyParts) -> Deadline:
        return Deadline(self.duration)


def current_deadline() -> float:
    """The moment by which the work of this task must be over (seconds, `loop.time()`); infinite if there is none."""
    return _deadline.get()


def remaining(now: float) -> float:
    """Seconds left until the current deadline, 0 if it is over, infinite if there is none."""
    return max(0.0, _deadline.get() - now)


@contextmanager
def deadline_at(moment: float) -> Iterator[float]:
    """Inside the block the deadline is *moment*, or the one in force if that is earlier; it interrupts nothing by itself."""
    earlier = min(_deadline.get(), moment)
    token = _deadline.set(earlier)
    try:
        yield earlier
    finally:
        _deadline.reset(token)


def set_deadline(context: Context, moment: float) -> None:
    """In *context* the deadline is *moment*: for a task that is to run there, such as a server's for one request."""
    context.run(_deadline.set, moment)


def without_deadline() -> Context:
    """A copy of the current context in which there is no deadline, for work that outlives the call that started it."""
    context = copy_context()
    context.run(_deadline.set, inf)
    return context


@contextmanager
def no_deadline() -> Iterator[None]:
    """Inside the block there is no deadline: for what has to be brought to an end whoever still waits, such as undoing."""
    token = _deadline.set(inf)
    try:
        yield
    finally:
        _deadline.reset(token)


class Deadline(Policy):
    """Everything inside must be over *duration* seconds from the start of the call, or at the caller's own deadline."""

    word = "deadline"

    def __init__(self, duration: float, *, name: str | None = None, on_event: Listener | None = None) -> None:
        self.duration = duration
        self._alarms: Alarms | None = None
        self._name = name
        self.on_event = on_event

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed*; raise DeadlineExceeded at once if no time is left, or once it was cancelled because time was over."""
        loop = get_running_loop()
        now = loop.time()
        moment = now + self.duration
        outer = _deadline.get()
        if outer < moment:
            moment = outer
        if moment == inf:
            return await proceed(*args)
        if moment <= now + SAME:
            raise self._exceeded(moment, now, sent=False)
        alarms = self._alarms
        if alarms is None or alarms.loop is not loop:
            alarms = self._alarms = Alarms(loop, self.word)
        alarm = alarms.set(moment)
        token = _deadline.set(moment)
        try:
            result = await proceed(*args)
        except CancelledError as cancelled:
            if alarms.off(alarm):
                raise self._exceeded(moment, loop.time(), sent=True) from cancelled
            raise
        except BaseException:
            alarms.off(alarm)
            raise
        finally:
            _deadline.reset(token)
        alarms.off(alarm)
        return result

    def _exceeded(self, moment: float, now: float, sent: bool) -> DeadlineExceeded:
        if self.on_event is not None:
            self.emit(DeadlinePassed(at=now, policy=self.name, deadline=moment, sent=sent))
        return DeadlineExceeded(f"{self.name}: {'time is over' if sent else 'no time was left to begin'}", sent=sent, by=self)

    def worst(self, inner: Worst) -> Worst:
        return inner.within(self.duration)


_GRPC_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "S": 1.0, "M": 60.0, "H": 3600.0}  # seconds
_GRPC_DIGITS = 10**8  # at most eight


def to_grpc_timeout(seconds: float) -> str:
    """*seconds* that remain as the header `grpc-timeout`, for example "1500m", rounded up in the finest unit that has room for it."""
    for unit, size in _GRPC_UNITS.items():
        amount = ceil(max(0.0, seconds) / size - SAME)
        if amount < _GRPC_DIGITS:
            return f"{amount}{unit}"
    return f"{_GRPC_DIGITS - 1}H"


def from_grpc_timeout(text: str) -> float:
    """Seconds that remain by the header `grpc-timeout`; raise ValueError if it is none."""
    if not re.fullmatch(r"\d{1,8}[numSMH]", text):
        raise ValueError(f"{text!r} is no grpc-timeout: up to eight digits and a unit of {' '.join(_GRPC_UNITS)}")
    return int(text[:-1]) * _GRPC_UNITS[text[-1]]
