"""What a policy raises when it ends a call itself.

    Exception
    ├── Rejected                 our own refusal: nothing was sent, so the work surely did not happen
    │   ├── CircuitOpen          the breaker is open, or half-open with all its probes out
    │   ├── BulkheadFull         no slot, and no place in line or no more patience
    │   ├── RateLimited          no token, and none in time
    │   ├── LoadShed             turned away to protect what is behind
    │   └── BudgetExhausted      no retry left to spend; only seen where there is no real error to raise instead
    └── TimeoutError
        ├── AttemptTimeout       one attempt took too long: the work may have happened
        └── DeadlineExceeded     all of it took too long; `sent` says whether anything had been sent

A refusal is recognised by the policy that refused (`error.by is policy`), never by its class alone: a nested client may
raise the same class, and that is then the call's own error. Each refusal is a new object, so that tracebacks do not grow.
"""

from __future__ import annotations


class Rejected(Exception):
    """Our own refusal: nothing was sent. *by* is the policy that refused; *retry_after* is in seconds, if it is known."""

    def __init__(self, by: object, reason: str, retry_after: float | None = None) -> None:
        super().__init__(by, reason, retry_after)
        self.by = by
        self.policy = str(getattr(by, "name", type(by).__name__))
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.policy}: {self.reason}"


class CircuitOpen(Rejected):
    """The circuit breaker lets nobody through now."""


class BulkheadFull(Rejected):
    """No slot, and no place in line or no more patience."""


class RateLimited(Rejected):
    """No token now, and none in time."""


class LoadShed(Rejected):
    """Turned away to protect what is behind."""


class BudgetExhausted(Rejected):
    """The retry budget is spent."""


class AttemptTimeout(TimeoutError):
    """One attempt took too long; the work may have happened."""


class DeadlineExceeded(TimeoutError):
    """The whole call took too long. *sent* is False where *by* refused it before anything was sent: the work surely did not happen."""

    def __init__(self, message: str = "deadline exceeded", *, sent: bool = True, by: object = None) -> None:
        super().__init__(message)
        self.sent = sent
        self.by = by
