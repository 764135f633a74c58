"""Generic cell rate algorithm: a token bucket that remembers one time instead of a count of tokens.

    TAT, the theoretical arrival time, is when the bucket would be full again. Each call moves it on by T = 1 / rate;
    a call may go if that leaves TAT at most burst * T ahead of now.

It decides as `TokenBucket` does, reservations and refunds included, and its whole state fits into one number a key, which
is why shared stores use it. Source: ITU-T I.371, annex A.
"""

from __future__ import annotations

import math

from .limiter import Reservation
from .policy import SAME

_NEVER = 1e15  # seconds between calls at a rate of 0


def _spacing(rate: float) -> tuple[float, float]:
    """Seconds between calls, and how far apart two times may be that count as the same."""
    interval = 1 / rate if rate else _NEVER
    return interval, SAME + 1e-12 * interval


class Gcra:
    """*rate* calls a second (0: none any more) with bursts of up to *burst*; the first burst may come at once."""

    def __init__(self, rate: float, burst: float, now: float = 0.0) -> None:
        if not (math.isfinite(rate) and rate >= 0 and burst >= 0):
            raise ValueError("a rate limiter needs a finite rate and a burst, neither of them negative")
        self.rate = rate
        self.burst = burst
        self._interval, self._slack = _spacing(rate)
        self._tat = now
        self._last = now  # when _tat was set: needed only to see a clock that jumps back
        self._last_event = -math.inf  # when the newest reservation goes

    def tokens(self, now: float) -> float:
        """What a token bucket would hold now; below 0 while reservations wait."""
        return self.burst - (max(now, self._arrival(now)) - now) / self._interval

    def try_acquire(self, now: float, n: int = 1) -> bool:
        """Go now with *n* calls, or change nothing."""
        ahead = max(0.0, self._arrival(now) - now)
        if n > self.burst or ahead + (n - self.burst) * self._interval > self._slack:
            return False
        self._tat, self._last, self._last_event = now + ahead + n * self._interval, now, now
        return True

    def reserve(self, now: float, n: int = 1, max_wait: float = math.inf) -> Reservation | None:
        """Go with *n* calls as soon as they conform; None if that takes more than *max_wait* seconds."""
        wait = self.wait(now, n)
        if wait == math.inf or wait > max_wait + SAME:
            return None
        self._tat = max(now, self._arrival(now)) + n * self._interval
        self._last, self._last_event = now, now + wait
        return Reservation(now + wait, n, self.rate)

    def wait(self, now: float, n: int = 1) -> float:
        """Seconds until *n* calls conform; inf for more than a burst."""
        early = max(0.0, self._arrival(now) - now) + (n - self.burst) * self._interval
        if n > self.burst or (self.rate == 0 and early > self._slack):
            return math.inf
        return early if early > self._slack else 0.0

    def cancel(self, reservation: Reservation, now: float) -> None:
        """Move the arrival time back, less what later reservations have already built upon."""
        if reservation.at < now - SAME:
            return
        given_back = reservation.n - max(0.0, self._last_event - reservation.at) * reservation.rate
        if given_back <= 0:
            return
        self._tat = max(now, self._arrival(now)) - given_back * self._interval
        self._last = now
        if abs(reservation.at - self._last_event) <= SAME and reservation.rate > 0:
            self._last_event = max(now, reservation.at - reservation.n / reservation.rate)
        reservation.n = 0  # a second cancel gives nothing

    def set_rate(self, rate: float, now: float) -> None:
        """Admit *rate* calls a second from now on; what is saved up stays."""
        tokens = self.tokens(now)
        self.rate = rate
        self._interval, self._slack = _spacing(rate)
        self._tat, self._last = now + (self.burst - tokens) * self._interval, now

    def set_burst(self, burst: float, now: float) -> None:
        """Allow bursts of *burst*; what is saved up stays, as far as it fits."""
        tokens = min(burst, self.tokens(now))
        self.burst = burst
        self._tat, self._last = now + (burst - tokens) * self._interval, now

    def _arrival(self, now: float) -> float:
        """TAT as of *now*: a clock that has jumped back takes it along, so that nothing is gained or lost by the jump."""
        return self._tat - max(0.0, self._last - now)
