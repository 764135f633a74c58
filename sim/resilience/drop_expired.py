"""Drop expired: a request whose caller has given up already, or will before it can be answered, is not worth serving.

Under overload this is the difference between a server that answers some requests in time and one that answers all of them too late.
Source: gRPC, deadlines; Google, Site Reliability Engineering, ch. 22.
"""

from __future__ import annotations

import math
from random import Random

from .policy import SAME


class DropExpired:
    """Serve only what has more than *needed* seconds left until its deadline."""

    def __init__(self, needed: float = 0.0) -> None:
        if needed < 0:
            raise ValueError("the time that is needed is not negative")
        self.needed = needed

    def admit(self, now: float, rng: Random, queue_delay: float = 0.0, priority: int = 0, deadline: float = math.inf) -> bool:
        """Is there more than the time that is needed until *deadline* (seconds, same clock)?"""
        return deadline - now > self.needed + SAME

    def on_result(self, now: float, accepted: bool) -> None:
        """Nothing is learned from results."""
