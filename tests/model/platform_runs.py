"""Small scenarios for tests of what lies between services: one service in front of one other part, and a workload."""

from __future__ import annotations

from typing import Any

from sim import RunResult, loads, run


def simulate(text: str, seed: int = 1) -> RunResult:
    """One run of the scenario in *text*."""
    return run(loads(text), seed)


def shop(endpoints: dict[str, str], others: str, rate: float = 50, duration: float = 60, uses: str = "{}", of_shop: str = "", of_users: str = "",
         mix: str = "", faults: str = "", network: str = "latency: 0ms") -> str:
    """A service `shop` with *endpoints* (by name, their steps as YAML), *others* beside it, and `users` who ask for each endpoint as often."""
    lines = "\n".join(f"      {name}: {steps}" for name, steps in endpoints.items())
    sends = mix or ", ".join(f"{{send: {name}}}" for name in endpoints)
    return f"""
name: shop
duration: {duration}s
network: {{default: {{{network}}}}}
services:
  shop:
    workers: 100000
    {of_shop}
    uses: {uses}
    endpoints:
{lines}
  {others}
workloads:
  users: {{executor: constant-arrival-rate, rate: {rate}/s, to: shop, max_in_flight: 1000000, {of_users} mix: [{sends}]}}
faults: [{faults}]
"""


def statuses(result: RunResult, request: str | None = None) -> dict[str, int]:
    """How many of the users' requests ended with which status."""
    figures: dict[str, Any] = result.summary["workloads"]["users"]
    counts: dict[str, int] = (figures if request is None else figures["by_request"][request])["by_status"]
    return counts


def latency(result: RunResult, request: str | None = None, figure: str = "mean") -> float:
    """Of the users, in seconds."""
    figures: dict[str, Any] = result.summary["workloads"]["users"]
    return float((figures if request is None else figures["by_request"][request])["latency_s"][figure])


def events(result: RunResult, kind: str) -> list[dict[str, Any]]:
    """What was recorded under that name."""
    return [dict(event) for event in result.events if event["kind"] == kind]


def reasons(result: RunResult, callee: str) -> dict[int, int]:
    """Statuses and reasons with which calls to *callee* ended, as the trace has them."""
    calls = result.spans.of(0)
    mine = calls[calls.peer == result.names.nodes.index(callee)]
    counts: dict[int, int] = {}
    for status in mine.status.tolist():
        counts[status] = counts.get(status, 0) + 1
    return counts
