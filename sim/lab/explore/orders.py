"""In which order plans are tried: by what a good run and the tries so far have shown, or as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Protocol

from sim.lab.explore.strikes import LENGTHS, Strike
from sim.lab.explore.trials import Trial
from sim.lab.explore.worth import Worth
from sim.streams import Stream

Plan = tuple[Strike, ...]
TIRED = 0.5  # what other strikes at a part are worth once one is tried
DULL = 0.8  # the same for a kind of fault
PAIRED = 12  # the nearest misses that are combined
MOST = 3  # faults at the same time


class Order(Protocol):
    """Says what to try next."""

    def next(self, most: int) -> list[Plan]:
        """Up to *most* plans; none if nothing is left."""

    def learn(self, plan: Plan, trial: Trial) -> None:
        """What came of a plan that held."""


class AtRandom:
    """One fault or, a third of the time, two, of any kind anywhere, at one of the *times*, as long and as severe as it happens.

    That is the yardstick. *at_worst* draws kinds and places alone, and strikes as hard and as long as the guided search does.
    """

    def __init__(self, every: Sequence[Strike], times: Sequence[float], dice: Stream, at_worst: bool = False) -> None:
        self._every, self._times, self._dice, self._at_worst = every, times, dice, at_worst

    def next(self, most: int) -> list[Plan]:
        return [self._plan() for _ in range(most)] if self._every else []

    def _plan(self) -> Plan:
        number = min(len(self._every), self._dice.choice((1, 1, 2)))
        return tuple(self._drawn(strike) for strike in self._dice.sample(self._every, number))

    def _drawn(self, strike: Strike) -> Strike:
        if self._at_worst:
            return strike
        dice, lengths = self._dice, [length for length in LENGTHS if length <= strike.length]
        return strike.changed(at=dice.choice(self._times), length=dice.choice(lengths), rung=dice.randrange(strike.rung + 1))

    def learn(self, plan: Plan, trial: Trial) -> None:
        pass


class Guided:
    """The most promising first. A plan that held shows what took over from the parts that it hit: striking that as well is an idea.
    When no idea and no single strike is left, the nearest misses are combined."""

    def __init__(self, every: Sequence[Strike], worth: Worth) -> None:
        self._every, self._worth = every, worth
        self._left = [strike for strike in every if worth.of(strike) > 0]
        self._tired: dict[str, float] = {}
        self._ideas: list[tuple[float, Plan]] = []
        self._known: set[frozenset[Strike]] = set()
        self._misses: list[tuple[float, Strike]] = []
        self._pairs: Iterator[Plan] | None = None

    def next(self, most: int) -> list[Plan]:
        chosen: list[Plan] = []
        while len(chosen) < most and (self._left or self._ideas):
            chosen.append(self._best())
        if not chosen:
            chosen = [pair for pair, _ in zip(self._nearest(), range(most), strict=False)]
        return chosen

    def _best(self) -> Plan:
        single = max(self._left, key=self._worth_now, default=None)
        idea = max(self._ideas, key=lambda idea: idea[0], default=None)
        if single is None or (idea is not None and idea[0] > self._worth_now(single)):
            assert idea is not None
            self._ideas.remove(idea)
            return idea[1]
        self._left.remove(single)
        for name, factor in ((_struck(single), TIRED), (single.kind, DULL)):
            self._tired[name] = self._tired.get(name, 1.0) * factor
        return (single,)

    def _worth_now(self, strike: Strike) -> float:
        return self._worth.of(strike) * self._tired.get(_struck(strike), 1.0) * self._tired.get(strike.kind, 1.0)

    def _nearest(self) -> Iterator[Plan]:
        if self._pairs is None:
            nearest = [strike for _, strike in sorted(self._misses, key=lambda miss: miss[0])[:PAIRED]]
            pairs = (pair for pair in combinations(nearest, 2) if _struck(pair[0]) != _struck(pair[1]))
            self._pairs = (pair for pair in pairs if frozenset(pair) not in self._known)
        return self._pairs

    def learn(self, plan: Plan, trial: Trial) -> None:
        if len(plan) == 1:
            self._misses.append((trial.margin, plan[0]))
        self._worth.learn(trial.absorbed)
        if len(plan) < MOST:
            self._have_ideas(plan, trial)

    def _have_ideas(self, plan: Plan, trial: Trial) -> None:
        rises = self._worth.rises(trial.carried)
        best: dict[str, tuple[float, Strike]] = {}
        for strike in self._every:
            worth = self._worth.besides(strike, rises)
            if worth > best.get(_struck(strike), (0.0, strike))[0] and strike not in plan:
                best[_struck(strike)] = (worth, strike)
        for worth, strike in best.values():
            both = frozenset((*plan, strike))
            if both not in self._known:
                self._known.add(both)
                self._ideas.append((worth, (*plan, strike)))


def _struck(strike: Strike) -> str:
    """The node that is hit, or to which the calls go that are."""
    return strike.part.rpartition("->")[2]
