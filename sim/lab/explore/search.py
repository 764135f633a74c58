"""The search itself: good run, single strikes, pairs of those that came nearest, then shrinking and telling."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sim.errors import InvalidInput
from sim.lab.explore.explanation import told
from sim.lab.explore.shrink import shrunk
from sim.lab.explore.strikes import Strike, length_below, strikes
from sim.lab.explore.support import support_of
from sim.lab.explore.trials import Trial, Trials, judged, run_under
from sim.scenario.scenario import Scenario
from sim.streams import Streams

BATCH = 4  # plans that are tried together: fixed, so that the outcome does not depend on the number of processes
TIRED = 0.5  # what a part's other strikes are worth once one of them did not break anything
PAIRED = 12  # the nearest misses that are combined


@dataclass(frozen=True)
class Exploration:
    """What was found. *plan* is empty where nothing broke the system within the budget."""

    scenario: str
    seed: int
    plan: Sequence[dict[str, Any]]
    first: Sequence[dict[str, Any]]  # as it was found, before it was made smaller
    runs_to_find: int
    runs: int
    lines: Sequence[str]  # what it did
    well: bool  # the good run held its steady state


def explore(scenario: Scenario, seed: int | None = None, *, runs: int = 60, jobs: int = 1, at_random: bool = False,
            on_trial: Callable[[int, str, Trial], None] | None = None) -> Exploration:
    """Search within *runs* runs for a plan that breaks the steady state of *scenario*, and shrink it (which takes some runs more).

    *at_random* tries strikes in random order instead, as a yardstick. *on_trial* is told of each: its number, the plan in
    short, what came of it. Raise InvalidInput if the scenario has no steady state to break.
    """
    if not scenario.steady_state:
        example = "{measure: success_ratio, of: shoppers, at_least: 99%}"
        raise InvalidInput(f"{scenario.name} has no `steady_state` to break: say what must hold, for example {example}")
    seed = scenario.seed if seed is None else seed
    good = run_under(scenario, [], seed)
    if judged(good).broken:
        return Exploration(scenario.name, seed, [], [], 0, 1, _failed(judged(good)), well=False)
    begin, rest = _when(scenario)
    every = strikes(scenario, support_of(good, scenario), begin, length_below(rest / 2))
    order = _Random(every, seed) if at_random else _Guided(every)
    with Trials(scenario, seed, jobs) as trials:
        found = _find(order, trials, runs, on_trial)
        if found is None:
            return Exploration(scenario.name, seed, [], [], trials.runs, trials.runs, [], well=True)
        to_find = trials.runs
        small = shrunk(list(found), lambda plan: trials.breaks(_plan(plan)))
        total = trials.runs
    lines = told(run_under(scenario, _plan(small), seed), good, begin)
    return Exploration(scenario.name, seed, _plan(small), _plan(found), to_find, total, lines, well=True)


def _when(scenario: Scenario) -> tuple[float, float]:
    """(when to strike, seconds that are left then): a quarter into what counts."""
    counted = scenario.duration - scenario.warmup
    begin = float(round(scenario.warmup + counted / 4)) if counted > 8 else scenario.warmup + counted / 4
    return begin, scenario.duration - begin


def _plan(plan: Sequence[Strike]) -> list[dict[str, Any]]:
    return [strike.fault(f"{strike.kind.partition('.')[2]}-{number}") for number, strike in enumerate(plan, 1)]


def _failed(trial: Trial) -> list[str]:
    return [f"does not hold without any fault: {name}" for name in trial.broken]


def _find(order: _Order, trials: Trials, budget: int, on_trial: Callable[[int, str, Trial], None] | None) -> tuple[Strike, ...] | None:
    """The first plan in order that breaks the system, or None when the budget is spent or nothing is left to try."""
    while trials.runs < budget:
        batch = order.next(min(BATCH, budget - trials.runs))
        if not batch:
            return None
        done = trials.runs
        outcomes = trials.all_of([_plan(plan) for plan in batch])
        for number, (plan, outcome) in enumerate(zip(batch, outcomes, strict=True), done + 1):
            if on_trial is not None:
                on_trial(number, " + ".join(f"{strike.kind} {strike.part}" for strike in plan), outcome)
            order.learn(plan, outcome)
            if outcome.broken:
                trials.runs = number  # those behind it in the batch were run for nothing
                return plan
    return None


class _Order:
    """In which order plans are tried."""

    def next(self, most: int) -> list[tuple[Strike, ...]]:
        raise NotImplementedError

    def learn(self, plan: tuple[Strike, ...], outcome: Trial) -> None:
        """What came of a plan."""


class _Random(_Order):
    """Single strikes and pairs, as they come: the yardstick."""

    def __init__(self, every: list[Strike], seed: int) -> None:
        self._every, self._dice = every, Streams(seed)["explore at random"]

    def next(self, most: int) -> list[tuple[Strike, ...]]:
        dice: random.Random = self._dice
        return [tuple(dice.sample(self._every, min(len(self._every), dice.choice((1, 1, 2))))) for _ in range(most)] if self._every else []


class _Guided(_Order):
    """Single strikes by weight, where parts that withstood one are worth less; then pairs of the nearest misses."""

    def __init__(self, every: list[Strike]) -> None:
        self._left = list(every)
        self._worth: dict[str, float] = {}
        self._misses: list[tuple[float, Strike]] = []
        self._pairs: Iterator[tuple[Strike, ...]] | None = None

    def next(self, most: int) -> list[tuple[Strike, ...]]:
        chosen: list[tuple[Strike, ...]] = []
        while self._left and len(chosen) < most:
            best = max(self._left, key=lambda strike: strike.weight * self._worth.get(strike.part, 1.0))
            self._left.remove(best)
            self._worth[best.part] = self._worth.get(best.part, 1.0) * TIRED
            chosen.append((best,))
        if not chosen:
            if self._pairs is None:
                nearest = [strike for _, strike in sorted(self._misses, key=lambda miss: miss[0])[:PAIRED]]
                self._pairs = (pair for pair in combinations(nearest, 2) if pair[0].part != pair[1].part)
            chosen = [pair for pair, _ in zip(self._pairs, range(most), strict=False)]
        return chosen

    def learn(self, plan: tuple[Strike, ...], outcome: Trial) -> None:
        if len(plan) == 1:
            self._misses.append((outcome.margin, plan[0]))
