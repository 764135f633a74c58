"""Slow start: a host that has just come, or come back, gets its share little by little while its caches warm up.

    weight ┤        ╱▔▔▔      weight * max(minimum, (age / window) ^ (1 / aggression))
           ┤     ╱
    minimum┤▁▁╱
           └──┬──────┬──▶ age
              1 s  window         Source: Envoy, slow start mode; ages below 1 s count as 1 s
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from sim.spec import Spec
from sim.units import PositiveDuration, Share

from .balancer import Host


class SlowStartSpec(Spec):
    """How long a new host is spared, and how steeply its share grows."""

    shorthand = "window"

    window: PositiveDuration
    minimum: Share = 0.1
    aggression: Annotated[float, Field(gt=0, strict=False)] = 1.0

    def build(self) -> SlowStart:
        """With no host seen yet."""
        return SlowStart(self.window, self.minimum, self.aggression)


class SlowStart:
    """Weights that grow over *window* seconds. Those who are there at the first look are taken as warm.

    A host that knows since when it may be used (`since`, in seconds) is believed: it may have gone and come back between two looks.
    """

    def __init__(self, window: float, minimum: float = 0.1, aggression: float = 1.0) -> None:
        if not (window > 0 and 0 <= minimum <= 1 and aggression > 0):
            raise ValueError("slow start needs a window and an aggression above 0 and a minimum between 0 and 1")
        self.window = window
        self.minimum = minimum
        self.aggression = aggression
        self._since: dict[str, float] | None = None  # host name -> when it came; -inf: long ago

    def look(self, hosts: Sequence[Host], now: float) -> None:
        """Notice who has come and who has gone; an unhealthy host has gone."""
        known = self._since
        came = -math.inf if known is None else now
        self._since = {host.name: max(came if known is None else known.get(host.name, came), getattr(host, "since", -math.inf))
                       for host in hosts if host.healthy}

    def weight(self, host: Host, now: float) -> float:
        """The weight of *host* at its age."""
        age = now - (self._since or {}).get(host.name, -math.inf)
        if age >= self.window:
            return host.weight
        grown: float = (max(age, 1.0) / self.window) ** (1 / self.aggression)
        return host.weight * max(self.minimum, grown)
