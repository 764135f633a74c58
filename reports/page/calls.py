"""What went over each call edge in each bin of time, counted from the callers' spans: numbers for the graph that one can scrub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.charts.tallies import bin_of, quantiles_over_time
from sim.telemetry.codes import Outcome, Reason, SpanKind

from .numbers import significant, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.telemetry.result import RunResult

MOST_EDGES = 120  # the busiest ones


def calls_over_time(result: RunResult, edges: Any) -> list[dict[str, Any]]:
    """For each edge, in each bin between *edges* (seconds): calls begun, how many failed or were refused (not those that their caller
    called off), how many were degraded (a fallback answered), attempts, p50 and p99 in milliseconds.

    Sorted by callers and callees as the run named them. An edge that was never called is not there.
    """
    import numpy as np

    rows = result.spans.rows
    calls = rows[rows["kind"] == SpanKind.CLIENT]
    many, bins = len(result.names.nodes), len(edges) - 1
    codes, edge_of = np.unique(calls["node"].astype(np.int64) * many + calls["peer"], return_inverse=True)
    cell = edge_of * bins + bin_of(calls["start"], edges)

    def tally(weights: Any = None) -> Any:
        return np.bincount(cell, weights=weights, minlength=len(codes) * bins).reshape(len(codes), bins)

    begun, attempts = tally(), tally(calls["attempt"])
    failed = (calls["outcome"] == Outcome.FAILED) | (calls["outcome"] == Outcome.REJECTED)
    bad = tally(failed & (calls["status"] != Reason.CANCELLED))
    took = 1000 * (calls["end"] - calls["start"])
    degraded = tally(calls["outcome"] == Outcome.DEGRADED)
    found = []
    for index in _busiest(begun.sum(axis=1)):
        mine = (edge_of == index) & ~np.isnan(took)
        p50, p99 = quantiles_over_time(calls["start"][mine], took[mine], edges, [0.5, 0.99])
        source, target = divmod(int(codes[index]), many)
        found.append({
            "source": result.names.nodes[source], "target": result.names.nodes[target],
            "calls": whole(begun[index]), "bad": whole(bad[index]), "degraded": whole(degraded[index]),
            "attempts": whole(attempts[index]), "p50": significant(p50, 3), "p99": significant(p99, 3),
        })
    return found


def _busiest(totals: Any) -> Sequence[int]:
    """At most MOST_EDGES indices, in their own order."""
    import numpy as np

    kept: list[int] = np.sort(np.argsort(-totals, kind="stable")[:MOST_EDGES]).tolist()
    return kept
