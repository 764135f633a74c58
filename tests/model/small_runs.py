"""Small runs for tests of the model: scenarios from plain data, where every time is a constant unless a test wants chance."""

from __future__ import annotations

from typing import Any

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind, status_text
from sim.telemetry.result import RunResult


def users(to: str, send: str = "GET /", **more: Any) -> dict[str, Any]:
    """A workload of ten evenly spaced requests a second to one node; a key that is None is left out."""
    load = {"rate": "10/s", "arrivals": "uniform", "to": to, "mix": [{"send": send}], **more}
    return {key: value for key, value in load.items() if value is not None}


def ran(services: dict[str, Any], workloads: dict[str, Any] | None = None, duration: str = "1s", latency: str = "1ms", seed: int = 1,
        **more: Any) -> RunResult:
    """A run of *services*; without *workloads*, `users` go to the first of them, and all links take *latency*."""
    return run(Scenario.model_validate({
        "name": "small", "duration": duration, "network": {"default": {"latency": latency}}, "services": services,
        "workloads": {"users": users(next(iter(services)))} if workloads is None else workloads, **more}), seed)


def at(*times: str, to: str = "api", send: str = "GET /", **more: Any) -> dict[str, Any]:
    """A workload of single requests at given times."""
    return {"executor": "trace", "at": list(times), "to": to, "mix": [{"send": send}], **more}


def answers(result: RunResult, workload: str | None = None) -> list[tuple[str, float]]:
    """(status or reason, milliseconds from the intended start) of each finished user request, in the order of their intended starts."""
    rows = result.requests.finished.rows
    if workload is not None:
        rows = rows[rows["workload"] == result.names.workloads.index(workload)]
    rows = sorted(rows, key=lambda row: (row["intended"], row["id"]))
    return [(status_text(int(row["status"])), round(1000 * float(row["end"] - row["intended"]), 6)) for row in rows]


def spans(result: RunResult, kind: SpanKind) -> list[dict[str, Any]]:
    """Recorded spans of one kind, with names for indices, in the order of their ends."""
    names = result.names
    return [{**{field: row[field].item() for field in ("id", "parent", "trace", "start", "end", "queued", "attempt", "outcome")},
             "node": names.nodes[row["node"]], "peer": names.nodes[row["peer"]], "operation": names.operations[row["operation"]],
             "instance": names.instances[row["instance"]], "status": status_text(int(row["status"]))}
            for row in result.spans.of(kind).rows]


def of_users(result: RunResult) -> dict[str, Any]:
    """The summary of the workload `users`."""
    figures: dict[str, Any] = result.summary["workloads"]["users"]
    return figures
