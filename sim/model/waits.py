"""How long somebody had to wait: for a connection, for a lock."""

from __future__ import annotations


class Waits:
    """Waits that have ended, and the *longest* of them (seconds)."""

    __slots__ = ("ended", "longest", "since", "total")

    def __init__(self) -> None:
        self.since = 0.0
        self.measure_from(0.0)

    def measure_from(self, now: float) -> None:
        """What began before *now* does not count."""
        self.since = now
        self.ended, self.total, self.longest = 0, 0.0, 0.0

    def add(self, began: float, now: float) -> None:
        """Somebody has waited since *began*."""
        if began >= self.since:
            self.ended += 1
            self.total += now - began
            self.longest = max(self.longest, now - began)
