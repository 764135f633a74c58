"""What rate limiting algorithms have in common: reservations, their methods, and a clock that never runs back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(eq=False, slots=True)
class Reservation:
    """A promise that the caller may go at *at* (seconds on the limiter's clock)."""

    at: float
    n: int = 1
    rate: float = 0.0  # tokens a second when it was given, where the algorithm needs it for a refund
    window: int = 0  # which window it was counted in, where the algorithm has windows


class Limiter(Protocol):
    """What the five algorithms have in common."""

    def try_acquire(self, now: float, n: int = 1) -> bool:
        """Take *n* now, or change nothing."""

    def reserve(self, now: float, n: int = 1, max_wait: float = math.inf) -> Reservation | None:
        """Take *n* as soon as they are there; None, and nothing changes, if that is never or more than *max_wait* seconds away."""

    def cancel(self, reservation: Reservation, now: float) -> None:
        """Give back what was reserved. Once its time is over it counts as used."""

    def wait(self, now: float, n: int = 1) -> float:
        """After how many seconds a reservation made now could go; inf: never."""

    def set_rate(self, rate: float, now: float) -> None:
        """Admit *rate* calls a second from now on; reservations keep their times."""


class SteadyClock:
    """A time that never runs back: after a jump it goes on from where it was. Looking (`at`) does not change it."""

    def __init__(self, now: float) -> None:
        self._shift = 0.0
        self._last = now

    def at(self, now: float) -> float:
        """The steady time at *now*."""
        return max(now + self._shift, self._last)

    def advance(self, now: float) -> None:
        """Something was admitted at *now*."""
        self._last = self.at(now)
        self._shift = self._last - now

    def inside(self, time: float) -> float:
        """The steady time of a moment that the caller calls *time*."""
        return time + self._shift
