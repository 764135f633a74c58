"""OpenTelemetry's metrics under the names that its Prometheus exporter gives them: dots become underscores, units are spelled out.

The labels are the attributes that the same spans carry in the traces. `job` is the service, `instance` the replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from reports.export.counting import DB_BOUNDS, HTTP_BOUNDS, distinct, histograms
from reports.export.openmetrics import Family, labels_text
from reports.export.semantics import KEY_COLUMNS

from .measured import Measured, SpanRows

NOT_A_LABEL = frozenset({  # attributes of spans that metrics do not have
    "client.address", "http.request.resend_count", "mesocosm.attempts", "mesocosm.outcome", "url.template",
})


def families(measured: Measured) -> Iterator[Family]:
    served, sent = measured.served, measured.sent
    yield _durations("http_server_request", "requests to a server", served, "http.request.method", HTTP_BOUNDS)
    yield _durations("http_client_request", "requests of a client, each attempt by itself", sent, "http.request.method", HTTP_BOUNDS)
    yield _durations("rpc_server_call", "incoming calls", served, "rpc.system.name", HTTP_BOUNDS)
    yield _durations("rpc_client_call", "outgoing calls, each attempt by itself", sent, "rpc.system.name", HTTP_BOUNDS)
    yield _durations("db_client_operation", "operations of a database client", sent, "db.system.name", DB_BOUNDS)
    messages = measured.rows_where(measured.spans["kind"] == 5)
    yield _durations("messaging_process", "the handling of a message", messages, "messaging.system", HTTP_BOUNDS)
    yield _target_info(measured)


def _durations(name: str, what: str, rows: SpanRows, convention: str, bounds: tuple[float, ...]) -> Family:
    """A histogram of the spans whose attributes include *convention*."""
    columns = [column for column in KEY_COLUMNS if column != "attempt"]
    by = rows.by(columns, _label(rows.measured, convention, own_instance=rows is rows.measured.served))
    series = histograms(rows.measured.grid, by, rows.ends, rows.durations, bounds)
    return Family(f"{name}_duration_seconds", "histogram", f"Duration of {what}.", series, unit="seconds", bounds=bounds)


def _label(measured: Measured, convention: str, own_instance: bool) -> Callable[..., dict[str, Any] | None]:
    def label(node: int, peer: int, operation: int, instance: int, status: int, kind: int, outcome: int) -> dict[str, Any] | None:
        described = measured.semantics.describe((node, peer, operation, instance, status, 1, kind, outcome, False))
        if convention not in described.attributes:
            return None
        attributes = {key: value for key, value in described.attributes.items() if key not in NOT_A_LABEL}
        return {"job": described.service, "instance": described.instance if own_instance else "", **attributes}

    return label


def _target_info(measured: Measured) -> Family:
    """What else is known of each service instance; joins on `job` and `instance`."""
    import numpy as np

    names, description = measured.names, measured.result.description
    pairs, _ = distinct([measured.served.rows[column] for column in ("node", "instance")])
    always = np.ones(len(measured.grid), dtype=int)
    series = []
    for node, instance in pairs:
        about = description.get(names.nodes[node], {})
        labels = {
            "job": names.nodes[node], "instance": names.instances[instance], "service_version": about.get("version"),
            "kind": names.node_kinds[node], "deployment_environment_name": "simulation",
        }
        series.append((labels_text(labels), always))
    return Family("target_info", "gauge", "A service instance.", series)
