"""A moment of the timeline, and how it is told when that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reports.texts import Words

from .sentences import Part, sentence

if TYPE_CHECKING:
    from sim.telemetry.result import FaultInterval

TONES = ("fault", "bad", "warn", "good", "plain")
SOON = 0.1  # of the run: a thing that follows a fault's begin or end within so much is told in relation to it


@dataclass(frozen=True, order=True)
class Moment:
    """Something that happened at *at* (seconds), until *until* if it lasted; *weight* says what may be left out first."""

    at: float
    rank: int  # among moments of one time
    parts: list[Part] = field(compare=False)
    tone: str = field(default="plain", compare=False)
    until: float | None = field(default=None, compare=False)
    weight: float = field(default=1.0, compare=False)


class Clock:
    """Tells times in words, and in relation to the faults."""

    def __init__(self, words: Words, faults: Sequence[FaultInterval], duration: float) -> None:
        self.words, self.duration = words, duration
        edges = [(fault.start, fault.name, "after begin") for fault in faults]
        edges += [(fault.until, fault.name, "after end") for fault in faults if fault.until is not None]
        self._edges = sorted(edges)

    def tell(self, key: str, **values: object) -> list[Part]:
        """The sentence *key* in the clock's language."""
        return sentence(self.words, key, **values)

    def at(self, seconds: float) -> str:
        """`61.3 s`: a time of the run."""
        return self.words.moment(seconds)

    def after(self, seconds: float) -> list[Part]:
        """`, 1.2 s after slow-payments began`, or nothing if no fault began or ended shortly before."""
        before = [edge for edge in self._edges if edge[0] < seconds]
        if not before or seconds - before[-1][0] > max(SOON * self.duration, 10):
            return []
        at, name, key = before[-1]
        return self.tell(key, seconds=self.length(seconds - at), fault=name)

    def length(self, seconds: float) -> str:
        """`1.2 s`, `43 s`."""
        rounded = round(seconds, 1) if seconds >= 1 else seconds
        return self.words.seconds(round(rounded) if rounded >= 20 else rounded)
