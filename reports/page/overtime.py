"""What the time charts show: counts and percentiles for each group of requests, levels of services, states of breakers.

Counts stay counts, so that whoever adds them up finds every request again; the page divides by the width of a bin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reports.charts import heatmap, states
from reports.charts.queues import capacity, pressed
from reports.charts.tallies import level, quantiles_over_time, time_edges
from reports.export.answered import answered
from sim.telemetry.codes import Outcome

from .numbers import significant, whole

if TYPE_CHECKING:
    from sim.telemetry.result import Requests, RunResult

MOST_BINS = 180
MOST_GROUPS = 24  # workloads and kinds of request that can be looked at alone
MOST_SERVICES = 60
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def over_time(result: RunResult) -> dict[str, Any]:
    """Everything with a time axis. Seconds, but latencies in milliseconds."""
    edges = time_edges(result.duration, MOST_BINS)
    return {
        "edges": significant(edges, 9),
        "groups": [{"workload": workload, "request": request, **_group(requests, edges)} for workload, request, requests in groups(result)],
        "heat": _heat(result),
        "breakers": _breakers(result),
        "services": _services(result, edges),
    }


def groups(result: RunResult) -> Iterator[tuple[str, str, Requests]]:
    """All requests; those of each workload; of each kind that a workload sends. ("", "") is all of them."""
    import numpy as np

    requests, names = result.requests, result.names
    yield "", "", requests
    left = MOST_GROUPS
    for index, workload in enumerate(names.workloads):
        mine = requests[requests.workload == index]
        kinds = np.unique(mine.operation).tolist()
        if len(names.workloads) > 1 and len(mine) and left:
            left -= 1
            yield workload, "", mine
        for kind in kinds if len(kinds) > 1 else []:
            if left:
                left -= 1
                yield workload, names.operations[kind], mine[mine.operation == kind]


def _group(requests: Requests, edges: Any) -> dict[str, Any]:
    """Ended requests by outcome, begun ones, and percentiles of the answered ones by when they were meant to begin."""
    import numpy as np

    done = answered(requests)
    quantiles = quantiles_over_time(done.intended, 1000 * done.latency, edges, list(SHARES.values()))
    ended = {outcome.name.lower(): whole(np.histogram(requests.end[requests.outcome == outcome], edges)[0])
             for outcome in Outcome if outcome != Outcome.UNFINISHED}
    return {
        "offered": whole(np.histogram(requests.intended, edges)[0]),
        "ended": {name: counts for name, counts in ended.items() if any(counts)},
        "latency": {name: significant(row) for name, row in zip(SHARES, quantiles, strict=True)},
    }


def _heat(result: RunResult) -> dict[str, Any] | None:
    """The cells of the heat map that are not empty: column, row and count in turn."""
    import numpy as np

    done = result.requests.finished
    if not len(done):
        return None
    columns, rows, cells = heatmap.counts(done, result.duration)
    at, of = np.nonzero(cells)
    triples = np.column_stack([at, of, cells[at, of]])
    return {"edges": significant(columns, 9), "rows": significant(1000 * rows), "cells": whole(triples.ravel())}


def _breakers(result: RunResult) -> list[dict[str, Any]]:
    """The states of each caller's breaker, in order: [state, from, until]."""
    return [{"edge": edge, "caller": caller, "stays": [[stay.state, round(stay.start, 4), round(stay.until, 4)] for stay in stays]}
            for (edge, caller), stays in sorted(states.breakers(result).items())]


def _services(result: RunResult, edges: Any) -> list[dict[str, Any]]:
    """Busy workers and waiting requests of each node in each bin, those nearest to their limits first."""
    found = []
    for name in pressed(result)[:MOST_SERVICES]:
        levels = {measure: _binned(level(result, name, measure), edges) for measure in ("busy", "queue")}
        found.append({"name": name, "capacity": capacity(result, name), **levels})
    return found


def _binned(found: tuple[Any, Any] | None, edges: Any) -> list[float | int | None]:
    """The mean of the samples whose interval ends in each bin; a sample on an edge belongs to the bin before it."""
    import numpy as np

    if found is None:
        return []
    at, values = found
    bins = np.clip(np.searchsorted(edges, at - 1e-9, side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(bins, minlength=len(edges) - 1)
    total = np.bincount(bins, weights=values, minlength=len(edges) - 1)
    return significant(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0), 3)
