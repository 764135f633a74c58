"""The states of a circuit breaker, and what it can be asked about itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics_only"


class IllegalTransition(RuntimeError):
    """A breaker cannot go from its state to the one that was asked for."""


@dataclass(frozen=True)
class BreakerMetrics:
    """What the window holds; rates are 0..1, and None below the minimum number of calls."""

    buffered: int
    failed: int
    slow: int
    successful: int
    not_permitted: int
    failure_rate: float | None
    slow_call_rate: float | None
