"""How many runs the guided search needs until the first violation on the shipped scenarios, beside striking at random.

    python tests/benchmarks/bench_explore.py [SEEDS]

`random` draws kind, place, time, length and severity, and a second fault a third of the time; `at worst` draws kinds and places alone,
and strikes as long and as hard as the guided search. Mean over so many seeds (default: 10), each with a good run of its own; a search
that found nothing counts as all the runs it was allowed. Scenarios are cut short, and the busiest of them get less load.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from sim.lab.explore.search import candidates, first_violation, guided_order, random_order
from sim.lab.explore.trials import Trials, judged, run_under
from sim.scenario.load import load_scenario
from sim.scenario.scenario import Scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
BUDGET = 40


@dataclass(frozen=True)
class Case:
    """A shipped scenario, and how it is cut short."""

    path: str
    duration: str = "12s"
    warmup: str = "2s"
    variant: str | None = None
    more: tuple[str, ...] = ()
    note: str = ""

    @property
    def title(self) -> str:
        """As the table has it."""
        return " ".join(filter(None, (self.path, self.variant, self.note)))

    def load(self) -> Scenario:
        """Without its own faults, checks and conditions for an early end: none of them is part of the search."""
        overrides = [f"warmup={self.warmup}", "faults=[]", "checks=[]", "abort_if=[]", *self.more]
        return load_scenario(SCENARIOS / self.path, variant=self.variant, overrides=overrides, options={"duration": self.duration}).scenario


CASES = (
    Case("ecommerce/checkout-steps.yaml"),
    Case("topologies/hotel-reservation.yaml", more=("workloads.guests.rate=150/s",)),
    Case("topologies/online-boutique.yaml"),
    Case("topologies/social-network.yaml", "26s", more=("workloads.members.rate=60/s",)),  # whose callers wait 10 s
    Case("topologies/sock-shop.yaml", more=("workloads.shoppers.rate=100/s",)),
    Case("bugs/missing-timeout.yaml"),
    Case("bugs/shared-breaker.yaml"),
    Case("bugs/shared-breaker.yaml", variant="fixed"),
)
LOOSE = tuple(  # only what costs every third request counts
    replace(case, more=(*case.more, f"steady_state=[{{measure: success_ratio, of: {workload}, at_least: 70%}}]"), note="at 70%")
    for case, workload in zip(CASES, ("shoppers", "guests", "shoppers"), strict=False)
)
SLOW = (Case("ecommerce/checkout.yaml", "22s", "12s"),)  # services in Python, which the registry has to find first


def runs_until_broken(case: Case, seed: int) -> dict[str, int]:
    """By way of searching, the runs until the first violation."""
    scenario = case.load()
    good = run_under(scenario, [], seed)
    assert not judged(good).broken, f"{case.path} is not well by itself: {judged(good).broken}"
    every = candidates(scenario, good)
    orders = {"guided": guided_order(scenario, every, good), "random": random_order(scenario, every, seed),
              "at worst": random_order(scenario, every, seed, at_worst=True)}
    needed = {}
    for name, order in orders.items():
        with Trials(scenario, good, 1) as trials:
            first_violation(order, trials, BUDGET)
            needed[name] = trials.runs
    return needed


def means(runs: list[dict[str, int]]) -> Mapping[str, float]:
    """By way of searching, over the seeds."""
    return {name: mean(one[name] for one in runs) for name in runs[0]}


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(f"  {'runs until the first violation':<44}{'guided':>8}{'random':>8}{'at worst':>10}")
    for case in (*CASES, *LOOSE, *SLOW):
        found = means([runs_until_broken(case, seed) for seed in range(1, seeds + 1)])
        print(f"  {case.title:<44}{found['guided']:>8.1f}{found['random']:>8.1f}{found['at worst']:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
