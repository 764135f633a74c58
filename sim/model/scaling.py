"""Work that gets in its own way: the more is done at once, the longer each part of it takes.

    time of one = time alone * (1 + contention * (n - 1) + coherency * n * (n - 1))        n: at once

So the throughput of n at once rises to a peak at n = sqrt((1 - contention) / coherency) and falls from there on: a larger pool does
less. Source: Gunther, A General Theory of Computational Scalability (the universal scalability law), 2008.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.cpu import Cpu
from sim.spec import Spec
from sim.units import Share

if TYPE_CHECKING:
    from sim.kernel import SimLoop


class ScalingSpec(Spec):
    """What each one more at once costs: *contention* for what all need (locks, log), and *coherency*, that each must know of each other."""

    contention: Share = 0.0
    coherency: Share = 0.0


class CrowdedCpu(Cpu):
    """*cores* shared by all jobs, which are also in each other's way."""

    def __init__(self, loop: SimLoop, cores: float, scaling: ScalingSpec) -> None:
        super().__init__(loop, cores)
        self._scaling = scaling

    def pace(self, jobs: int) -> float:
        return super().pace(jobs) / (1 + self._scaling.contention * (jobs - 1) + self._scaling.coherency * jobs * (jobs - 1))
