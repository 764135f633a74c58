"""What no other vocabulary has: user requests as the user sees them, sampled levels, faults, and what policies did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reports.export.answered import answered
from reports.export.counting import HTTP_BOUNDS, Grid, Labelled, counts, histograms, labelled
from reports.export.openmetrics import Family, labels_text
from sim.telemetry.codes import Outcome, status_text

from .measured import Measured


def families(measured: Measured) -> Iterator[Family]:
    requests, grid = measured.result.requests.finished, measured.grid
    served = answered(requests)
    workloads, operations = measured.names.workloads, measured.names.operations

    def outcome(values: tuple[int, ...]) -> str:
        workload, operation, status, code = values
        return labels_text({"workload": workloads[workload], "operation": operations[operation], "status": status_text(status),
                            "outcome": Outcome(code).name.lower()})

    def request(values: tuple[int, ...]) -> str:
        return labels_text({"workload": workloads[values[0]], "operation": operations[values[1]]})

    yield Family("mesocosm_requests", "counter", "User requests that have ended.",
                 counts(grid, labelled([requests.workload, requests.operation, requests.status, requests.outcome], outcome), requests.end))
    yield Family("mesocosm_request_duration_seconds", "histogram", "From the intended start of a user request to its answer.",
                 histograms(grid, labelled([served.workload, served.operation], request), served.end, served.latency, HTTP_BOUNDS),
                 unit="seconds", bounds=HTTP_BOUNDS)
    yield from _levels(measured)
    yield Family("mesocosm_fault_active", "gauge", "1 while a fault is on.", _faults(measured))
    yield Family("mesocosm_events", "counter", "What happened: faults, breakers, retries, rejections, scaling ...", _events(measured))


def _levels(measured: Measured) -> Iterator[Family]:
    """Sampled gauges, one family for each measure: the mean over the sampling interval that a scrape falls into or follows."""
    result = measured.result
    for measure in dict.fromkeys(measure for _, _, measure in result.names.gauges):
        series = []
        for node, instance, its in result.names.gauges:
            sampled = result.series(node, its, instance) if its == measure else None
            if sampled is not None and len(sampled.at):
                series.append((labels_text({"service": node, "instance": instance}), _at(measured.grid, sampled.at, sampled.mean)))
        yield Family(f"mesocosm_{_word(measure)}", "gauge", f"{measure}, mean since the last sample.", series)


def _at(grid: Grid, at: Any, values: Any) -> Any:
    import numpy as np

    return values[np.minimum(np.searchsorted(at, grid.times, side="left"), len(at) - 1)]


def _word(measure: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in measure)


def _faults(measured: Measured) -> Iterator[tuple[str, Any]]:
    """A fault that came on several times has one series."""
    times = measured.grid.times
    active: dict[str, Any] = {}
    for fault in measured.result.faults:
        labels = labels_text({"fault": fault.name, "kind": fault.kind})
        until = fault.until if fault.until is not None else measured.result.duration + 1
        active[labels] = active.get(labels, 0) | ((times >= fault.start) & (times < until)).astype(int)
    yield from active.items()


def _events(measured: Measured) -> Iterator[tuple[str, Any]]:
    import numpy as np

    events, index = measured.result.events, dict[str, int]()
    labels = [labels_text({"kind": event["kind"], "edge": event.get("edge"), "service": event.get("node")}) for event in events]
    codes = np.array([index.setdefault(text, len(index)) for text in labels], dtype=np.int64)
    at = np.array([event["at"] for event in events], dtype=float)
    yield from counts(measured.grid, Labelled(list(index), codes), at)
