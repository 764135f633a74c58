"""Two variants of a scenario on the same seeds. Common random numbers: both meet the same arrivals and the same service times wherever
they agree, so the difference of each pair is far more certain than either figure (Law, Simulation Modeling and Analysis, 11.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sim.lab.pool import finished
from sim.lab.run import run_whole
from sim.scenario.scenario import Scenario
from sim.telemetry.result import RunResult, Spans


@dataclass(frozen=True)
class Task:
    """One run."""

    scenario: Scenario
    seed: int


def compare(first: Scenario, second: Scenario, seeds: Sequence[int], *, jobs: int = 1,
            on_run: Callable[[int, int], None] | None = None) -> tuple[list[RunResult], list[RunResult]]:
    """Runs of *first* and of *second*, in the order of *seeds*; without their spans, which are not compared and would fill the memory."""
    tasks = [Task(scenario, seed) for seed in seeds for scenario in (first, second)]
    results: list[RunResult | None] = [None] * len(tasks)
    for done, (index, result) in enumerate(finished(run_lean, tasks, jobs), 1):
        results[index] = result
        if on_run is not None:
            on_run(done, len(tasks))
    whole = [result for result in results if result is not None]
    return whole[0::2], whole[1::2]


def run_lean(task: Task) -> RunResult:
    """A run without its spans, logs and attributes."""
    result = run_whole(task.scenario, task.seed)
    return replace(result, spans=Spans(result.spans.rows[:0].copy()), logs=(), attributes={})
