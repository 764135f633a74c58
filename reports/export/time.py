"""Simulated seconds as the dates that other tools want. t=0 is a fixed date, the one that code in the run reads from
its clock, so that a file has the same bytes on every day."""

from __future__ import annotations

from datetime import UTC, datetime

from sim.kernel.clock import EPOCH

EPOCH_S = int(EPOCH.timestamp())
EPOCH_NS = EPOCH_S * 1_000_000_000


def unix_ns(seconds: float) -> int:
    """Nanoseconds since 1970 at simulated *seconds*. A float keeps whole nanoseconds for the first 100 days."""
    return EPOCH_NS + round(seconds * 1e9)


def rfc3339(seconds: float) -> str:
    """`2026-01-01T00:01:00.250000Z`: in microseconds, always of the same length, so that text sorts by time."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return f"{_date(EPOCH_S + whole)}.{micros:06d}Z"


_cached: dict[int, str] = {}


def _date(unix_s: int) -> str:
    """The date of a whole second; many lines fall into one second, and formatting it takes longer than the rest of a line."""
    text = _cached.get(unix_s)
    if text is None:
        if len(_cached) > 10_000:
            _cached.clear()
        text = _cached[unix_s] = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text
