"""Token bucket: *rate* tokens a second drip into a bucket of *burst*, each call takes one, and some may be promised ahead.

    tokens   burst ┤▔▔╲      ╱▔▔▔       full: what drips in is lost
                 0 ┤───╲────╱────
                   │    ╲__╱            below 0: promised to reservations that still wait
                   └─────────────▶ now

In any span of t seconds at most burst + rate * t calls are admitted. Semantics of golang.org/x/time/rate: a refused
request changes nothing, a clock that jumps back mints nothing, and a cancelled reservation gives back what nobody behind
it has built upon.
"""

from __future__ import annotations

import math

from .limiter import Reservation
from .policy import SAME


class TokenBucket:
    """*rate* tokens a second (0: none ever again), at most *burst* in stock; it starts full at *now*."""

    def __init__(self, rate: float, burst: float, now: float = 0.0) -> None:
        if not (math.isfinite(rate) and rate >= 0 and burst >= 0):
            raise ValueError("a token bucket needs a finite rate and a burst, neither of them negative")
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._last = now  # when _tokens was true
        self._last_event = -math.inf  # when the newest reservation goes

    def tokens(self, now: float) -> float:
        """Tokens in stock; below 0 while reservations wait."""
        gained = (now - self._last) * self.rate
        return min(self.burst, self._tokens + gained) if gained > 0 else min(self.burst, self._tokens)

    def try_acquire(self, now: float, n: int = 1) -> bool:
        """Take *n* tokens if they are there."""
        left = self.tokens(now) - n
        if n > self.burst or left < -self._slack():
            return False
        self._tokens, self._last, self._last_event = left, now, now
        return True

    def reserve(self, now: float, n: int = 1, max_wait: float = math.inf) -> Reservation | None:
        """Take *n* tokens that are there or will be; None if that takes more than *max_wait* seconds."""
        wait = self.wait(now, n)
        if wait == math.inf or wait > max_wait + SAME:
            return None
        self._tokens, self._last, self._last_event = self.tokens(now) - n, now, now + wait
        return Reservation(now + wait, n, self.rate)

    def wait(self, now: float, n: int = 1) -> float:
        """Seconds until *n* tokens are there; inf for more than the bucket holds."""
        missing = n - self.tokens(now)
        if n > self.burst or (self.rate == 0 and missing > self._slack()):
            return math.inf
        return missing / self.rate if missing > self._slack() else 0.0

    def cancel(self, reservation: Reservation, now: float) -> None:
        """Give the tokens back, less those that later reservations have already been promised."""
        if reservation.at < now - SAME:
            return
        given_back = reservation.n - max(0.0, self._last_event - reservation.at) * reservation.rate
        if given_back <= 0:
            return
        self._tokens = min(self.burst, self.tokens(now) + given_back)
        self._last = now
        if abs(reservation.at - self._last_event) <= SAME and reservation.rate > 0:
            self._last_event = max(now, reservation.at - reservation.n / reservation.rate)
        reservation.n = 0  # a second cancel gives nothing

    def set_rate(self, rate: float, now: float) -> None:
        """Let *rate* tokens a second drip in from now on."""
        self._tokens, self._last = self.tokens(now), now
        self.rate = rate

    def set_burst(self, burst: float, now: float) -> None:
        """Make the bucket larger or smaller; a smaller one spills what is above its brim."""
        self._tokens, self._last = self.tokens(now), now
        self.burst = burst

    def _slack(self) -> float:
        """How many tokens may be missing: what drips in within the same time, and what floats lose."""
        return self.rate * SAME + 1e-12
