"""What went over each call edge, counted from client spans: the numbers behind the service graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.telemetry.codes import Outcome, Reason, SpanKind

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


@dataclass(frozen=True)
class Edge:
    """Calls from one node to another that were begun within a window and have ended."""

    source: str
    target: str
    calls: int
    attempts: int
    errors: int  # calls that failed or were rejected
    called_off: int  # by their callers, which is neither good nor bad
    seconds: float  # length of the window

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds

    @property
    def error_share(self) -> float:
        """Failed and rejected calls of all whose end was waited for."""
        return self.errors / (self.calls - self.called_off) if self.errors else 0.0

    @property
    def amplification(self) -> float:
        """Attempts for each call; below 1 where calls were refused before anything was sent."""
        return self.attempts / self.calls


def edges(result: RunResult, window: tuple[float, float] | None = None) -> list[Edge]:
    """Every edge with at least one call begun in *window* (seconds; the time after the warm-up if none is given)."""
    import numpy as np

    start, until = window or (result.warmup, result.duration)
    calls = result.spans.of(SpanKind.CLIENT)
    calls = calls[(calls.start >= start) & (calls.start <= until)]
    many = len(result.names.nodes)
    key = calls.node.astype(np.int64) * many + calls.peer
    off = calls.status == Reason.CANCELLED
    bad = ((calls.outcome == Outcome.FAILED) | (calls.outcome == Outcome.REJECTED)) & ~off
    found, place = np.unique(key, return_inverse=True)
    count = np.bincount(place, minlength=len(found))
    attempts = np.bincount(place, weights=calls.attempt, minlength=len(found))
    errors, called_off = (np.bincount(place, weights=some, minlength=len(found)) for some in (bad, off))
    names = result.names.nodes
    return [
        Edge(names[code // many], names[code % many], int(count[i]), int(attempts[i]), int(errors[i]), int(called_off[i]), until - start)
        for i, code in enumerate(found.tolist())
    ]
