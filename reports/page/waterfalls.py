"""The traces that the page opens: which ones, their spans with the critical path, and the log lines of each.

Rows and logs of the chosen requests are cut out first, so that everything else works on a few hundred spans.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reports.charts.traces import Node, critical_path, tree
from reports.export.ids import Ids
from reports.export.logs import lines
from reports.export.time import EPOCH_NS
from reports.export.traces import Traces, ended
from sim.telemetry.codes import Outcome, SpanKind, status_text
from sim.telemetry.result import Spans

from .numbers import significant

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

SLOWEST, FAILED, OTHER = 10, 10, 4
MOST_SPANS = 150  # of one trace
MOST_LOGS = 100
LOG_OWN = ("time", "level", "message", "service", "instance", "version", "env", "logger", "trace_id", "span_id", "remote_ip", "user_agent")


def waterfalls(result: RunResult) -> list[dict[str, Any]]:
    """The chosen requests, in groups, each with its spans and logs. Milliseconds from the request's own start."""
    chosen = choose(result)
    few = _cut_out(result, [number for number, _ in chosen])
    logs = _logs(few)
    rows = few.requests.rows
    by_id = {int(row["id"]): row for row in rows}
    return [_trace(few, number, group, by_id[number], logs.get(number, [])) for number, group in chosen]


def choose(result: RunResult) -> list[tuple[int, str]]:
    """(request, group): the slowest of all, the slowest of each way to fail, of those that were degraded, and an ordinary one.

    Only requests that ended and left spans; none stands in two groups.
    """
    import numpy as np

    done = result.requests.finished
    done = done[np.isin(done.id, np.unique(result.spans.trace))]
    if not len(done):
        return []
    latency = done.latency
    order = np.lexsort((done.id, -latency))
    taken: dict[int, str] = {}

    def take(group: str, ranked: Any, count: int) -> None:
        free = dict.fromkeys(number for number in done.id[ranked].tolist() if number not in taken)
        taken.update(dict.fromkeys(list(free)[:count], group))

    failed = order[np.isin(done.outcome[order], (Outcome.FAILED, Outcome.REJECTED))]
    take("failed", _of_each(failed, done, 3), FAILED)
    take("slow", np.concatenate([order[: SLOWEST // 2], _of_each(order, done, 2)]), SLOWEST)
    take("degraded", _of_each(order[done.outcome[order] == Outcome.DEGRADED], done, OTHER), OTHER)
    middle = _median_of_each(order[done.outcome[order] == Outcome.OK], done)
    take("ordinary", middle[np.argsort(-latency[middle], kind="stable")], OTHER)
    return list(taken.items())


def _median_of_each(ranked: Any, done: Any) -> Any:
    """The middle one of each kind of request, in the order of *ranked*."""
    import numpy as np

    kinds = done.operation[ranked]
    by_kind = [ranked[kinds == kind] for kind in np.unique(kinds)]
    return np.array([mine[len(mine) // 2] for mine in by_kind], dtype=int)


def _of_each(ranked: Any, done: Any, count: int) -> Any:
    """The first *count* of each kind of request and status, in the order of *ranked*."""
    import numpy as np

    kind = done.operation[ranked].astype(np.int64) * 2**16 + done.status[ranked]
    seen: dict[int, int] = {}
    kept = []
    for index, one in zip(ranked.tolist(), kind.tolist(), strict=True):
        seen[one] = seen.get(one, 0) + 1
        if seen[one] <= count:
            kept.append(index)
    return np.array(kept, dtype=int)


def _cut_out(result: RunResult, numbers: list[int]) -> RunResult:
    """The run as if there had been these requests alone."""
    import numpy as np

    spans = result.spans.rows[np.isin(result.spans.trace, numbers)].copy()
    spans["end"] = ended(spans["end"], result.duration)
    wanted = set(numbers)
    return replace(result, spans=Spans(spans), requests=result.requests[np.isin(result.requests.id, numbers)],
                   logs=[entry for entry in result.logs if entry.get("trace") in wanted])


def _logs(few: RunResult) -> dict[int, list[dict[str, Any]]]:
    """By request its log lines, as the export writes them, with the times in milliseconds of the run."""
    import numpy as np

    found: dict[int, list[dict[str, Any]]] = {}
    for line in lines(Traces(few, np.arange(len(few.spans)))):
        entry = json.loads(line)
        number = Ids.number(entry["trace_id"])
        if len(found.setdefault(number, [])) < MOST_LOGS:
            found[number].append({
                "at": entry["time"], "level": entry["level"], "service": entry["instance"] or entry["service"], "message": entry["message"],
                "fields": {key: value for key, value in entry.items() if key not in LOG_OWN and value is not None},
                "span": int(entry["span_id"][-8:], 16) if "span_id" in entry else None,
            })
    return found


def _trace(few: RunResult, number: int, group: str, row: Any, logs: list[dict[str, Any]]) -> dict[str, Any]:
    every = tree(few, number)
    path = critical_path(every)
    shown = _longest(every)
    places = {node.id: index for index, node in enumerate(shown)}
    zero = every[0].start
    return {
        "id": number, "trace": Ids(few.seed).trace(number), "group": group, "at": round(float(row["intended"]), 3),
        "took": _ms(float(row["end"] - row["intended"])), "outcome": Outcome(int(row["outcome"])).name.lower(),
        "status": status_text(int(row["status"])), "request": few.names.operations[int(row["operation"])],
        "workload": few.names.workloads[int(row["workload"])],
        "answered": _ms(every[0].end - zero), "until": _ms(max(node.end for node in every) - zero), "hidden": len(every) - len(shown),
        "spans": _columns([_span(few, node, zero) for node in shown]),
        "path": [[places[part.span], _ms(part.start - zero), _ms(part.end - zero)] for part in path if part.span in places],
        "logs": _columns([{**entry, "at": _since(entry["at"], zero), "span": places.get(entry["span"])} for entry in logs]),
    }


def _span(few: RunResult, node: Node, zero: float) -> dict[str, Any]:
    bad = node.outcome in (Outcome.FAILED, Outcome.REJECTED)
    label, _, error = node.label.rpartition(" · ") if bad and " · " in node.label else (node.label, "", "")
    return {
        "label": label, "where": node.where, "depth": node.depth, "kind": node.kind.name.lower(), "outcome": node.outcome.name.lower(),
        "error": error, "start": _ms(node.start - zero),
        "took": _ms(node.end - node.start), "queued": _ms(node.queued) if node.kind == SpanKind.SERVER else 0,
        "attributes": few.attributes.get(node.id),
    }


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The same by column, which says each name once."""
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _longest(nodes: list[Node]) -> list[Node]:
    """At most MOST_SPANS, the longest with their ancestors."""
    from reports.charts.waterfall import longest

    return longest(nodes, MOST_SPANS)


def _ms(seconds: float) -> float | int | None:
    return significant([1000 * seconds])[0]


def _since(time: str, zero: float) -> float | int | None:
    """Milliseconds from *zero* (seconds of the run) to a log line's *time*."""
    from datetime import datetime

    return _ms(datetime.fromisoformat(time).timestamp() - EPOCH_NS / 1e9 - zero)
