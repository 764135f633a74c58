"""What recording costs: the share of a run's CPU time that is spent on taking down what happens.

    python tests/benchmarks/bench_recording.py

A run without any recording would measure nothing and could not be checked, so the parts are measured: what one row costs (packed and
written, with spilling to disk) times the rows of a run, and what all samples of its gauges took.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

from sim.lab.run import run
from sim.scenario.load import load_scenario
from sim.telemetry.columns import SPAN, Rows, pack_span
from sim.telemetry.recorder import Recorder

SCENARIOS = Path(__file__).parent / "scenarios"
ROWS = 1_000_000
SPILL_EVERY = 1000  # rows, about what a sampling step brings


def seconds_per_row() -> float:
    """Of CPU time, for one span."""
    rows = Rows(SPAN)
    began = process_time()
    for number in range(ROWS):
        rows.write(pack_span(number, number, number, 1.0, 2.0, 0.5, 1, 2, 3, 4, 200, 1, 0, 0))
        if number % SPILL_EVERY == 0:
            rows.spill()
    return (process_time() - began) / ROWS


def main() -> None:
    """Print the share for each scenario."""
    row = seconds_per_row()
    print(f"a row: {1e6 * row:.2f} us of CPU")
    sample, sampling = Recorder.sample, 0.0

    def timed(recorder: Recorder) -> None:
        nonlocal sampling
        began = process_time()
        sample(recorder)
        sampling += process_time() - began

    Recorder.sample = timed  # type: ignore[method-assign]
    for name in ("chain", "load-balancer"):
        scenario = load_scenario(SCENARIOS / f"{name}.yaml", options={"duration": "60s"}).scenario
        sampling, began = 0.0, process_time()
        result = run(scenario)
        spent = process_time() - began
        rows = len(result.spans) + len(result.requests)
        print(f"{name}: {rows:,} rows {100 * rows * row / spent:.1f} %, {sampling:.2f} s of samples {100 * sampling / spent:.1f} % "
              f"of {spent:.1f} s (aim: less than 15 % together)")


if __name__ == "__main__":
    main()
