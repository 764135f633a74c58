"""Trying out plans: a run each, in this process or in several, with the same outcome whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from sim.faults.faults import AnyFault
from sim.lab.run import run
from sim.scenario.scenario import FaultPlan, Scenario
from sim.telemetry.result import RunResult

Plan = Sequence[dict[str, Any]]  # faults as a plan writes them


@dataclass(frozen=True)
class Trial:
    """What came of one plan: *broken* is what of the steady state did not hold, *margin* the least room to a bound, below 0 if broken."""

    broken: tuple[str, ...]
    margin: float
    verdict: str


def faults_of(plan: Plan) -> list[AnyFault]:
    """The plan's faults, validated."""
    return FaultPlan.model_validate({"name": "plan", "faults": list(plan)}).faults


def run_under(scenario: Scenario, plan: Plan, seed: int) -> RunResult:
    """A run of *scenario* under *plan* alone; its own faults are left out."""
    return run(scenario.model_copy(update={"faults": faults_of(plan), "checks": [], "abort_if": []}), seed)


def judged(result: RunResult) -> Trial:
    """The trial that *result* was."""
    checks = result.summary["checks"]
    broken = tuple(check["title"] for check in checks if not check["passed"])
    return Trial(broken, min((_room(check) for check in checks), default=1.0), result.summary["verdict"])


def _room(check: dict[str, Any]) -> float:
    """How far a measure is from its bound, relative to the bound; 0 is on it, below 0 beyond it."""
    measured, bound = check["measured"], check["bound"]
    if measured is None:
        return -1.0
    sign = 1.0 if check["op"] == "at_least" else -1.0
    return float(sign * (measured - bound) / abs(bound)) if bound else float(sign * measured)


def _try(scenario: Scenario, plan: Plan, seed: int) -> Trial:
    return judged(run_under(scenario, plan, seed))


class Trials:
    """Runs plans and counts them; *jobs* processes at most."""

    def __init__(self, scenario: Scenario, seed: int, jobs: int) -> None:
        self._scenario, self._seed, self._jobs = scenario, seed, jobs
        self._pool: ProcessPoolExecutor | None = None
        self.runs = 0

    def __enter__(self) -> Trials:
        if self._jobs > 1:
            self._pool = ProcessPoolExecutor(self._jobs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def all_of(self, plans: Sequence[Plan]) -> list[Trial]:
        """A trial of each, in order."""
        self.runs += len(plans)
        if self._pool is None:
            return [_try(self._scenario, plan, self._seed) for plan in plans]
        waiting = [self._pool.submit(_try, self._scenario, plan, self._seed) for plan in plans]
        return [trial.result() for trial in waiting]

    def breaks(self, plan: Plan) -> bool:
        """The plan breaks the steady state."""
        return bool(self.all_of([plan])[0].broken)
