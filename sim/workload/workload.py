"""What all workloads are: who they call with what, and how patient their users are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sim.resilience.policies import AnyPolicy
from sim.spec import Spec
from sim.units import Duration, PositiveDuration
from sim.workload.mix import SendSpec

if TYPE_CHECKING:
    from sim.workload.load import Executor, Load

ROUNDING = 1e-9  # of users and of requests: what arithmetic may be short of a whole one


class WorkloadSpec(Spec):
    """What all workloads have. Requests go to the node *to*, usually a gateway; *timeout* is the user's patience.

    They go to its address, behind which those who are there take turns; with `discovery: registry` they ask for that as services do.
    """

    to: str
    mix: list[SendSpec] = Field(min_length=1)
    timeout: PositiveDuration | None = None
    max_in_flight: int = Field(default=100_000, ge=1)
    policies: list[AnyPolicy] = []
    zone: str | None = None
    start_after: Duration = 0.0
    discovery: Literal["address", "registry"] = "address"

    def executor_for(self, load: Load) -> Executor:
        """What decides when to send."""
        raise NotImplementedError

    def expected_requests(self, duration: float) -> float:
        """About how many requests the workload makes in *duration* seconds; for the check against absurd sizes."""
        raise NotImplementedError

    def mean_rate(self, duration: float) -> float | None:
        """Requests per second on average, or None where it depends on the answers."""
        return self.expected_requests(duration) / duration if duration else None

    def rate_if_answered_in(self, seconds: float, duration: float) -> float:
        """Requests per second on average, if each answer takes so many *seconds*."""
        return self.mean_rate(duration) or 0.0

    def dispersion(self, duration: float) -> float:
        """Variance over mean of the number of requests in a long time; 1 is Poisson's."""
        return 1.0

    def peak(self) -> float:
        """How often the mean rate the highest one is, if arrivals are Poisson's at any time; infinite if they are not."""
        return 1.0
