"""Fixed window: at most *limit* calls in each *period*, counted from the limiter's construction.

    |■■■■■    |■■       |■■■■■    |        simple and cheap, but two windows' calls may meet at their border:
    0         P        2P        3P        up to 2 * limit within one period

A reservation may borrow from later windows; nothing unused is carried over (as resilience4j's cycles).
"""

from __future__ import annotations

import math
from collections import defaultdict

from .limiter import Reservation, SteadyClock
from .policy import SAME


class FixedWindow:
    """At most *limit* calls in each window of *period* seconds; windows are aligned to *now* at construction."""

    def __init__(self, limit: int, period: float, now: float = 0.0) -> None:
        if limit < 0 or not period > 0:
            raise ValueError("a window needs a limit of at least 0 and a period above 0 s")
        self.limit = limit
        self.period = period
        self._start = now
        self._clock = SteadyClock(now)
        self._used: defaultdict[int, int] = defaultdict(int)  # window number -> calls admitted or promised in it
        self._newest = 0  # the last window that anything was promised in: first come, first served

    def try_acquire(self, now: float, n: int = 1) -> bool:
        """Go now with *n* calls if this window has room for all of them, or change nothing."""
        window = self._window(now)
        if window < self._newest or self._used.get(window, 0) + n > self.limit:
            return False
        self._take(window, n, now)
        return True

    def reserve(self, now: float, n: int = 1, max_wait: float = math.inf) -> Reservation | None:
        """Go with *n* calls in the first window that has room for them; None if it starts more than *max_wait* seconds from now."""
        wait = self.wait(now, n)
        if wait == math.inf or wait > max_wait + SAME:
            return None
        window = self._first_with_room(now, n)
        self._take(window, n, now)
        return Reservation(now + wait, n, window=window)

    def wait(self, now: float, n: int = 1) -> float:
        """Seconds until the first window with room for *n*; inf for more than a window's limit."""
        if n > self.limit:
            return math.inf
        window = self._first_with_room(now, n)
        return max(0.0, self._start + window * self.period - self._clock.at(now)) if window > self._window(now) else 0.0

    def cancel(self, reservation: Reservation, now: float) -> None:
        """Give the places in its window back."""
        if reservation.at < now - SAME or reservation.window not in self._used:
            return
        self._used[reservation.window] -= reservation.n
        reservation.n = 0
        current = self._window(now)
        while self._newest > current and not self._used.get(self._newest):
            self._newest -= 1

    def set_limit(self, limit: int, now: float) -> None:
        """Admit *limit* calls a window from this one on; promised places stay."""
        self.limit = limit

    def set_rate(self, rate: float, now: float) -> None:
        """The same as so many calls a second."""
        self.set_limit(round(rate * self.period), now)

    def _window(self, now: float) -> int:
        return math.floor((self._clock.at(now) - self._start + SAME) / self.period)

    def _first_with_room(self, now: float, n: int) -> int:
        window = max(self._window(now), self._newest)
        while self._used.get(window, 0) + n > self.limit:
            window += 1
        return window

    def _take(self, window: int, n: int, now: float) -> None:
        self._clock.advance(now)
        current = self._window(now)
        if window not in self._used:
            for old in [w for w in self._used if w < current]:
                del self._used[old]
        self._used[window] += n
        self._newest = max(self._newest, window)
