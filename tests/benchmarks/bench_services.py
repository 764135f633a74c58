"""What service code costs beside the same steps in YAML, and how fast ASGI apps are that call each other with httpx.

    python tests/benchmarks/bench_services.py [SECONDS]

The bounds: service code takes at most twice the CPU time of steps; 1,500 requests a second through three apps.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
TURNS = 3
RUN = """
import sys
from time import process_time
import numpy
from sim import loads, run
scenario = loads(sys.stdin.read())
began = process_time()
result = run(scenario)
print(len(result.requests) / (process_time() - began))
"""
NAMES = {"gateway": "Gateway", "orders": "Orders", "payments": "Payments"}


def chain(kind: str, seconds: float) -> str:
    """The chain of three services: as it is written, with `code`, or with `asgi`."""
    import yaml

    written = yaml.safe_load((HERE / "scenarios" / "chain.yaml").read_text(encoding="utf-8"))
    written["duration"] = f"{seconds:g}s"
    for name, service in written["services"].items():
        if kind != "steps":
            del service["endpoints"]
            service[kind] = f"tests.benchmarks.chain_code:{NAMES[name] if kind == 'code' else name}"
            service["work"] = {"exponential": "5ms"}
    return str(yaml.safe_dump(written))


def speed(kind: str, seconds: float) -> float:
    """User requests for each second of CPU time, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", RUN], input=chain(kind, seconds), capture_output=True, text=True,
                          cwd=HERE.parent.parent, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout)


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    speeds = {kind: median(speed(kind, seconds) for _ in range(TURNS)) for kind in ("steps", "code", "asgi")}
    for kind, requests in speeds.items():
        print(f"{kind:6} {requests:9,.0f} requests/s through three services   {speeds['steps'] / requests:5.2f} times the cost of steps")


if __name__ == "__main__":
    main()
