"""Levels that change over time (busy workers, queue length), integrated exactly to the event."""

from __future__ import annotations


class Level:
    """A number that stands at a level between changes; its time integral is kept without error of sampling.

    The mean between two times is the difference of the integrals over the time.
    """

    __slots__ = ("area", "ever", "highest", "since", "value")

    def __init__(self, now: float = 0.0) -> None:
        self.value = 0
        self.area = 0.0
        self.since = now
        self.highest = 0  # since the last sample
        self.ever = 0

    def change(self, by: int, now: float) -> None:
        """The level rises or falls by *by* at time *now*."""
        self.area += self.value * (now - self.since)
        self.since = now
        value = self.value = self.value + by
        if value > self.highest:
            self.highest = value

    def integral(self, now: float) -> float:
        """Level times seconds, from the start to *now*."""
        return self.area + self.value * (now - self.since)

    def reading(self, now: float) -> tuple[float, float]:
        """The integral until *now*, and the highest level since the last reading; for samples."""
        return self.area + self.value * (now - self.since), self.peak()

    def forget_peaks(self) -> None:
        """From here on `peak` and `ever` know nothing of what was."""
        self.highest = self.ever = self.value

    def peak(self) -> int:
        """The highest level since the last call of this; for samples."""
        highest, self.highest = self.highest, self.value
        if highest > self.ever:
            self.ever = highest
        return highest
