"""Priority shedder: under overload the least important requests go first, and a threshold finds out how many of them.

      level 499 ┤██████  admitted         every *window* the threshold moves:
                ┤██████                     mean queue delay > target: up, until 5 % fewer would have been admitted
      threshold ┤──────────────             else: down, until 1 % more (of all that came) would have been
        level 0 ┤░░░░░░  shed

Levels are integers, higher is more important; where one level holds many requests, the threshold may lie inside it and sheds a
share of them. Five classes of a hundred levels (`Priority`) give fairness between users of a class. Sources: Zhou et al., Overload
Control for Scaling WeChat Microservices, SoCC 2018; the classes are failsafe-go's.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from random import Random

from .policy import SAME


class Priority(IntEnum):
    """Classes of a hundred levels each; the value is the lowest level of the class."""

    VERY_LOW = 0
    LOW = 100
    MEDIUM = 200
    HIGH = 300
    VERY_HIGH = 400

    def level(self, rng: Random) -> int:
        """Any level of the class."""
        return int(self) + int(rng.random() * 100)


class PriorityShedder:
    """Keep the mean queue delay at *target* seconds by shedding what lies below `threshold`, which moves every *window* seconds.

    A window with fewer than *minimum_number_of_calls* says nothing and leaves it where it is.
    """

    def __init__(self, target: float = 0.02, window: float = 1.0, *, step_down: float = 0.05, step_up: float = 0.01,
                 minimum_number_of_calls: int = 10, now: float = 0.0) -> None:
        if not (target > 0 and window > 0 and 0 < step_down < 1 and 0 < step_up < 1):
            raise ValueError("a shedder needs a target and a window above 0 s, and steps between 0 and 1")
        self.target = target
        self.window = window
        self.step_down = step_down
        self.step_up = step_up
        self.minimum_number_of_calls = minimum_number_of_calls
        self.threshold = 0.0  # requests below it are shed
        self._ends = now + window
        self._seen: Counter[int] = Counter()  # level -> requests of this window
        self._delay = 0.0  # sum over the admitted ones
        self._admitted = 0

    def admit(self, now: float, rng: Random, queue_delay: float = 0.0, priority: int = 0) -> bool:
        """May a request of this *priority*, which waited *queue_delay* seconds, be served?"""
        if now >= self._ends - SAME:
            self._move()
            self._ends = now + self.window
        self._seen[priority] += 1
        inside = priority < self.threshold < priority + 1
        if (inside and priority + rng.random() < self.threshold) or self.threshold >= priority + 1:
            return False
        self._admitted += 1
        self._delay += queue_delay
        return True

    def on_result(self, now: float, accepted: bool) -> None:
        """Nothing is learned from results."""

    def _move(self) -> None:
        """Set the threshold by the window that has just ended."""
        total, admitted = self._seen.total(), self._admitted
        if total >= self.minimum_number_of_calls:
            if admitted and self._delay / admitted > self.target:
                self._shed_more(admitted * self.step_down)
            else:
                self._shed_less(min(total - admitted, total * self.step_up))
        self._seen, self._delay, self._admitted = Counter(), 0.0, 0

    def _shed_more(self, count: float) -> None:
        """Raise the threshold past the *count* least important of those that were admitted."""
        for level in sorted(self._seen):
            bottom = max(self.threshold, level)
            above = self._seen[level] * (level + 1 - bottom)
            if above <= 0:
                continue
            if above >= count:
                self.threshold = bottom + count / self._seen[level]
                return
            count -= above
            self.threshold = level + 1

    def _shed_less(self, count: float) -> None:
        """Lower the threshold past the *count* most important of those that were shed."""
        for level in sorted(self._seen, reverse=True):
            top = min(self.threshold, level + 1)
            below = self._seen[level] * (top - level)
            if below <= 0:
                continue
            if below >= count > 0:
                self.threshold = top - count / self._seen[level]
                return
            count -= below
        self.threshold = 0.0
