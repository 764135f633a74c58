"""How long the program takes to answer where nothing is simulated, beside an empty Python.

    python tests/benchmarks/bench_startup.py

The budget: `--help` and `check` under 250 ms where `python -c pass` takes 15 ms. Processor time of whole processes, the best of several.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TURNS = 9
BUDGET_MS, EMPTY_MS = 250, 15


def best_ms(*command: str) -> float:
    """The least processor time of *command* in milliseconds; the first turn may have to compile."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(TURNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, cwd=ROOT, check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return min(times)


def main() -> None:
    """Print the table."""
    shop = "scenarios/ecommerce/checkout-steps.yaml"
    empty = best_ms("-c", "pass")
    print(f"  {'python -c pass':<60}{empty:>8.0f} ms")
    for arguments in (["--help"], ["check", shop], ["check", "tests/scenario/shop.yaml"], ["kinds", "retry"]):
        print(f"  {'mesocosm ' + ' '.join(arguments):<60}{best_ms('cli.py', *arguments):>8.0f} ms")
    print(f"  {'the budget, scaled to this machine':<60}{BUDGET_MS * max(1.0, empty / EMPTY_MS):>8.0f} ms")


if __name__ == "__main__":
    main()
