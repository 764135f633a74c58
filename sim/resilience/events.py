"""What policies tell a listener: frozen records of the things that do not happen on every call.

A call that simply succeeds makes no event, and where nobody listens none is created at all. Counts in reports are counts
of these: a breaker's openings are its `state_transition`s to OPEN, refusals of every policy are `rejected`, and so on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that *policy* did at *at* (seconds on the clock of its loop)."""

    at: float
    policy: str
    kind: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a line of JSON."""
        return asdict(self)


Listener = Callable[[Event], None]


def tell(listener: Listener, event: Event) -> None:
    """Hand *event* over. An error of the listener is logged and never changes what happens to a call."""
    try:
        listener(event)
    except Exception:
        logging.getLogger(__name__).exception("the listener of %s failed on %r", event.policy, event)


def describe(error: BaseException) -> str:
    """The error in one line; an event holds no exception, since that would keep its frames alive."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass(frozen=True, kw_only=True)
class CallRejected(Event):
    """A policy refused a call before anything was sent; *retry_after* in seconds where it is known."""

    kind: str = "rejected"
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class StateTransition(Event):
    """A circuit breaker went from *source* to *target* (names of its states); *until* is when an OPEN one lets probes out."""

    kind: str = "state_transition"
    source: str
    target: str
    reason: str
    until: float | None = None


@dataclass(frozen=True, kw_only=True)
class FailureRateExceeded(Event):
    """The share of failed calls, *rate* (0..1), has reached the breaker's threshold."""

    kind: str = "failure_rate_exceeded"
    rate: float


@dataclass(frozen=True, kw_only=True)
class SlowCallRateExceeded(Event):
    """The share of slow calls, *rate* (0..1), has reached the breaker's threshold."""

    kind: str = "slow_call_rate_exceeded"
    rate: float


@dataclass(frozen=True, kw_only=True)
class Reset(Event):
    """A policy forgot what it had learned, because somebody asked."""

    kind: str = "reset"


@dataclass(frozen=True, kw_only=True)
class RetryScheduled(Event):
    """Attempt number *attempt* failed with *error*; the next one starts after *delay* seconds."""

    kind: str = "retry"
    attempt: int
    delay: float
    error: str


@dataclass(frozen=True, kw_only=True)
class RetrySucceeded(Event):
    """A call succeeded at last, on attempt number *attempts* (2 or more)."""

    kind: str = "retry_succeeded"
    attempts: int


@dataclass(frozen=True, kw_only=True)
class RetryGaveUp(Event):
    """No further attempt after *attempts* of them; *reason* is that of `Stop`, for example "budget" or "deadline"."""

    kind: str = "retry_gave_up"
    attempts: int
    reason: str
    error: str


@dataclass(frozen=True, kw_only=True)
class AttemptTimedOut(Event):
    """One attempt was given up after *elapsed* seconds; *limit* had been allowed."""

    kind: str = "timeout"
    limit: float
    elapsed: float


@dataclass(frozen=True, kw_only=True)
class DeadlinePassed(Event):
    """The whole call was given up; *sent* is False where it was refused before anything was sent."""

    kind: str = "deadline_exceeded"
    deadline: float
    sent: bool


@dataclass(frozen=True, kw_only=True)
class FallbackUsed(Event):
    """A substitute was answered in place of *error*; a *degraded* one is counted apart from good answers."""

    kind: str = "fallback"
    error: str
    degraded: bool


@dataclass(frozen=True, kw_only=True)
class FallbackFailed(Event):
    """The substitute for *error* could not be made either, because of *failure*."""

    kind: str = "fallback_failed"
    error: str
    failure: str


@dataclass(frozen=True, kw_only=True)
class StaleServed(Event):
    """An answer that was *age* seconds old was served; *error* is what a fresh one failed with, None while one is fetched."""

    kind: str = "stale_served"
    age: float
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefreshFailed(Event):
    """A refresh in the background failed; the old answer stays until it is too old."""

    kind: str = "refresh_failed"
    error: str
