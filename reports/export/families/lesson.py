"""The four metrics of the lesson on monitoring, under its own names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reports.export.counting import CLIENT_LIBRARY_BOUNDS, Labelled, counts, histograms, under_way
from reports.export.openmetrics import Family, labels_text
from reports.export.semantics import split_operation
from sim.telemetry.codes import status_text

from .measured import Measured


def families(measured: Measured) -> Iterator[Family]:
    served, grid, bounds = measured.served, measured.grid, CLIENT_LIBRARY_BOUNDS
    nodes, operations = measured.names.nodes, measured.names.operations

    def request(node: int, operation: int, status: int) -> dict[str, Any]:
        method, endpoint = split_operation(operations[operation])
        return {"service": nodes[node], "method": method, "endpoint": endpoint, "status": status_text(status)}

    def duration(node: int, operation: int) -> dict[str, Any]:
        method, endpoint = split_operation(operations[operation])
        return {"service": nodes[node], "method": method, "endpoint": endpoint}

    yield Family("http_requests", "counter", "Requests that a service has answered.",
                 counts(grid, served.by(["node", "operation", "status"], request), served.ends))
    yield Family("http_request_duration_seconds", "histogram", "From a request's arrival to its answer, queueing included.",
                 histograms(grid, served.by(["node", "operation"], duration), served.ends, served.durations, bounds),
                 unit="seconds", bounds=bounds)
    yield Family("active_connections", "gauge", "Requests that a service has taken and not answered yet.",
                 _active(measured))
    yield Family("errors", "counter", "Errors that a service answered, and its calls that got no answer.", _errors(measured))


def _active(measured: Measured) -> Iterator[tuple[str, Any]]:
    """Requests that have ended, by their spans; and those that are still open as the run ends."""
    import numpy as np

    served, grid, nodes = measured.served, measured.grid, measured.names.nodes
    ended = under_way(grid, served.by(["node"], lambda node: {"service": nodes[node]}), served.rows["start"], served.ends)
    active = dict(ended)
    for name, about in measured.result.description.items():
        since = np.array(about.get("open", ()), dtype=float)
        if len(since):
            labels = labels_text({"service": name})
            active[labels] = active.get(labels, 0) + np.searchsorted(since, grid.times, side="right")
    yield from active.items()


def _errors(measured: Measured) -> Iterator[tuple[str, Any]]:
    """An answered error has its status as type; a failed call has the reason (timeout, connect ...) and names its callee."""
    answered, nodes, operations = measured.served.failed, measured.names.nodes, measured.names.operations
    called = measured.calls.failed
    unanswered = called.where(called.rows["status"] < 0)

    def own(node: int, status: int, operation: int) -> dict[str, Any]:
        return {"service": nodes[node], "type": status_text(status) or "error", "operation": operations[operation]}

    def call(node: int, status: int, operation: int, peer: int) -> dict[str, Any] | None:
        if measured.is_workload(node):
            return None
        return {"service": nodes[node], "type": status_text(status), "operation": f"{nodes[peer]}: {operations[operation]}"}

    by: Labelled = answered.by(["node", "status", "operation"], own)
    yield from counts(measured.grid, by, answered.ends)
    yield from counts(measured.grid, unanswered.by(["node", "status", "operation", "peer"], call), unanswered.ends)
