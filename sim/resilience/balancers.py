"""The table of all balancers that a scenario can name; a new one is a line here."""

from __future__ import annotations

from .balancer import AnyBalancer, Balancer, BalancerSpec, Host
from .least_request import LeastRequest, LeastRequestSpec, PowerOfTwoChoices, PowerOfTwoChoicesSpec
from .maglev import Maglev, MaglevSpec
from .peak_ewma import PeakEwma, PeakEwmaSpec
from .ring_hash import RingHash, RingHashSpec
from .round_robin import Random, RandomSpec, RoundRobin, RoundRobinSpec
from .slow_start import SlowStart
from .weighted import Weighted, WeightedSpec
from .zone_aware import ZoneAware, ZoneAwareSpec

BALANCERS: dict[str, type[BalancerSpec]] = {
    "random": RandomSpec,
    "round_robin": RoundRobinSpec,
    "weighted": WeightedSpec,
    "least_request": LeastRequestSpec,
    "p2c": PowerOfTwoChoicesSpec,
    "peak_ewma": PeakEwmaSpec,
    "ring_hash": RingHashSpec,
    "maglev": MaglevSpec,
    "zone_aware": ZoneAwareSpec,
}

__all__ = [
    "BALANCERS", "AnyBalancer", "Balancer", "BalancerSpec", "Host", "LeastRequest", "Maglev", "PeakEwma", "PowerOfTwoChoices",
    "Random", "RingHash", "RoundRobin", "RoundRobinSpec", "SlowStart", "Weighted", "ZoneAware",
]
