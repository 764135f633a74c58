"""What a strike is worth trying: how much of what the steady state asks for passes the parts that it hits.

    worth = how surely it stops (or slows) what passes · reach / (reach + what may be missing before the bound is broken)

*Reach* is the share of good outcomes that the part carried. What stands behind an edge that can be done without (a fallback, a stale
cache, an optional call) carries less; how much less is a guess until calls on that edge have failed, and is then what became of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sim.lab.explore.lineage import Absorbed, Carried, Lineage
from sim.lab.explore.strikes import Strike
from sim.model.gateway_routes import PartSpec
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.model.steps import Call
from sim.resilience.fallback import FallbackSpec
from sim.resilience.stale_cache import StaleCacheSpec
from sim.scenario.calls import references
from sim.scenario.measures import SteadyState, percentile
from sim.scenario.scenario import Scenario
from sim.scenario.walk import written

SOFTENING = (FallbackSpec, StaleCacheSpec)  # policies that answer in place of the dependency
SOFT = 0.3  # of the failures behind them reach the user, as long as nobody has seen one
GUESSED = 5  # failed calls that a guess counts as
STOPPED, SLOWED = ("success_ratio", "goodput", "throughput", "error_share"), ("latency",)  # what moves these measures; else either
SPARE = 0.01  # of the outcomes that may be missing where a bound does not say it
UNJUDGED = 0.1  # worth of what is over before the grace is
BESIDES = 0.02  # worth of what carries nothing that is asked for: it may still take away what others share
LEAST_RISE = 0.1  # of the share that a part carries, before it counts as having taken over
BY_CHANCE = 2.0  # a share of n outcomes may rise by so much over the root of n: four standard deviations, or more


@dataclass(frozen=True)
class Clause:
    """What one condition of the steady state asks of whom; *spare* is the share of outcomes that may be missing."""

    of: str | None
    by_stopping: bool
    by_slowing: bool
    spare: float
    grace: float

    def worth(self, strike: Strike, stopped: Mapping[str, float], slowed: Mapping[str, float]) -> float:
        """Of *strike*, where its parts carry so much as far as stopping and as slowing them is concerned."""
        means = strike.means
        most = max(means.stops * self._moved(strike, stopped) if self.by_stopping else 0.0,
                   means.slows * self._moved(strike, slowed) if self.by_slowing else 0.0)
        return most if strike.length > self.grace or means.momentary else most * UNJUDGED

    def _moved(self, strike: Strike, reach: Mapping[str, float]) -> float:
        most = max(share * reach.get(part, 0.0) for part, share in strike.hits)
        return most / (most + self.spare)


def clauses(scenario: Scenario) -> list[Clause]:
    """The steady state of a scenario as the search sees it."""
    return [_clause(asked) for asked in scenario.steady_state]


def _clause(asked: SteadyState) -> Clause:
    word, bounds, spare = asked.measure.partition(".")[0], dict(asked.bounds()), SPARE
    share = percentile(asked.measure)
    if share is not None:
        spare = 1 - share
    elif asked.measure == "success_ratio":
        spare = 1 - bounds.get("at_least", 1 - SPARE)
    elif asked.measure == "error_share":
        spare = bounds.get("at_most", SPARE)
    return Clause(asked.of, word not in SLOWED, word not in STOPPED, max(spare, 1e-6), asked.grace)


def soft_edges(scenario: Scenario) -> set[str]:
    """Edges that the caller says it can do without."""
    return {f"{name}->{callee}" for name, spec in scenario.services.items() for callee in _dispensable(spec)}


def _dispensable(spec: NodeSpec) -> Iterator[str]:
    yield from (callee for callee, use in spec.uses.items() if any(type(policy) in SOFTENING for policy in use.policies))
    calls = Counter(reference.target.node for reference in references(spec, ()))
    optional = Counter(target.node for _, part in written(spec, ()) if isinstance(part, Call | PartSpec) and part.optional
                       for _, target in written(part, ()) if isinstance(target, Target))
    yield from (callee for callee, number in optional.items() if number == calls[callee])


class Worth:
    """Judges strikes by the lineage of the good run and by what those that were tried have shown."""

    def __init__(self, scenario: Scenario, good: Lineage) -> None:
        self._good, self._clauses, self._soft = good, clauses(scenario), soft_edges(scenario)
        self._usual = {clause.of: good.carried(clause.of, {}) for clause in self._clauses}
        self._passed = {name for edge in good.edges() for name in (edge, edge.rpartition("->")[2])}
        self._seen: dict[str, Absorbed] = {}
        self.learn(good.absorbed())

    def learn(self, absorbed: Mapping[str, Absorbed]) -> None:
        """Take to heart which failures of calls did not matter to the callers."""
        for edge, more in absorbed.items():
            wrong, saved = self._seen.get(edge, (0, 0))
            self._seen[edge] = (wrong + more[0], saved + more[1])
        hardness = {edge: self._hardness(edge) for edge in sorted({*self._soft, *self._seen})}
        self._hard = {of: self._good.carried(of, hardness).parts for of in self._usual}

    def _hardness(self, edge: str) -> float:
        wrong, saved = self._seen.get(edge, (0, 0))
        guess = SOFT if edge in self._soft else 1.0
        return (guess * GUESSED + wrong - saved) / (GUESSED + wrong)

    def of(self, strike: Strike) -> float:
        """Of a single strike; 0 if nothing passes what it hits."""
        besides = BESIDES * max(strike.means.stops, strike.means.slows) if any(part in self._passed for part, _ in strike.hits) else 0.0
        return max(besides, *(clause.worth(strike, self._hard[clause.of], self._usual[clause.of].parts) for clause in self._clauses))

    def rises(self, carried: Mapping[str | None, Carried]) -> dict[str | None, dict[str, float]]:
        """By condition, which parts came to carry more than in the good run, and how much more: they have taken over."""
        return {of: {part: share - self._usual[of].parts.get(part, 0.0) for part, share in now.parts.items()
                     if share - self._usual[of].parts.get(part, 0.0) > max(LEAST_RISE, BY_CHANCE / now.outcomes**0.5)}
                for of, now in carried.items() if of in self._usual}

    def besides(self, strike: Strike, rises: Mapping[str | None, Mapping[str, float]]) -> float:
        """Of a strike on top of what made parts take over: what they carry instead is lost with them."""
        return max(clause.worth(strike, rises.get(clause.of, {}), rises.get(clause.of, {})) for clause in self._clauses)
