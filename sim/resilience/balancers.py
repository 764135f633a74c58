"""The table of all balancers that a scenario can name; a new one is a line here, and its class a name below."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sim.spec import LateTable

from .balancer import AnyBalancer, Balancer, BalancerSpec, Host

if TYPE_CHECKING:
    from .least_request import LeastRequest, PowerOfTwoChoices
    from .maglev import Maglev
    from .peak_ewma import PeakEwma
    from .ring_hash import RingHash
    from .round_robin import Random, RoundRobin, RoundRobinSpec
    from .slow_start import SlowStart
    from .weighted import Weighted
    from .zone_aware import ZoneAware

BALANCERS: Mapping[str, type[BalancerSpec]] = LateTable({
    "random": ("sim.resilience.round_robin", "RandomSpec"),
    "round_robin": ("sim.resilience.round_robin", "RoundRobinSpec"),
    "weighted": ("sim.resilience.weighted", "WeightedSpec"),
    "least_request": ("sim.resilience.least_request", "LeastRequestSpec"),
    "p2c": ("sim.resilience.least_request", "PowerOfTwoChoicesSpec"),
    "peak_ewma": ("sim.resilience.peak_ewma", "PeakEwmaSpec"),
    "ring_hash": ("sim.resilience.ring_hash", "RingHashSpec"),
    "maglev": ("sim.resilience.maglev", "MaglevSpec"),
    "zone_aware": ("sim.resilience.zone_aware", "ZoneAwareSpec"),
})

_HOMES = {
    "least_request": "LeastRequest PowerOfTwoChoices",
    "maglev": "Maglev",
    "peak_ewma": "PeakEwma",
    "ring_hash": "RingHash",
    "round_robin": "Random RoundRobin RoundRobinSpec",
    "slow_start": "SlowStart",
    "weighted": "Weighted",
    "zone_aware": "ZoneAware",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}
__all__ = [
    "BALANCERS", "AnyBalancer", "Balancer", "BalancerSpec", "Host", "LeastRequest", "Maglev", "PeakEwma", "PowerOfTwoChoices",
    "Random", "RingHash", "RoundRobin", "RoundRobinSpec", "SlowStart", "Weighted", "ZoneAware",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__package__}.{_HOME[name]}"), name)
