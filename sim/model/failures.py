"""What a server answers when a call that it depends on has failed: the gateway's table of errors and statuses.

    refused by a rate limiter       429, with Retry-After       a timeout or deadline          504
    refused by an open circuit      503, with Retry-After       the callee answered 5xx        502
    refused by a bulkhead, shed     503                         refused or broken connection   502
    no healthy instance             503                         the callee answered 4xx        the same
    no connection in the pool       503                         no certificate, or expired     502
    a lock that did not come, a deadlock, a database that is read-only                         503
"""

from __future__ import annotations

from sim.errors import CallError, CertificateRefused, ConnectionReset, NoHealthyInstances
from sim.model.messages import Answer, Response
from sim.model.pool import PoolTimeout
from sim.resilience.errors import (
    AttemptTimeout,
    BudgetExhausted,
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    LoadShed,
    RateLimited,
    Rejected,
)
from sim.telemetry.codes import Reason

# By class, the most special first: its code, the status that stands for it, and whether it is a refusal of our own
_TABLE: tuple[tuple[type[BaseException], Reason, int], ...] = (
    (CircuitOpen, Reason.CIRCUIT_OPEN, 503),
    (BulkheadFull, Reason.BULKHEAD_FULL, 503),
    (RateLimited, Reason.RATE_LIMITED, 429),
    (LoadShed, Reason.LOAD_SHED, 503),
    (BudgetExhausted, Reason.BUDGET_EXHAUSTED, 503),
    (PoolTimeout, Reason.POOL_TIMEOUT, 503),
    (Rejected, Reason.LOAD_SHED, 503),
    (DeadlineExceeded, Reason.DEADLINE, 504),
    (AttemptTimeout, Reason.TIMEOUT, 504),
    (TimeoutError, Reason.TIMEOUT, 504),
    (NoHealthyInstances, Reason.UNAVAILABLE, 503),
    (ConnectionReset, Reason.RESET, 502),
    (CertificateRefused, Reason.CERTIFICATE, 502),
    (ConnectionError, Reason.CONNECT, 502),
    (CallError, Reason.ERROR, 502),
)


def explain_failure(error: BaseException) -> Response:
    """The response that stands for *error* at the caller. An error of no known class is no failure of the call but of our own: raise it."""
    for cls, reason, status in _TABLE:
        if isinstance(error, cls):
            return Response(status, error=error, reason=int(reason), rejected=isinstance(error, Rejected),
                            retry_after=getattr(error, "retry_after", None))
    raise error


def pass_on(response: Response) -> Answer:
    """What a server answers because a call it needs came back as *response*, a failed one."""
    status = response.status
    if response.error is None and status >= 500 and not response.rejected and not response.reason:
        status = 502
    return Answer(status, rejected=response.rejected, retry_after=response.retry_after)
