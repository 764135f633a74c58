"""Peak EWMA: of two hosts drawn at random the one that would answer sooner, judged by its recent latency and its calls in flight.

The estimate of a host's latency jumps up to every new peak at once and sinks slowly, by a factor e in *tau* seconds; the score
is estimate * (calls in flight + 1). So a host that has become slow is left within one answer and tried again later. A host that
never answered and has a call in flight counts as very slow, so it is probed once at a time. Source: Finagle, PeakEwma.
"""

from __future__ import annotations

import math

from sim.units import PositiveDuration, Share

from .balancer import Balancer, BalancerSpec, Host
from .least_request import PowerOfTwoChoices
from .outcomes import Outcome

_UNKNOWN = 1e9  # seconds, for a host that owes its first answer


class PeakEwmaSpec(BalancerSpec):
    """Latency and calls in flight, remembered for about *tau*."""

    tau: PositiveDuration = 10.0
    panic: Share = 0.0

    def build(self, zone: str | None = None) -> Balancer:
        return PeakEwma(self.tau, panic=self.panic)


class PeakEwma(PowerOfTwoChoices):
    """Two choices by estimated latency. A failure can make a host look slower, never faster, or a broken one would draw all calls."""

    def __init__(self, tau: float = 10.0, panic: float = 0.0) -> None:
        super().__init__(panic=panic)
        if not tau > 0:
            raise ValueError("tau is the time in which the estimate sinks by a factor e: it must be above 0")
        self.tau = tau
        self._estimates: dict[str, tuple[float, float]] = {}  # host name -> (seconds, when that was true)

    def load(self, host: Host, now: float) -> float:
        pending = self.active.get(host.name, 0)
        estimate = self.estimate(host, now)
        return (_UNKNOWN + pending if estimate == 0 and pending else estimate * (pending + 1)) / host.weight

    def estimate(self, host: Host, now: float) -> float:
        """Seconds that an answer of *host* would take by itself; 0 if nothing is known."""
        seconds, since = self._estimates.get(host.name, (0.0, now))
        return seconds * math.exp(-max(0.0, now - since) / self.tau)

    def finished(self, host: Host, now: float, latency: float, outcome: Outcome) -> None:
        super().finished(host, now, latency, outcome)
        seconds, since = self._estimates.get(host.name, (0.0, now))
        if latency > seconds * math.exp(-max(0.0, now - since) / self.tau):
            self._estimates[host.name] = latency, now
        elif outcome is Outcome.SUCCESS:
            kept = math.exp(-max(0.0, now - since) / self.tau)
            self._estimates[host.name] = seconds * kept + latency * (1 - kept), now
