"""The small numbers that stand for words in the recorded columns."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """How a user request or a call ended. Only OK and DEGRADED were answered as asked."""

    OK = 0
    DEGRADED = 1  # answered by a fallback or from a stale cache
    FAILED = 2
    REJECTED = 3  # refused by a policy or a limit before any work was done
    UNFINISHED = 4  # still under way when the run ended


class SpanKind(IntEnum):
    """What a span row stands for."""

    CLIENT = 0  # a logical call at the caller: all attempts and backoffs included
    ATTEMPT = 1  # one attempt of it; recorded where a policy can make more than one
    SERVER = 2  # one request in an instance, queueing included
    INTERNAL = 3  # opened by service code
    PRODUCER = 4  # a message published
    CONSUMER = 5  # a message handled


class Reason(IntEnum):
    """Why there is no status: kept in the status column, below 0. A status of 0 is no status and no failure."""

    TIMEOUT = -1
    CONNECT = -2  # refused, or no route: nothing was sent
    RESET = -3
    UNAVAILABLE = -4  # no healthy instance
    DEADLINE = -5
    CANCELLED = -6  # the caller went away
    CERTIFICATE = -7  # the handshake failed: nothing was sent
    CIRCUIT_OPEN = -10
    BULKHEAD_FULL = -11
    RATE_LIMITED = -12
    LOAD_SHED = -13
    BUDGET_EXHAUSTED = -14
    POOL_TIMEOUT = -15  # no connection became free
    LOCK_TIMEOUT = -16  # a lock of the database did not come in time
    DEADLOCK = -17
    READ_ONLY = -18  # the database takes no writes now
    ERROR = -20  # an error of the service's own code


def status_text(status: int) -> str:
    """`503`, or the reason in small letters where there was no status; `` for none."""
    if status > 0:
        return str(status)
    return Reason(status).name.lower() if status < 0 else ""
