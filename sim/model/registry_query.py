"""Blocking queries: the answer comes when something has changed, or when the wait is over. Consul's rules of indices and waits.

Source: Consul's documentation of its HTTP API, "Blocking Queries".
"""

from __future__ import annotations

DEFAULT_WAIT = 300.0  # seconds
LONGEST_WAIT = 600.0


def next_index(before: int, answered: int) -> int:
    """With which index to ask next, after the answer to a query with *before* carried *answered*.

    An index that goes backwards (the servers were restored from older data) means to begin anew; it is never below 1 otherwise, since
    a query with 0 does not block.
    """
    return 0 if answered < before else max(1, answered)


def how_long(wait: float, random: float) -> float:
    """Seconds that a query for *wait* may block: at most LONGEST_WAIT, and up to a sixteenth more by *random* in [0, 1), so that
    those who began together do not come back together. 0 means the default."""
    wait = min(wait or DEFAULT_WAIT, LONGEST_WAIT)
    return wait + random * wait / 16
