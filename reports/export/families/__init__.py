"""The metric families of a run, one file for each vocabulary.

    semantic.py   OpenTelemetry's semantic conventions, as Prometheus names them
    lesson.py     http_requests_total, http_request_duration_seconds, active_connections, errors_total
    graph.py      traces_service_graph_*: Grafana draws the topology from them
    policies.py   Resilience4j's names for breakers, retries, bulkheads, time limits
    own.py        what no vocabulary has: user requests, gauges, faults, policy events
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import graph, lesson, own, policies, semantic
from .measured import Measured

if TYPE_CHECKING:
    from reports.export.counting import Grid
    from reports.export.openmetrics import Family
    from sim.telemetry.result import RunResult

VOCABULARIES = (semantic, lesson, graph, policies, own)


def families(result: RunResult, grid: Grid) -> Iterator[Family]:
    """All families, each with its series yet to be counted."""
    measured = Measured(result, grid)
    for vocabulary in VOCABULARIES:
        yield from vocabulary.families(measured)
