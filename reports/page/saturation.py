"""When all workers of a service were busy, read from its gauge, and whom it turned away at its door, read from its spans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.charts.queues import capacity
from reports.charts.tallies import level
from sim.telemetry.codes import Outcome, SpanKind

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

FULL = 0.97  # of all workers, averaged over a sampling interval
LEAST, GAP = 1.0, 2.0  # seconds that it must last, and that may lie between two times which are told as one
MOST = 3  # times of one service
TURNED_AWAY = 5  # requests, at least


@dataclass(frozen=True)
class Full:
    """A time at which the *workers* of *node* were all busy."""

    node: str
    workers: int
    start: float
    until: float


def saturated(result: RunResult) -> Iterator[Full]:
    """The longest MOST times of every service that has a limit."""
    for node, kind in zip(result.names.nodes, result.names.node_kinds, strict=True):
        workers = capacity(result, node)
        found = level(result, node, "busy") if workers and kind != "workload" else None
        if found is None or workers is None:
            continue
        times = _together(*found, workers)
        longest = sorted(times, key=lambda time: time[0] - time[1])[:MOST]
        yield from (Full(node, workers, start, until) for start, until in longest if until - start >= LEAST)


def _together(at: Any, busy: Any, workers: int) -> list[tuple[float, float]]:
    """Sampling intervals that were full, those close to each other made one."""
    times: list[tuple[float, float]] = []
    before = 0.0
    for until, level_there in zip(at, busy, strict=True):
        if level_there >= FULL * workers:
            if times and before - times[-1][1] <= GAP:
                times[-1] = times[-1][0], float(until)
            else:
                times.append((float(before), float(until)))
        before = until
    return times


def turned_away(result: RunResult) -> Iterator[tuple[str, int, float, float]]:
    """(node, requests, first, last): refused before any work was done for them. Who passes a refusal on had called somebody first."""
    import numpy as np

    spans = result.spans.rows
    refused = spans[(spans["kind"] == SpanKind.SERVER) & (spans["outcome"] == Outcome.REJECTED) & (spans["start"] >= result.warmup)]
    if not len(refused):
        return
    refused = refused[~np.isin(refused["id"], spans["parent"][spans["kind"] == SpanKind.CLIENT])]
    for node in np.unique(refused["node"]).tolist():
        times = refused["start"][refused["node"] == node]
        if len(times) >= TURNED_AWAY:
            yield result.names.nodes[node], len(times), float(times.min()), float(times.max())
