"""Probes: the few calls that a half-open circuit breaker lets out, and what they decide.

    try_acquire ──▶ out ──▶ judged: counts for the verdict
                     ├──▶ ignored or cancelled: the permit is free again
                     └──▶ lease over: the permit is free again, and a late answer does not count
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from .breaker_options import BreakerOptions
from .permits import Permit
from .policy import SAME
from .windows import LastCalls


@dataclass(eq=False, slots=True)
class BreakerPermit(Permit):
    """For a call in one *generation* of the breaker; that of a probe ends at *expires_at* (seconds)."""

    generation: int
    expires_at: float = inf


class Probes:
    """Of one half-open period. In flight plus judged never exceeds the permitted number, unless *success_threshold* counts instead."""

    def __init__(self, options: BreakerOptions, generation: int) -> None:
        self.options = options
        self.generation = generation
        self.permitted = options.permitted_number_of_calls_in_half_open_state
        self.concurrent = options.half_open_max_concurrent or self.permitted
        self.counts = LastCalls(options.success_threshold or self.permitted)
        self._out: dict[BreakerPermit, None] = {}  # in the order in which they went out

    def try_acquire(self, now: float) -> BreakerPermit | None:
        """A permit for one probe, or None."""
        self._end_leases(now)
        out = len(self._out)
        if out >= self.concurrent or (self.options.success_threshold is None and out + self.counts.sums[0] >= self.permitted):
            return None
        permit = BreakerPermit(self.generation, now + self.options.probe_lease)
        self._out[permit] = None
        return permit

    def give_back(self, permit: BreakerPermit, now: float) -> bool:
        """The probe is no longer in flight; False if its answer comes too late, or a second time."""
        self._end_leases(now)
        return self._out.pop(permit, self) is None

    def judge(self, failed: bool, slow: bool, now: float) -> bool | None:
        """Count a probe. True: the dependency is well. False: it is not. None: not known yet."""
        self.counts.add(failed, slow, now)
        sums = self.counts.sums
        if self.options.success_threshold is not None:
            return False if failed or slow else (sums[0] >= self.options.success_threshold or None)
        if sums[0] < self.permitted:
            return None
        return not (self.options.failure_trips(sums, self.options.failure_rate_threshold) or self.options.slow_trips(sums))

    def next_lease_end(self) -> float:
        """When a permit is free again at the latest (seconds); infinite if none is out."""
        return min((permit.expires_at for permit in self._out), default=inf)

    def _end_leases(self, now: float) -> None:
        for permit in [permit for permit in self._out if permit.expires_at <= now + SAME]:
            del self._out[permit]
