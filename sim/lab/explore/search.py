"""The search itself: a good run, plans one after another until one breaks it, then shrinking and telling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.errors import InvalidInput
from sim.lab.explore.explanation import Line, told
from sim.lab.explore.lineage import Lineage
from sim.lab.explore.orders import AtRandom, Guided, Order, Plan
from sim.lab.explore.shrink import shrunk
from sim.lab.explore.strikes import Strike, length_below, strikes
from sim.lab.explore.trials import Trial, Trials, judged, run_under
from sim.lab.explore.worth import Worth
from sim.scenario.scenario import Scenario
from sim.streams import Streams
from sim.telemetry.result import RunResult

BATCH = 4  # plans that are chosen together: fixed, so that the outcome does not depend on the number of processes
TIMES = (0.25, 0.375, 0.5)  # when to strike, as a share of the time that counts
BUSIER = 1.1  # times the requests that another time must have to be preferred to the first

OnTrial = Callable[[int, str, Trial], None]


@dataclass(frozen=True)
class Exploration:
    """What was found. *plan* is empty where nothing broke the system within the budget."""

    scenario: str
    seed: int
    plan: Sequence[dict[str, Any]]
    first: Sequence[dict[str, Any]]  # as it was found, before it was made smaller
    runs_to_find: int
    runs: int
    told: Sequence[Line]  # what it did
    well: bool  # the good run held its steady state
    digest: str = ""  # of a run under the plan

    @property
    def lines(self) -> list[str]:
        """What it did, in English."""
        return list(map(str, self.told))


def explore(scenario: Scenario, seed: int | None = None, *, runs: int = 60, jobs: int = 1, at_random: bool = False,
            on_trial: OnTrial | None = None) -> Exploration:
    """Search within *runs* runs for a plan that breaks the steady state of *scenario*, and shrink it (which takes some runs more).

    *at_random* tries any plan as it comes instead, as a yardstick. *on_trial* is told of each: its number, the plan in
    short, what came of it. Raise InvalidInput if the scenario has no steady state to break.
    """
    if not scenario.steady_state:
        example = "{measure: success_ratio, of: shoppers, at_least: 99%}"
        raise InvalidInput(f"{scenario.name} has no `steady_state` to break: say what must hold, for example {example}")
    seed = scenario.seed if seed is None else seed
    good = run_under(scenario, [], seed)
    if judged(good).failed:
        lines = [Line("unwell", {"name": name}) for name in judged(good).broken]
        return Exploration(scenario.name, seed, [], [], 0, 1, lines, well=False)
    every = candidates(scenario, good)
    order = random_order(scenario, every, seed) if at_random else guided_order(scenario, every, good)
    with Trials(scenario, good, jobs) as trials:
        found = first_violation(order, trials, runs, on_trial)
        if found is None:
            return Exploration(scenario.name, seed, [], [], trials.runs, trials.runs, [], well=True)
        to_find = trials.runs
        small = shrunk(list(found), lambda plan: trials.breaks(written(plan)), every)
        total = trials.runs
    plan = written(small)
    struck = {fault["name"]: strike.part for fault, strike in zip(plan, small, strict=True)}
    bad = run_under(scenario, plan, seed)
    lines = told(trials.caused(judged(bad)).failed, bad, good, struck)
    return Exploration(scenario.name, seed, plan, written(found), to_find, total, lines, well=True, digest=bad.digest)


def candidates(scenario: Scenario, good: RunResult) -> list[Strike]:
    """Every single strike, at the busiest time."""
    return strikes(scenario, Lineage(good).edges(), _busiest(scenario, good), _length(scenario))


def guided_order(scenario: Scenario, every: Sequence[Strike], good: RunResult) -> Order:
    """Led by where the good outcomes came from."""
    return Guided(every, Worth(scenario, Lineage(good)))


def random_order(scenario: Scenario, every: Sequence[Strike], seed: int, *, at_worst: bool = False) -> Order:
    """Anything anywhere, and, unless *at_worst*, at any time, as long and as severe as it happens."""
    return AtRandom(every, _times(scenario), Streams(seed)["explore at random"], at_worst)


def first_violation(order: Order, trials: Trials, budget: int, on_trial: OnTrial | None = None) -> Plan | None:
    """The first plan in order that breaks the system, or None when the budget is spent or nothing is left to try."""
    while trials.runs < budget:
        batch = order.next(min(BATCH, budget - trials.runs))
        if not batch:
            return None
        for plan, trial in zip(batch, trials.of([written(plan) for plan in batch]), strict=True):
            if on_trial is not None:
                on_trial(trials.runs, " + ".join(f"{strike.kind} {strike.part}" for strike in plan), trial)
            if trial.failed:
                return plan
            order.learn(plan, trial)
    return None


def written(plan: Sequence[Any]) -> list[dict[str, Any]]:
    """As a fault plan has it; the faults are called after their kinds."""
    return [strike.fault(f"{strike.kind.partition('.')[2]}-{number}") for number, strike in enumerate(plan, 1)]


def _times(scenario: Scenario) -> list[float]:
    """When to strike: full seconds, where there are enough of them."""
    counted = scenario.duration - scenario.warmup
    times = [scenario.warmup + share * counted for share in TIMES]
    return [float(round(at)) for at in times] if counted > 8 else times


def _length(scenario: Scenario) -> int:
    """So that as much time is left after the last strike as before the first."""
    return length_below((scenario.duration - scenario.warmup) * (1 - TIMES[0] - TIMES[-1]))


def _busiest(scenario: Scenario, good: RunResult) -> float:
    """The time at which most users come; the first, unless another has clearly more of them."""
    times, begun, length = _times(scenario), good.requests.intended, _length(scenario)
    users = [int(((begun >= at) & (begun < at + length)).sum()) for at in times]
    return times[users.index(max(users))] if max(users) > BUSIER * users[0] else times[0]
