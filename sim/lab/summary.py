"""summary.json, computed from the recorded columns and the exact integrals. Seconds, ratios as 0..1, None where there is no value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sim.lab.accounts import NO_CALLS, Account, Books, CallAccount
from sim.lab.deeds import CallsThatCount, Deeds
from sim.telemetry.codes import Outcome, Reason, SpanKind, status_text
from sim.telemetry.columns import Rows
from sim.telemetry.result import Names, Requests, Table

if TYPE_CHECKING:
    from sim.model.world import World
    from sim.workload.load import Load

SCHEMA = "mesocosm/summary/1"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
REFUSING = (  # policies that turn calls away
    "circuit_breaker", "bulkhead", "rate_limiter", "adaptive_concurrency", "client_throttle", "bulkhead_pools", "pool")
OWN_FIGURES = ("database", "cache", "broker")  # nodes of these kinds say more of themselves
SAGA_ENDS = ("completed", "compensated", "stuck")
NOTHING = slice(0)
COUNTED = (Outcome.OK, Outcome.DEGRADED, Outcome.FAILED, Outcome.REJECTED, Outcome.UNFINISHED)


def latency_figures(seconds: Any) -> dict[str, float | None]:
    """Mean, quantiles and maximum of an array of seconds; None for each if it is empty."""
    import numpy as np

    if len(seconds) == 0:
        return dict.fromkeys(("mean", *QUANTILES, "max"))
    quantiles = np.quantile(seconds, list(QUANTILES.values()))
    return {"mean": float(np.mean(seconds)), **dict(zip(QUANTILES, map(float, quantiles), strict=True)), "max": float(np.max(seconds))}


def ratio(part: float, whole: float) -> float | None:
    """*part* of *whole*, or None of nothing."""
    return part / whole if whole else None


def outcome_counts(outcomes: Any) -> dict[str, int]:
    """How many ended in which way."""
    import numpy as np

    counts = np.bincount(outcomes, minlength=len(COUNTED))
    return {outcome.name.lower(): int(counts[outcome]) for outcome in COUNTED}


def request_totals(requests: Requests) -> dict[str, int]:
    """Of the whole run, warm-up included."""
    return {"started": len(requests), **outcome_counts(requests.outcome)}


def request_figures(requests: Requests, window: float, dropped: int = 0) -> dict[str, Any]:
    """The figures of some user requests that arrived within *window* seconds; of those offered, *dropped* were not even sent.

    Throughput is what was served, well or badly, as in a system with losses: refusals are no part of it, nor of the latencies.
    """
    import numpy as np

    counts = outcome_counts(requests.outcome)
    started, good = len(requests), counts["ok"] + counts["degraded"]
    finished = started - counts["unfinished"]
    answered = requests[(requests.outcome == Outcome.OK) | (requests.outcome == Outcome.DEGRADED) | (requests.outcome == Outcome.FAILED)]
    statuses, numbers = np.unique(requests.finished.status, return_counts=True)
    return {
        "started": started, **counts,
        "success_ratio": ratio(good, finished),
        "offered_rps": ratio(started + dropped, window),
        "throughput_rps": ratio(len(answered), window),
        "goodput_rps": ratio(counts["ok"], window),
        "latency_s": latency_figures(answered.latency),
        "by_status": {status_text(int(status)): int(number) for status, number in zip(statuses, numbers, strict=True)},
    }


def workload_figures(load: Load, requests: Requests, names: Names, window: float, dropped: int) -> dict[str, Any]:
    """One entry of `workloads`."""
    import numpy as np

    mine = requests[requests.workload == load.index]
    return {
        **request_figures(mine, window, dropped),
        "dropped": dropped,
        "by_request": {names.operations[index]: request_figures(mine[mine.operation == index], window)
                       for index in sorted(int(operation) for operation in np.unique(mine.operation))},
    }


def service_figures(spans: Table, before: Account, after: Account, queue_max: int) -> dict[str, Any]:
    """One entry of `services`: what its instances served, between two accounts."""
    window = after.at - before.at
    wanted = spans[spans.status != Reason.CANCELLED]  # work that its caller has called off is neither good nor bad
    served = wanted[wanted.outcome != Outcome.REJECTED]
    good = int((served.outcome <= Outcome.DEGRADED).sum())
    busy, queue = after.busy - before.busy, after.queue - before.queue
    return {
        "requests": len(spans),
        "success_ratio": ratio(good, len(wanted)),
        "latency_s": latency_figures(served.duration),
        "utilisation": ratio(busy, after.capacity - before.capacity) if after.bounded else None,
        "cpu_utilisation": ratio(after.cpu - before.cpu, after.cores - before.cores),
        "busy_mean": ratio(busy, window),
        "queue_mean": ratio(queue, window),
        "queue_max": queue_max,
        "in_system_mean": ratio(busy + queue, window),
        "rejected": after.rejected - before.rejected,
        "admission": dict(sorted((after.shed - before.shed).items())),
        "wasted_work_ratio": ratio(after.wasted - before.wasted, after.worked - before.worked),
    }


def call_figures(spans: Table, deeds: Deeds, before: CallAccount, after: CallAccount, late: int) -> dict[str, Any]:
    """One entry of `calls`: those that began after the warm-up and have ended, and what policies did in them; `unfinished` have not.

    An attempt is the first one of its call, a hedge or a retry, whoever makes it: the caller's own policies or its sidecar. What happens
    in no call, as a breaker's transitions, counts if it did between the two accounts. *late* calls of the warm-up ended after it.
    """
    calls, attempts = len(spans), int(spans.attempt.sum()) if len(spans) else 0
    good = int((spans.outcome <= Outcome.DEGRADED).sum())
    called_off = int((spans.status == Reason.CANCELLED).sum())  # by their callers: neither good nor bad
    return {
        "calls": calls,
        "attempts": attempts,
        "unfinished": after.under_way - (before.under_way - late),
        "amplification": ratio(attempts, calls),
        "success_ratio": ratio(good, calls - called_off),
        "timeouts": deeds.by_policy("timeout", "timeout") + deeds.by_policy("deadline", "deadline_exceeded"),
        "retries": attempts - int((spans.attempt > 0).sum()) - deeds.hedges,
        "hedges": deeds.hedges,
        "rejected": {word: deeds.by_policy(word, "rejected") for word in REFUSING},
        "latency_s": latency_figures(spans.duration),
        "breaker": {"opened": after.opened - before.opened, "open_s": after.open_s - before.open_s},
        "policies": dict(sorted((after.counts - before.counts + deeds.counts).items())),
    }


def summarise(world: World, loads: Mapping[str, Load], requests: Requests, warmup: float, before: Books, after: Books) -> dict[str, Any]:
    """The measured part of the summary; identity, verdict and checks are the caller's. It covers what is between two books."""
    names = world.recorder.names()
    window = after.at - before.at
    counted = requests[requests.intended >= warmup]
    served = Groups(world.recorder.spans, SpanKind.SERVER, warmup)
    called = Groups(world.recorder.spans, SpanKind.CLIENT, warmup)
    counting = CallsThatCount(world.edges.values(), world.recorder.spans, warmup)
    node_of = world.recorder.node
    return {
        "requests": request_totals(requests),
        "workloads": {name: workload_figures(load, counted, names, window, after.dropped[name] - before.dropped.get(name, 0))
                      for name, load in loads.items()},
        "services": {name: service_figures(served.of(node.index), before.nodes[name], after.nodes[name], queue_peak(world, name))
                     for name, node in world.nodes.items()},
        "calls": {edge.name: call_figures(called.of(node_of(edge.caller), node_of(edge.callee)), counting.deeds(edge),
                                          before.edges.get(edge.name, NO_CALLS), after.edges[edge.name],
                                          called.late(node_of(edge.caller), node_of(edge.callee)))
                  for edge in world.edges.values()},
        **{f"{word}s": {name: node.figures() for name, node in world.nodes.items() if node.spec.word == word} for word in OWN_FIGURES},
        "sagas": saga_figures(world.recorder.events, warmup),
    }


def saga_figures(events: Sequence[Mapping[str, Any]], warmup: float) -> dict[str, dict[str, int]]:
    """By name, how many sagas started after the warm-up and how those ended; one that is under way at the end is in none of the others."""
    figures: dict[str, dict[str, int]] = {}
    counted: set[tuple[str, str]] = set()
    for event in events:
        group, _, what = str(event["kind"]).partition(".")
        if group != "saga":
            continue
        mine = figures.setdefault(event["saga"], {"started": 0, **dict.fromkeys(SAGA_ENDS, 0)})
        if what == "started" and event["at"] >= warmup:
            counted.add((event["saga"], event["id"]))
            mine["started"] += 1
        elif what in SAGA_ENDS and (event["saga"], event["id"]) in counted:
            mine[what] += 1
    return figures


class Groups:
    """What the figures need of the spans of one kind that began after the warm-up, by node, or by caller and callee: sorted once."""

    COLUMNS = (("duration", "<f8"), ("status", "<i2"), ("attempt", "<u2"), ("outcome", "u1"))

    def __init__(self, rows: Rows, kind: SpanKind, warmup: float) -> None:
        import numpy as np

        self._by_edge = kind == SpanKind.CLIENT
        keys, kept, late = [np.empty(0, "<u4")], [np.empty(0, list(self.COLUMNS))], [np.empty(0, "<u4")]
        for part in rows.chunks():
            mine = part["kind"] == kind
            some = part[mine & (part["start"] >= warmup)]
            keys.append(self._keys(some))
            late.append(self._keys(part[mine & (part["start"] < warmup) & (part["end"] >= warmup)]))
            few = np.empty(len(some), list(self.COLUMNS))
            few["duration"] = some["end"] - some["start"]
            few["status"], few["attempt"], few["outcome"] = some["status"], some["attempt"], some["outcome"]
            kept.append(few)
        key, columns = np.concatenate(keys), np.concatenate(kept)
        order = np.argsort(key, kind="stable")
        self._columns = columns[order]
        found, firsts = np.unique(key[order], return_index=True)
        self._rows = dict(zip(found.tolist(), map(slice, firsts, [*firsts[1:], len(key)]), strict=True))
        self._late = dict(zip(*map(np.ndarray.tolist, np.unique(np.concatenate(late), return_counts=True)), strict=True))

    def _keys(self, rows: Any) -> Any:
        key = rows["node"].astype("<u4")
        return (key << 16) | rows["peer"] if self._by_edge else key

    def of(self, node: int, peer: int = 0) -> Any:
        """The spans of *node*, or of calls from *node* to *peer*, in the order of their ends."""
        return Table(self._columns[self._rows.get(self._key(node, peer), NOTHING)])

    def late(self, node: int, peer: int = 0) -> int:
        """How many spans of the warm-up ended after it."""
        return int(self._late.get(self._key(node, peer), 0))

    def _key(self, node: int, peer: int) -> int:
        return (node << 16) | peer if self._by_edge else node


def queue_peak(world: World, name: str) -> int:
    """The longest queue of any instance."""
    return max((max(instance.waiting.ever, instance.waiting.highest) for instance in world.nodes[name].ever), default=0)
