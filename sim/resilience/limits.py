"""How many calls may be in flight, learned from their latencies: three rules for `AdaptiveConcurrency`.

    Aimd        one more after each answer while busy, a tenth less after a drop or a slow answer (TCP Reno)
    Vegas       queue = limit * (1 - best rtt / rtt): grow while it is short, shrink when it is long (TCP Vegas)
    Gradient2   follow the ratio of a long average of the rtt to the latest one

All three leave the limit alone while less than half of it is in use: an idle caller learns nothing about the limit.
Source: Netflix concurrency-limits. Round trip times (rtt) are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Protocol


class Limit(Protocol):
    """A rule that adapts `limit` to samples."""

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""

    def on_sample(self, now: float, rtt: float, in_flight: int, dropped: bool = False) -> None:
        """A call ended after *rtt* seconds, with *in_flight* calls out as it began; *dropped*: it timed out or was turned away."""


class Aimd:
    """Additive increase, multiplicative decrease. An answer slower than *timeout* seconds counts as dropped."""

    def __init__(self, initial_limit: int = 20, min_limit: int = 20, max_limit: int = 200, backoff_ratio: float = 0.9,
                 timeout: float = 5.0) -> None:
        _check(initial_limit, min_limit, max_limit)
        if not 0.5 <= backoff_ratio < 1 or not timeout > 0:
            raise ValueError("the backoff ratio lies in [0.5, 1), and the timeout is above 0 s")
        self.limit = initial_limit
        self.min_limit = min_limit
        self.max_limit = max_limit
        self.backoff_ratio = backoff_ratio
        self.timeout = timeout

    def on_sample(self, now: float, rtt: float, in_flight: int, dropped: bool = False) -> None:
        """See the table above."""
        limit = self.limit
        if dropped or rtt > self.timeout:
            limit = int(limit * self.backoff_ratio)
        elif in_flight * 2 >= limit:
            limit += 1
        self.limit = min(self.max_limit, max(self.min_limit, limit))


class Vegas:
    """Keep a short queue in front of the other side: between 3 and 6 times log10(limit) calls.

    The best rtt is measured anew every 30 * limit samples (times 0.5 to 1, drawn from *rng*), so that a world that has become
    slower for good is noticed. *decrease* replaces the step down by log10(limit); *smoothing* (0..1] damps each change.
    """

    def __init__(self, initial_limit: int = 20, max_limit: int = 1000, smoothing: float = 1.0, rng: Random | None = None, *,
                 decrease: Callable[[float], float] | None = None) -> None:
        _check(initial_limit, 1, max_limit)
        if not 0 < smoothing <= 1:
            raise ValueError("smoothing lies above 0 and up to 1, which is none")
        self.max_limit = max_limit
        self.smoothing = smoothing
        self.rng = rng
        self.best_rtt = math.inf
        self._decrease = decrease if decrease is not None else lambda limit: limit - _log10(limit)
        self._limit = float(initial_limit)
        self._samples = 0
        self._jitter = self._draw()

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    def on_sample(self, now: float, rtt: float, in_flight: int, dropped: bool = False) -> None:
        """See the table above."""
        self._samples += 1
        if not dropped and self._samples >= self._jitter * 30 * self._limit:
            self._samples, self._jitter, self.best_rtt = 0, self._draw(), rtt
        elif not dropped and rtt < self.best_rtt:  # a refusal is quick, and no answer: it must not be what answers are held against
            self.best_rtt = rtt
        else:
            target = self._target(rtt, in_flight, dropped)
            bounded = max(1.0, min(float(self.max_limit), target))
            self._limit += self.smoothing * (bounded - self._limit)

    def _target(self, rtt: float, in_flight: int, dropped: bool) -> float:
        limit = self._limit
        if dropped:
            return self._decrease(limit)
        if in_flight * 2 < limit:
            return limit
        queue = math.ceil(limit * (1 - self.best_rtt / rtt)) if rtt > 0 else 0
        step = _log10(limit)
        if queue <= step:
            return limit + 6 * step
        if queue < 3 * step:
            return limit + step
        return self._decrease(limit) if queue > 6 * step else limit

    def _draw(self) -> float:
        return 1.0 if self.rng is None else self.rng.uniform(0.5, 1.0)


class Gradient2:
    """Limit * gradient + *queue_size*, where the gradient is *rtt_tolerance* * long rtt / rtt, held between 0.5 and 1.

    The long rtt is an exponential average over *long_window* samples; it falls by 5 % a sample while it is more than twice the
    latest, to come down soon after an overload. *smoothing* (0..1] damps each change.
    """

    def __init__(self, initial_limit: int = 20, min_limit: int = 20, max_limit: int = 200, queue_size: int = 4, smoothing: float = 0.2,
                 long_window: int = 600, rtt_tolerance: float = 1.5) -> None:
        _check(initial_limit, min_limit, max_limit)
        if not 0 < smoothing <= 1 or long_window < 1 or rtt_tolerance < 1 or queue_size < 0:
            raise ValueError("smoothing lies in (0, 1], the window has a sample, the tolerance is at least 1, the queue not negative")
        self.min_limit = min_limit
        self.max_limit = max_limit
        self.queue_size = queue_size
        self.smoothing = smoothing
        self.long_window = long_window
        self.rtt_tolerance = rtt_tolerance
        self.long_rtt = 0.0
        self._samples = 0
        self._limit = float(initial_limit)

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    def on_sample(self, now: float, rtt: float, in_flight: int, dropped: bool = False) -> None:
        """See the table above; a drop counts by its long rtt alone."""
        long_rtt = self._average(rtt)
        if long_rtt > 2 * rtt:
            self.long_rtt *= 0.95
        if in_flight < self._limit / 2 or rtt <= 0:
            return
        gradient = max(0.5, min(1.0, self.rtt_tolerance * long_rtt / rtt))
        target = self._limit * gradient + self.queue_size
        smoothed = self._limit * (1 - self.smoothing) + target * self.smoothing
        self._limit = max(float(self.min_limit), min(float(self.max_limit), smoothed))

    def _average(self, rtt: float) -> float:
        """A plain mean of the first ten samples, an exponential one from then on."""
        self._samples += 1
        share = 1 / self._samples if self._samples <= 10 else 2 / (self.long_window + 1)
        self.long_rtt += share * (rtt - self.long_rtt)
        return self.long_rtt


def _log10(limit: float) -> int:
    return max(1, int(math.log10(limit)))


def _check(initial: int, low: int, high: int) -> None:
    if not 1 <= low <= high or initial < 1:
        raise ValueError(f"limits are at least 1, and {low} to {high} is no range")
