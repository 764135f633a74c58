"""Levels that change over time (busy workers, queue length), integrated exactly to the event."""

from __future__ import annotations


class Level:
    """A number that stands at a level between changes; its time integral is kept without error of sampling.

    The mean between two times is the difference of the integrals over the time. *moment* is what the integral is ahead of
    `value * now`: it moves only with the level, so that a change touches one number.
    """

    __slots__ = ("ever", "highest", "moment", "value")

    def __init__(self) -> None:
        self.value = 0
        self.moment = 0.0  # level times seconds
        self.highest = 0  # since the last sample
        self.ever = 0

    def change(self, by: int, now: float) -> None:
        """The level rises or falls by *by* at time *now*."""
        self.moment -= by * now
        value = self.value = self.value + by
        if value > self.highest:
            self.highest = value

    def integral(self, now: float) -> float:
        """Level times seconds, from the start to *now*."""
        return self.moment + self.value * now

    def reading(self, now: float) -> tuple[float, float]:
        """The integral until *now*, and the highest level since the last reading; for samples."""
        return self.moment + self.value * now, self.peak()

    def forget_peaks(self) -> None:
        """From here on `peak` and `ever` know nothing of what was."""
        self.highest = self.ever = self.value

    def peak(self) -> int:
        """The highest level since the last call of this; for samples."""
        highest, self.highest = self.highest, self.value
        if highest > self.ever:
            self.ever = highest
        return highest
