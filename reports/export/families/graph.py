"""The service graph under the names that Grafana Tempo generates: Grafana's node graph draws the topology from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reports.export.counting import HTTP_BOUNDS, counts, histograms
from reports.export.openmetrics import Family

from .measured import Measured


def families(measured: Measured) -> Iterator[Family]:
    sent, served, grid = measured.sent, measured.served, measured.grid
    failed = sent.failed

    def edge(client: int, server: int) -> dict[str, Any]:
        nodes = measured.names.nodes
        return {"client": nodes[client], "server": nodes[server], "connection_type": _connection(measured, client, server)}

    by_caller = ["node", "peer"]  # of a call: who calls whom; of a server's span it is the other way round
    yield Family("traces_service_graph_request", "counter", "Requests from client to server, each attempt by itself.",
                 counts(grid, sent.by(by_caller, edge), sent.ends))
    yield Family("traces_service_graph_request_failed", "counter", "Those of them that failed.",
                 counts(grid, failed.by(by_caller, edge), failed.ends))
    yield Family("traces_service_graph_request_client_seconds", "histogram", "Their duration as the client saw it.",
                 histograms(grid, sent.by(by_caller, edge), sent.ends, sent.durations, HTTP_BOUNDS), unit="seconds", bounds=HTTP_BOUNDS)
    yield Family("traces_service_graph_request_server_seconds", "histogram", "Their duration as the server saw it.",
                 histograms(grid, served.by(["peer", "node"], edge), served.ends, served.durations, HTTP_BOUNDS),
                 unit="seconds", bounds=HTTP_BOUNDS)


def _connection(measured: Measured, client: int, server: int) -> str:
    if measured.is_workload(client):
        return "virtual_node"
    if measured.names.node_kinds[server] == "broker":
        return "messaging_system"
    return "database" if measured.is_store(server) else ""
