"""Sliding counter: two counts a key stand for the log of a sliding window.

    |■■■■■■■■ |■■■▲              estimate = calls of the window before * its share that still lies within a period
     └── 60 % ─┴──┘ now                     + calls of this window

It takes the calls of the window before as evenly spread, so it may admit more than *limit* in some period when they were
not (at most twice the limit), and fewer in others. Gateways use it since it needs two numbers only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict

from .limiter import Reservation, SteadyClock
from .policy import SAME


class SlidingCounter:
    """About *limit* calls in any span of *period* seconds; windows are aligned to *now* at construction."""

    def __init__(self, limit: int, period: float, now: float = 0.0) -> None:
        if limit < 0 or not period > 0:
            raise ValueError("a window needs a limit of at least 0 and a period above 0 s")
        self.limit = limit
        self.period = period
        self._start = now
        self._clock = SteadyClock(now)
        self._used: defaultdict[int, int] = defaultdict(int)  # window number -> calls admitted or promised in it
        self._promised: list[float] = []  # when reservations go that may still wait, in order, on the steady clock

    def try_acquire(self, now: float, n: int = 1) -> bool:
        """Go now with *n* calls, or change nothing."""
        if self.wait(now, n) > 0:
            return False
        self._take(now, 0.0, n)
        return True

    def reserve(self, now: float, n: int = 1, max_wait: float = math.inf) -> Reservation | None:
        """Go with *n* calls once the estimate has sunk far enough; None if that takes more than *max_wait* seconds."""
        wait = self.wait(now, n)
        if wait == math.inf or wait > max_wait + SAME:
            return None
        return Reservation(now + wait, n, window=self._take(now, wait, n))

    def wait(self, now: float, n: int = 1) -> float:
        """Seconds until *n* calls fit; inf for more than the limit."""
        if n > self.limit:
            return math.inf
        here = self._clock.at(now)
        earliest = max(here, self._promised[-1]) if self._promised else here  # first come, first served
        window = self._window(earliest)
        while (at := self._fits(window, n)) is None:
            window += 1
        wait = max(earliest, at) - here
        return wait if wait > SAME else 0.0

    def cancel(self, reservation: Reservation, now: float) -> None:
        """Take its calls off the count of their window."""
        if reservation.at < now - SAME or reservation.window not in self._used:
            return
        self._used[reservation.window] -= reservation.n
        reservation.n = 0
        at = self._clock.inside(reservation.at)
        place = bisect_left(self._promised, at - SAME)
        if place < len(self._promised) and self._promised[place] <= at + SAME:
            del self._promised[place]

    def set_limit(self, limit: int, now: float) -> None:
        """Admit about *limit* calls in a period from now on; promised places stay."""
        self.limit = limit

    def set_rate(self, rate: float, now: float) -> None:
        """The same as so many calls a second."""
        self.set_limit(round(rate * self.period), now)

    def _window(self, steady: float) -> int:
        return math.floor((steady - self._start + SAME) / self.period)

    def _fits(self, window: int, n: int) -> float | None:
        """When in *window* the estimate leaves room for *n* (steady time); None: not in this one."""
        room = self.limit - self._used.get(window, 0) - n
        before = self._used.get(window - 1, 0)
        start = self._start + window * self.period
        if room < 0:
            return None
        if before <= room:
            return start
        return start + (1 - room / before) * self.period if room > 0 else None

    def _take(self, now: float, wait: float, n: int) -> int:
        self._clock.advance(now)
        here = self._clock.at(now)
        window = self._window(here + wait)
        if window not in self._used:
            for old in [w for w in self._used if w < self._window(here) - 1]:
                del self._used[old]
        self._used[window] += n
        self._promised = [at for at in self._promised if at > here]
        if wait > 0:
            self._promised.append(here + wait)
        return window
