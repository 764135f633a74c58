"""After how long to hedge: a fixed time, or one that follows the latencies that have been observed."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Protocol


class Delay(Protocol):
    """How long to wait before a hedge."""

    def observe(self, latency: float) -> None:
        """A primary succeeded after *latency* seconds."""

    def value(self) -> float | None:
        """Seconds; negative, infinite or None: no hedge."""


class Fixed:
    """Always what *seconds* says, a number or a function."""

    def __init__(self, seconds: float | Callable[[], float | None]) -> None:
        self._seconds = seconds

    def observe(self, latency: float) -> None:
        """Nothing is learned from it."""

    def value(self) -> float | None:
        """The number, or what the function says now."""
        return self._seconds() if callable(self._seconds) else self._seconds


class Quantile:
    """The *share* quantile (nearest rank) of the last *window* latencies; unknown before *warmup* of them."""

    def __init__(self, share: float, warmup: int = 20, window: int = 200) -> None:
        if not 0 < share <= 1 or not 1 <= warmup <= window:
            raise ValueError("a quantile needs a share above 0 and up to 1, and a warm-up between 1 and its window")
        self.share = share
        self.warmup = warmup
        self.window = window
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []

    def observe(self, latency: float) -> None:
        """Take one more latency (seconds) and forget the oldest."""
        self._recent.append(latency)
        insort(self._sorted, latency)
        if len(self._recent) > self.window:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]

    def value(self) -> float | None:
        """Seconds that the share of the latest calls did not exceed."""
        count = len(self._sorted)
        return self._sorted[max(0, math.ceil(self.share * count - 1e-9) - 1)] if count >= self.warmup else None


class Average:
    """The mean of the last *window* latencies, times *factor*, *plus* so many seconds (resilience4j's average-plus)."""

    def __init__(self, factor: float = 1.0, plus: float = 0.0, window: int = 100) -> None:
        self.factor = factor
        self.plus = plus
        self._recent: deque[float] = deque(maxlen=window)

    def observe(self, latency: float) -> None:
        """Take one more latency (seconds) and forget the oldest."""
        self._recent.append(latency)

    def value(self) -> float | None:
        """Seconds; None before the first latency."""
        return math.fsum(self._recent) / len(self._recent) * self.factor + self.plus if self._recent else None
