"""Scenarios for theory: built from text, run for several seeds, reduced to means with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import mean, stdev
from typing import Any

from sim import RunResult, loads, run

T_999 = {4: 8.610, 5: 6.869, 7: 5.408, 9: 4.781, 19: 3.883}  # Student's t, two-sided 99.9 %, by degrees of freedom


def simulate(text: str, seed: int = 1) -> RunResult:
    """One run of the scenario in *text*."""
    return run(loads(text), seed)


def replicate(text: str, figure: Callable[[RunResult], float], seeds: int = 5, first: int = 1) -> tuple[float, float]:
    """(mean, half-width of the 99.9 % interval) of *figure* over independent runs."""
    values = [figure(simulate(text, seed)) for seed in range(first, first + seeds)]
    return mean(values), T_999[seeds - 1] * stdev(values) / math.sqrt(seeds)


def station(rate: float, service: str, *, workers: int = 1, queue: int = 10**6, duration: float, warmup: float, more: str = "",
            arrivals: str = "arrivals: poisson") -> str:
    """One service in front of a workload, with no network in between."""
    return f"""
name: station
duration: {duration}s
warmup: {warmup}s
network: {{default: {{latency: 0ms}}}}
services:
  server:
    workers: {workers}
    queue: {{limit: {queue}}}
    {more}
    endpoints: {{GET /: [{{work: {service}}}]}}
workloads:
  users: {{executor: constant-arrival-rate, rate: {rate}/s, {arrivals}, to: server, max_in_flight: 10000000, mix: [{{send: GET /}}]}}
"""


def latency(result: RunResult, quantile: str = "mean") -> float:
    """Of all users, seconds."""
    return float(result.summary["workloads"]["users"]["latency_s"][quantile])


def of(result: RunResult, *path: str) -> Any:
    """One figure of the summary."""
    value: Any = result.summary
    for key in path:
        value = value[key]
    return value
