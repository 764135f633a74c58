"""What a circuit breaker remembers: the last so many calls, or the calls of the last so many seconds.

`CountWindow`, `TimeWindow` and `Consecutive` are what one writes; `start` gives the counts that a breaker keeps by them.
Counting a call and reading the sums are O(1): old calls are subtracted as they leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf
from typing import Protocol

from .policy import SAME


class Counts(Protocol):
    """Running sums over a window: `sums` is [calls, failed ones, slow ones]."""

    sums: list[int]

    def add(self, failed: bool, slow: bool, now: float) -> None:
        """Count one call that ended at *now*."""

    def advance(self, now: float) -> None:
        """Forget what is too old at *now*."""


class Window(Protocol):
    """A kind of window. It may know better than the breaker how many calls a verdict needs, and which failure rate trips."""

    def start(self, origin: float) -> Counts:
        """Empty counts; buckets of time are aligned to *origin* (seconds)."""

    def minimum(self, asked: int) -> int:
        """How many calls a verdict needs where *asked* were asked for."""

    def threshold(self, asked: float) -> float:
        """The failure rate that trips where *asked* (0..1) was asked for."""


@dataclass(frozen=True)
class CountWindow:
    """The last *calls* calls."""

    calls: int = 100

    def __post_init__(self) -> None:
        _at_least_one(self.calls, "calls")

    def start(self, origin: float) -> Counts:
        return LastCalls(self.calls)

    def minimum(self, asked: int) -> int:
        return min(asked, self.calls)  # there are never more in the window

    def threshold(self, asked: float) -> float:
        return asked


@dataclass(frozen=True)
class TimeWindow:
    """The calls of the last *seconds*, forgotten in *buckets* steps of equal length; one bucket is a fixed interval."""

    seconds: float = 30.0
    buckets: int = 10

    def __post_init__(self) -> None:
        _at_least_one(self.buckets, "buckets")
        if not 0 < self.seconds < inf:
            raise ValueError(f"a window needs a positive and finite length, not {self.seconds} s")

    def start(self, origin: float) -> Counts:
        return RecentCalls(self.seconds, self.buckets, origin)

    def minimum(self, asked: int) -> int:
        return asked

    def threshold(self, asked: float) -> float:
        return asked


@dataclass(frozen=True)
class Consecutive:
    """*failures* in a row, which is: the last so many calls, all of them failed. A minimum number of calls does not hold it back."""

    failures: int = 5

    def __post_init__(self) -> None:
        _at_least_one(self.failures, "failures")

    def start(self, origin: float) -> Counts:
        return LastCalls(self.failures)

    def minimum(self, asked: int) -> int:
        return self.failures

    def threshold(self, asked: float) -> float:
        return 1.0


class LastCalls:
    """A ring of the last *size* calls: bit 0 failed, bit 1 slow."""

    def __init__(self, size: int) -> None:
        self.sums = [0, 0, 0]
        self._size = size
        self._ring = bytearray(size)
        self._next = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        sums = self.sums
        if not (failed or slow or sums[1] or sums[2]) and sums[0] == self._size:
            return  # full of good calls: one more changes nothing
        ring, at = self._ring, self._next
        newest, oldest = failed | slow << 1, ring[at]  # an empty place reads as a good call
        if newest or oldest:
            ring[at] = newest
            sums[1] += failed - (oldest & 1)
            sums[2] += slow - (oldest >> 1)
        if sums[0] < self._size:
            sums[0] += 1
        at += 1
        self._next = at if at < self._size else 0

    def advance(self, now: float) -> None:
        """Nothing is too old; only a newer call pushes one out."""


class SlidingSums:
    """Sums of *columns* numbers over the last *seconds*, in *buckets* of equal length; the oldest is emptied as a new one starts.

    Buckets are aligned to *origin*. Time that jumps back counts into the newest bucket.
    """

    def __init__(self, seconds: float, buckets: int, origin: float, columns: int) -> None:
        self.sums = [0] * columns
        self._width = seconds / buckets
        self._origin = origin
        self._rows = [[0] * columns for _ in range(buckets)]
        self._index = 0  # of the newest bucket, counted from the origin
        self._ends = origin + self._width - SAME

    def row(self, now: float) -> list[int]:
        """The newest bucket. Who adds to it adds to `sums` too."""
        if now >= self._ends:
            self.advance(now)
        return self._rows[self._index % len(self._rows)]

    def advance(self, now: float) -> None:
        """Empty the buckets that are too old at *now*."""
        if now < self._ends:
            return
        index = floor((now - self._origin + SAME) / self._width)
        for late in range(max(self._index + 1, index - len(self._rows) + 1), index + 1):
            row = self._rows[late % len(self._rows)]
            for column, number in enumerate(row):
                self.sums[column] -= number
                row[column] = 0
        self._index = index
        self._ends = self._origin + (index + 1) * self._width - SAME


class RecentCalls(SlidingSums):
    """The calls of the last *seconds*."""

    def __init__(self, seconds: float, buckets: int, origin: float) -> None:
        super().__init__(seconds, buckets, origin, columns=3)

    def add(self, failed: bool, slow: bool, now: float) -> None:
        for counted in self.row(now), self.sums:
            counted[0] += 1
            counted[1] += failed
            counted[2] += slow


def _at_least_one(number: int, what: str) -> None:
    if number < 1:
        raise ValueError(f"a window needs at least one of {what}, not {number}")
