"""A small world whose every time is a constant, so that what a fault does can be computed.

    web  100/s ─▶ front (1 ms) ─▶ back (10 ms, three instances in zones a, b, c)
    data 100/s ─▶ front ─▶ db (2 ms)         reads 100/s ─▶ front ─▶ cache (1 ms)  ─miss─▶ db
    every message takes 1 ms
"""

from __future__ import annotations

import copy
from typing import Any

from sim.lab.measuring import Evidence, measured
from sim.lab.run import run
from sim.scenario.measures import Check
from sim.scenario.scenario import Scenario
from sim.telemetry.result import RunResult

WORLD: dict[str, Any] = {
    "name": "small", "duration": "12s", "seed": 7,
    "network": {"default": {"latency": "1ms"}, "zones": {"a": {}, "b": {}, "c": {}}},
    "services": {
        "front": {
            "instances": 2, "workers": 1000,
            "uses": {callee: {"policies": [{"timeout": "1s"}]} for callee in ("back", "db", "cache")},
            "endpoints": {
                "GET /": [{"work": "1ms"}, {"call": "back GET /x"}],
                "GET /db": [{"work": "1ms"}, {"query": {"database": "db", "statement": "write"}}],
                "GET /cache": [{"work": "1ms"}, {"cache": "cache", "key": {"uniform": {"items": 20}}, "miss": [{"query": "db"}]}],
            },
        },
        "back": {"instances": 3, "workers": 20, "zone": "spread", "endpoints": {"GET /x": [{"work": "10ms"}]}},
        "db": {"kind": "database", "connections": 20, "query": "2ms"},
        "cache": {"kind": "cache", "capacity": 1000, "latency": "1ms"},
    },
    "workloads": {
        name: {"rate": "100/s", "arrivals": "uniform", "to": "front", "timeout": "5s", "mix": [{"send": send}]}
        for name, send in (("web", "GET /"), ("data", "GET /db"), ("reads", "GET /cache"))
    },
}
BASE = {"web": 0.015, "data": 0.007, "reads": 0.006}  # seconds; reads: of a hit
BEFORE, DURING, AFTER = (1.0, 3.9), (4.25, 7.75), (9.5, 11.5)  # a fault lasts from 4 s to 8 s


def scenario(*faults: dict[str, Any], **changes: Any) -> Scenario:
    """The small world under *faults*, which last from 4 s to 8 s where they say nothing else; *changes* by path with `__` for a dot."""
    data = copy.deepcopy(WORLD)
    data["faults"] = [{"schedule": {"at": "4s", "for": "4s"}, **fault} for fault in faults]
    for path, value in changes.items():
        *parents, last = path.split("__")
        at = data
        for parent in parents:
            at = at[parent]
        at[last] = value
    return Scenario.model_validate(data)


def measure(result: RunResult, what: str, of: str, window: tuple[float, float], **more: Any) -> float:
    """One measure over a window; NaN where there is nothing to measure."""
    asked = Check.model_construct(measure=what, of=of, status=more.get("status"))
    value = measured(Evidence.of(result), asked, *window)
    return float("nan") if value is None else value


def ran(*faults: dict[str, Any], **changes: Any) -> RunResult:
    """The small world, run under *faults*."""
    return run(scenario(*faults, **changes))
