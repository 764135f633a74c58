"""The chain of scenarios/chain.yaml as a SimPy user writes it: a process a call, a Resource for workers, `process | timeout` for patience.

    python tests/benchmarks/simpy_chain.py [REQUESTS]        prints calls per second of CPU time
"""

from __future__ import annotations

import random
import sys
from collections.abc import Generator
from time import process_time
from typing import Any

import simpy

ARRIVALS, SERVICE, HOP, PATIENCE, WORKERS = 1000.0, 0.005, 0.0005, 1.0, 64


def simulate(requests: int) -> tuple[float, float]:
    """(calls a second of CPU time, mean latency in seconds) of a run."""
    env = simpy.Environment()
    exponential = random.Random(1).expovariate
    pools = [simpy.Resource(env, WORKERS) for _ in range(3)]
    records: list[tuple[int, float, float, bool]] = []
    latencies: list[float] = []

    def far_side(depth: int) -> Generator[Any, Any, None]:
        yield env.timeout(exponential(1 / HOP))
        with pools[depth].request() as worker:
            yield worker
            yield env.timeout(exponential(1 / SERVICE))
            if depth + 1 < len(pools):
                yield from call(depth + 1)
        yield env.timeout(exponential(1 / HOP))

    def call(depth: int) -> Generator[Any, Any, None]:
        began = env.now
        answer = env.process(far_side(depth))
        yield answer | env.timeout(PATIENCE)
        records.append((depth, began, env.now, answer.triggered))

    def user() -> Generator[Any, Any, None]:
        began = env.now
        yield from call(0)
        latencies.append(env.now - began)

    def arrivals() -> Generator[Any, Any, None]:
        for _ in range(requests):
            env.process(user())
            yield env.timeout(exponential(ARRIVALS))

    env.process(arrivals())
    began = process_time()
    env.run()
    return len(records) / (process_time() - began), sum(latencies) / len(latencies)


if __name__ == "__main__":
    speed, mean = simulate(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
    print(f"{speed:,.0f} calls/s, mean {1000 * mean:.2f} ms")
