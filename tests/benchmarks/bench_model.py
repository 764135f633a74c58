"""How fast whole scenarios run, everything recorded, beside SimPy written by hand and the nearest simulators doing the same work.

    python tests/benchmarks/bench_model.py [SECONDS]

Each run is a process of its own; both sides of a ratio run in turns, and the median of their CPU times counts. A peer that is not
installed is left out; on Python 3.11 `pip install --no-deps --ignore-requires-python asyncflow-sim` brings it in.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
TURNS = 3

OURS = """
import resource, sys
from time import process_time
import numpy, simpy
from sim.lab.run import run
from sim.scenario.load import load_scenario
scenario = load_scenario(sys.argv[1], options={"duration": sys.argv[2]}).scenario
began = process_time()
result = run(scenario)
spent = process_time() - began
users = result.summary["workloads"]["users"]
print(len(result.requests) / spent, (result.spans.kind == 0).sum() / spent, users["latency_s"]["mean"],
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
SIMPY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from simpy_chain import simulate
speed, mean = simulate(int(sys.argv[2]))
print(speed / 3, speed, mean, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
ASYNCFLOW = """
import resource, sys
from time import process_time
import simpy
from asyncflow import SimulationRunner
from asyncflow.schemas.payload import SimulationPayload
def link(name, source, target, mean):
    return dict(id=name, source=source, target=target, latency=dict(mean=mean, distribution="exponential"), dropout_rate=0.0)
steps = [dict(kind="initial_parsing", step_operation=dict(cpu_time=0.002)), dict(kind="ram", step_operation=dict(necessary_ram=128)),
         dict(kind="io_db", step_operation=dict(io_waiting_time=0.012))]
endpoints = [dict(endpoint_name="/api", steps=steps)]
servers = [dict(id=f"s{k}", server_resources=dict(cpu_cores=1, ram_mb=2048), endpoints=endpoints) for k in range(2)]
payload = dict(
    rqs_input=dict(id="g", avg_active_users=dict(mean=400, distribution="normal", variance=1e-9),
                   avg_request_per_minute_per_user=dict(mean=20), user_sampling_window=60),
    topology_graph=dict(
        nodes=dict(client=dict(id="c"), servers=servers,
                   load_balancer=dict(id="lb", algorithms="round_robin", server_covered=["s0", "s1"])),
        edges=[link("gc", "g", "c", 0.003), link("cl", "c", "lb", 0.002)] + [link(f"l{k}", "lb", f"s{k}", 0.002) for k in range(2)]
        + [link(f"r{k}", f"s{k}", "c", 0.003) for k in range(2)]),
    sim_settings=dict(total_simulation_time=int(sys.argv[1]), sample_period_s=0.05))
runner = SimulationRunner(env=simpy.Environment(), simulation_input=SimulationPayload.model_validate(payload))
began = process_time()
runner.run()
spent = process_time() - began
times = [done.finish - done.start for done in next(iter(runner._client_runtime.values())).rqs_clock]
print(len(times) / spent, len(times) / spent, sum(times) / len(times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measured(code: str, *arguments: object) -> tuple[float, ...] | None:
    """(requests/s, calls/s, mean latency, peak MiB) of one run in a process of its own; None if what it needs is not installed."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    return tuple(map(float, done.stdout.split()))


def compared(title: str, column: int, unit: str, rows: dict[str, tuple[str, tuple[object, ...]]]) -> None:
    """Run each row TURNS times, in turns, and print medians with the ratio of the first row to each."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in rows}
    for _ in range(TURNS):
        for name, (code, arguments) in rows.items():
            run = measured(code, *arguments)
            if run is not None:
                found[name].append(run)
    print(f"\n{title}")
    print(f"  {'':<28}{unit:>14}{'mean latency':>16}{'peak memory':>14}{'mesocosm is':>14}")
    first = median(run[column] for run in next(iter(found.values())))
    for name, runs in found.items():
        if not runs:
            print(f"  {name:<28}{'not installed':>14}")
            continue
        speed = median(run[column] for run in runs)
        latency_ms, peak = 1000 * median(run[2] for run in runs), median(run[3] for run in runs)
        print(f"  {name:<28}{speed:>14,.0f}{latency_ms:>13.2f} ms{peak:>10.0f} MiB{first / speed:>13.2f}x")


def main() -> None:
    """Print both tables."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    chain, balanced = HERE / "scenarios" / "chain.yaml", HERE / "scenarios" / "load-balancer.yaml"
    compared("a chain of three services, a timeout on each call", 1, "calls/s", {
        "mesocosm": (OURS, (chain, f"{seconds}s")),
        "SimPy, written by hand": (SIMPY, (HERE, 1000 * seconds)),
    })
    compared("a load balancer and two servers", 0, "requests/s", {
        "mesocosm": (OURS, (balanced, f"{5 * seconds}s")),
        "asyncflow": (ASYNCFLOW, (5 * seconds,)),
    })


if __name__ == "__main__":
    main()
