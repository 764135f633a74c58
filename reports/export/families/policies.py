"""Resilience policies under the names of Resilience4j's Micrometer metrics, so that existing dashboards work.

`name` is the call edge, `orders->payments`; breakers and bulkheads belong to one instance of the caller, which is in `instance`.
Only policies that the scenario puts on an edge have series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reports.charts.states import breakers as breaker_stays
from reports.export.counting import HTTP_BOUNDS, Labelled, counts, distinct, histograms, under_way
from reports.export.openmetrics import Family, labels_text
from sim.telemetry.codes import Outcome

from .measured import Measured, SpanRows

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

SAME = 1e-9  # seconds; two times that are closer are the same
STATES = ("closed", "open", "half_open", "disabled", "forced_open", "metrics_only")
GOOD = (Outcome.OK, Outcome.DEGRADED)
Policies = list[tuple[str, Mapping[str, Any]]]


def edge_policies(result: RunResult) -> dict[tuple[str, str], Policies]:
    """For each caller and callee the policies between them, outermost first, as (word, settings)."""
    edges: dict[tuple[str, str], Policies] = {}
    for caller, service in (result.scenario.get("services") or {}).items():
        for callee, use in (service.get("uses") or {}).items():
            listed: Policies = [(word, settings if isinstance(settings, Mapping) else {}) for policy in use.get("policies") or []
                                for word, settings in policy.items()]
            if listed:
                edges[caller, callee] = listed
    return edges


def families(measured: Measured) -> Iterator[Family]:
    edges = edge_policies(measured.result)
    breakers, retries = _with(edges, "circuit_breaker"), _with(edges, "retry")
    bulkheads = {edge: dict(policies)["bulkhead"] for edge, policies in edges.items() if "bulkhead" in dict(policies)}
    refused, too_long = _events(measured, "circuit_breaker.rejected", "not_permitted"), _events(measured, "timeout.timeout", "timeout")
    breaker, bulkhead = "resilience4j_circuitbreaker", "resilience4j_bulkhead"
    yield Family(f"{breaker}_state", "gauge", "1 for the state that the breaker is in.", _states(measured, breakers))
    yield Family(f"{breaker}_calls_seconds", "summary", "Calls let through.", _let_through(measured, breakers), unit="seconds")
    for measure in ("failure_rate", "slow_call_rate"):
        yield Family(f"{breaker}_{measure}", "gauge", f"The {measure.replace('_', ' ')} in percent; -1 while there were too few calls.",
                     _rates(measured, measure, breakers))
    yield Family(f"{breaker}_not_permitted_calls", "counter", "Calls that a breaker refused.", refused)
    yield Family("resilience4j_retry_calls", "counter", "Calls by how they ended, with or without a retry.", _retries(measured, retries))
    yield Family("resilience4j_timelimiter_calls", "counter", "Attempts that took longer than they were allowed.", too_long)
    yield Family(f"{bulkhead}_max_allowed_concurrent_calls", "gauge", "Slots.", _slots(measured, bulkheads, free=False))
    yield Family(f"{bulkhead}_available_concurrent_calls", "gauge", "Free slots.", _slots(measured, bulkheads, free=True))


def _with(edges: Mapping[tuple[str, str], Policies], word: str) -> set[tuple[str, str]]:
    return {edge for edge, policies in edges.items() if any(name == word for name, _ in policies)}


def _on(measured: Measured, rows: SpanRows, edges: set[tuple[str, str]]) -> SpanRows:
    """The calls along *edges*."""
    import numpy as np

    nodes = {name: index for index, name in enumerate(measured.names.nodes)}
    wanted = [nodes[caller] << 16 | nodes[callee] for caller, callee in edges if caller in nodes and callee in nodes]
    return rows.where(np.isin(rows.rows["node"].astype(np.int64) << 16 | rows.rows["peer"], wanted))


def _states(measured: Measured, edges: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """A breaker that never changed its state was closed from beginning to end."""
    import numpy as np

    times, names = measured.grid.times, measured.names
    calls = _on(measured, measured.calls, edges).rows
    stays = breaker_stays(measured.result)
    callers, _ = distinct([calls[column] for column in ("node", "peer", "instance")])
    for node, peer, instance in callers:
        edge, who = f"{names.nodes[node]}->{names.nodes[peer]}", names.instances[instance] or names.nodes[node]
        states = np.full(len(times), STATES.index("closed"))
        for stay in stays.get((edge, who), ()):
            states[(times >= stay.start) & (times <= stay.until)] = STATES.index(stay.state)
        for index, state in enumerate(STATES):
            labels = {"job": names.nodes[node], "instance": who, "name": edge, "state": state}
            yield labels_text(labels), (states == index).astype(int)


def _rates(measured: Measured, measure: str, edges: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """What was read off the breakers last."""
    import numpy as np

    for node, instance, its in measured.names.gauges:
        word, _, callee = its.partition(" ")
        sampled = measured.result.series(node, its, instance) if word == measure and (node, callee) in edges else None
        if sampled is not None and len(sampled.at):
            last = np.searchsorted(sampled.at, measured.grid.times + SAME, side="right") - 1
            known = (last >= 0) & ~np.isnan(sampled.mean[last])
            labels = {"job": node, "instance": instance or node, "name": f"{node}->{callee}"}
            yield labels_text(labels), np.where(known, 100 * sampled.mean[last], -1.0)


def _edge_labels(measured: Measured, node: int, peer: int) -> dict[str, Any]:
    nodes = measured.names.nodes
    return {"job": nodes[node], "name": f"{nodes[node]}->{nodes[peer]}"}


def _let_through(measured: Measured, edges: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    sent = _on(measured, measured.sent, edges)

    def label(node: int, peer: int, outcome: int) -> dict[str, Any]:
        return {**_edge_labels(measured, node, peer), "kind": "successful" if outcome in GOOD else "failed"}

    yield from histograms(measured.grid, sent.by(["node", "peer", "outcome"], label), sent.ends, sent.durations, HTTP_BOUNDS[:1])


def _retries(measured: Measured, edges: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    calls = _on(measured, measured.calls, edges)

    def label(node: int, peer: int, outcome: int, attempt: int) -> dict[str, Any]:
        word, how = ("successful" if outcome in GOOD else "failed"), ("with_retry" if attempt > 1 else "without_retry")
        return {**_edge_labels(measured, node, peer), "kind": f"{word}_{how}"}

    yield from counts(measured.grid, calls.by(["node", "peer", "outcome", "attempt"], label), calls.ends)


def _events(measured: Measured, event_kind: str, kind: str) -> Iterator[tuple[str, Any]]:
    """How often a policy told of *event_kind*, by edge, under the label *kind*."""
    import numpy as np

    index: dict[str, int] = {}
    codes, at = [], []
    for event in measured.result.events:
        if event["kind"] == event_kind:
            name = str(event["edge"])
            labels = labels_text({"job": name.partition("->")[0], "name": name, "kind": kind})
            codes.append(index.setdefault(labels, len(index)))
            at.append(event["at"])
    yield from counts(measured.grid, Labelled(list(index), np.array(codes, dtype=np.int64)), np.array(at, dtype=float))


def _slots(measured: Measured, bulkheads: Mapping[tuple[str, str], Mapping[str, Any]], free: bool) -> Iterator[tuple[str, Any]]:
    """The slots of each caller's bulkhead; free are those that no attempt of it holds."""
    import numpy as np

    names = measured.names
    limits = {edge: int(settings["max_concurrent_calls"]) for edge, settings in bulkheads.items() if "max_concurrent_calls" in settings}
    sent = _on(measured, measured.sent, set(limits))
    slots: dict[str, int] = {}

    def label(node: int, peer: int, instance: int) -> dict[str, Any]:
        labels = {**_edge_labels(measured, node, peer), "instance": names.instances[instance] or names.nodes[node]}
        slots[labels_text(labels)] = limits[names.nodes[node], names.nodes[peer]]
        return labels

    by = sent.by(["node", "peer", "instance"], label)
    for text, inside in under_way(measured.grid, by, sent.rows["start"], sent.ends):
        yield text, np.maximum(slots[text] - inside, 0) if free else np.full(len(measured.grid), slots[text])
