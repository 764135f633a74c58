"""CoDel: shed when even the best of an interval's requests has waited too long, which is a queue that stands and not a burst.

    delay ┤   ╱╲    ╱▔▔▔▔▔▔          smallest delay of the interval > target: overloaded in the next one
   target ┤──╱──╲──╱────────         then requests that waited longer than 2 * target are shed
          └─ good ─┴─ standing ─▶

The first request of an interval is never shed, so that something is measured. Sources: Nichols and Jacobson, Controlling Queue
Delay, ACM Queue 10 (2012); in this form for servers: Facebook's folly.
"""

from __future__ import annotations

from random import Random

from .policy import SAME


class CoDel:
    """A standing delay above *target* seconds over *interval* seconds sheds. Ask as a request leaves the queue."""

    def __init__(self, target: float = 0.005, interval: float = 0.1) -> None:
        if not (target > 0 and interval > 0):
            raise ValueError("CoDel needs a target and an interval above 0 s")
        self.target = target
        self.interval = interval
        self.overloaded = False
        self._smallest = 0.0  # delay of this interval
        self._ends = -float("inf")

    def admit(self, now: float, rng: Random, queue_delay: float = 0.0, priority: int = 0) -> bool:
        """May a request that waited *queue_delay* seconds be served?"""
        if now >= self._ends - SAME:
            a_queue_stands = now < self._ends + self.interval  # else nobody came for a whole interval
            self.overloaded = self._smallest > self.target and a_queue_stands
            self._smallest = queue_delay
            self._ends = now + self.interval
            return True
        self._smallest = min(self._smallest, queue_delay)
        return not (self.overloaded and queue_delay > 2 * self.target)

    def on_result(self, now: float, accepted: bool) -> None:
        """Nothing is learned from results."""
