"""Sliding log: at most *limit* calls in any *period*, exactly, for the price of remembering *limit* times.

    ──■──■─────■■───────▶ now         the calls in (now - period, now] are counted; one leaves exactly a period later
      └──── period ─────┘
"""

from __future__ import annotations

import math
from collections import deque

from .limiter import Reservation, SteadyClock
from .policy import SAME


class SlidingLog:
    """At most *limit* calls in any span of *period* seconds."""

    def __init__(self, limit: int, period: float, now: float = 0.0) -> None:
        if limit < 0 or not period > 0:
            raise ValueError("a window needs a limit of at least 0 and a period above 0 s")
        self.limit = limit
        self.period = period
        self._clock = SteadyClock(now)
        self._log: deque[float] = deque()  # when calls went or will go, in order, on the steady clock

    def try_acquire(self, now: float, n: int = 1) -> bool:
        """Go now with *n* calls, or change nothing."""
        if self.wait(now, n) > 0:
            return False
        self._take(now, 0.0, n)
        return True

    def reserve(self, now: float, n: int = 1, max_wait: float = math.inf) -> Reservation | None:
        """Go with *n* calls once enough others have left the window; None if that takes more than *max_wait* seconds."""
        wait = self.wait(now, n)
        if wait == math.inf or wait > max_wait + SAME:
            return None
        self._take(now, wait, n)
        return Reservation(now + wait, n)

    def wait(self, now: float, n: int = 1) -> float:
        """Seconds until *n* calls fit; inf for more than the limit."""
        if n > self.limit:
            return math.inf
        here = self._clock.at(now)
        log = self._log
        free_at = log[-1] if log else here  # first come, first served: not before whoever was promised a place already
        surplus = len(log) + n - self.limit  # so many of the oldest have to have left
        if surplus > 0:
            free_at = max(free_at, log[surplus - 1] + self.period)
        return free_at - here if free_at > here + SAME else 0.0

    def cancel(self, reservation: Reservation, now: float) -> None:
        """Strike its calls from the log."""
        if reservation.at < now - SAME:
            return
        at = self._clock.inside(reservation.at)
        while reservation.n > 0:
            place = next((i for i in reversed(range(len(self._log))) if abs(self._log[i] - at) <= SAME), None)
            if place is not None:
                del self._log[place]
            reservation.n -= 1

    def set_limit(self, limit: int, now: float) -> None:
        """Admit *limit* calls in a period from now on; promised places stay."""
        self.limit = limit

    def set_rate(self, rate: float, now: float) -> None:
        """The same as so many calls a second."""
        self.set_limit(round(rate * self.period), now)

    def _take(self, now: float, wait: float, n: int) -> None:
        self._clock.advance(now)
        here = self._clock.at(now)
        while self._log and self._log[0] <= here - self.period + SAME:
            self._log.popleft()
        at = here + wait
        self._log.extend([max(at, self._log[-1]) if self._log else at] * n)
