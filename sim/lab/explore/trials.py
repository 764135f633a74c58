"""Trying out plans: a run each, in this process or in several, with the same outcome whatever their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from sim.faults.faults import AnyFault
from sim.lab.explore.lineage import Absorbed, Carried, Lineage
from sim.lab.measuring import Evidence, measured
from sim.lab.pool import processes
from sim.lab.run import run_whole
from sim.scenario.measures import within
from sim.scenario.scenario import FaultPlan, Scenario
from sim.telemetry.result import RunResult

Plan = Sequence[dict[str, Any]]  # faults as a plan writes them
Check = Mapping[str, Any]  # an entry of summary.json's `checks`


@dataclass(frozen=True)
class Trial:
    """What came of one plan: what of the steady state *failed*, and the least *margin* to a bound, below 0 beyond it.

    By condition what *carried* the good outcomes while the faults were on, and by edge which failures were *absorbed*.
    """

    failed: tuple[Check, ...]
    margin: float
    carried: Mapping[str | None, Carried] = field(default_factory=dict)
    absorbed: Mapping[str, Absorbed] = field(default_factory=dict)

    @property
    def broken(self) -> tuple[str, ...]:
        """What failed, for people."""
        return tuple(check["title"] for check in self.failed)


def faults_of(plan: Plan) -> list[AnyFault]:
    """The plan's faults, validated."""
    return FaultPlan.model_validate({"name": "plan", "faults": list(plan)}).faults


def run_under(scenario: Scenario, plan: Plan, seed: int) -> RunResult:
    """A run of *scenario* under *plan* alone; its own faults are left out."""
    return run_whole(scenario.model_copy(update={"faults": faults_of(plan), "checks": [], "abort_if": []}), seed)


def judged(result: RunResult) -> Trial:
    """The trial that *result* was."""
    checks = result.summary["checks"]
    failed = tuple(check for check in checks if not check["passed"])
    margin = min(map(_room, checks), default=1.0)
    if not result.faults:
        return Trial(failed, margin)
    since = min(fault.start for fault in result.faults)
    until = max(result.duration if fault.until is None else fault.until for fault in result.faults)
    lineage = Lineage(result)
    carried = {of: lineage.carried(of, {}, since, until) for of in dict.fromkeys(check["of"] for check in checks)}
    return Trial(failed, margin, carried, lineage.absorbed(since, until))


def _room(check: Check) -> float:
    """How far a measure is from its bound, relative to the bound; 0 is on it, below 0 beyond it."""
    measured, bound = check["measured"], check["bound"]
    if measured is None:
        return -1.0
    sign = 1.0 if check["op"] == "at_least" else -1.0
    return float(sign * (measured - bound) / abs(bound)) if bound else float(sign * measured)


def _try(scenario: Scenario, plan: Plan, seed: int) -> Trial:
    return judged(run_under(scenario, plan, seed))


class Trials:
    """Runs plans and counts them; *jobs* processes at most. A condition that does not hold in the same seconds of the *good* run either
    was not broken by the faults: chance may do that in a short time."""

    def __init__(self, scenario: Scenario, good: RunResult, jobs: int) -> None:
        self._scenario, self._seed, self._jobs = scenario, good.seed, jobs
        self._good = Evidence.of(good)
        self._pool: ProcessPoolExecutor | None = None
        self.runs = 0  # whose outcome was asked for

    def __enter__(self) -> Trials:
        if self._jobs > 1:
            self._pool = processes(self._jobs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def of(self, plans: Sequence[Plan]) -> Iterator[Trial]:
        """A trial of each, in order. Who looks at no more of them has not asked for the rest."""
        if self._pool is None:
            for plan in plans:
                self.runs += 1
                yield self.caused(_try(self._scenario, plan, self._seed))
            return
        waiting = [self._pool.submit(_try, self._scenario, plan, self._seed) for plan in plans]
        try:
            for trial in waiting:
                self.runs += 1
                yield self.caused(trial.result())
        finally:
            for trial in waiting:
                trial.cancel()

    def breaks(self, plan: Plan) -> bool:
        """The plan breaks the steady state."""
        (trial,) = self.of([plan])
        return bool(trial.failed)

    def caused(self, trial: Trial) -> Trial:
        """The same, without what fails in the good run as well."""
        return replace(trial, failed=tuple(check for check in trial.failed if self._holds_without(check)))

    def _holds_without(self, check: Check) -> bool:
        wanted = check["name"], check["measure"], check["of"]
        asked = next(asked for asked in self._scenario.steady_state if (asked.title, asked.measure, asked.of) == wanted)
        value = measured(self._good, asked, check["from_s"], check["until_s"])
        return value is not None and within(value, check["op"], check["bound"])
