"""Structured logs as JSON lines: what service code logged, and for each request that a service took the lines of an access log.

`request started` when it arrives, `request completed` or `request failed` (status 400 and up, or no status) when it ends, in
the order of time for all services together, with the trace and span ids of the exported traces. `ecs` gives the same
lines the field names of Elastic's common schema 8.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sim.errors import InvalidInput
from sim.mistakes import did_you_mean
from sim.telemetry.codes import Outcome, SpanKind, status_text

from .addresses import address
from .ids import Ids
from .jsontext import dumps, quote
from .semantics import split_operation, version_of
from .time import rfc3339
from .traces import CHUNK, Traces

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

ENV = "simulation"
ACCESS, APP = "access", "app"  # the `logger` of a generated line, and of one that service code wrote
ECS = {
    "time": "@timestamp", "level": "log.level", "service": "service.name", "instance": "service.node.name", "version": "service.version",
    "env": "service.environment", "trace_id": "trace.id", "span_id": "span.id", "logger": "log.logger", "method": "http.request.method",
    "path": "url.path", "status": "http.response.status_code", "response_size": "http.response.body.bytes", "remote_ip": "client.ip",
    "user_agent": "user_agent.original", "error": "error.type",
}
ECS_DURATION = "event.duration"  # nanoseconds, where ours has duration_ms
FORMATS = ("jsonl", "ecs")
Rename = Callable[[str], str]


def lines(traces: Traces, log_format: str = "jsonl") -> Iterator[str]:
    """All lines in the order of time; at one instant what a service logged stands between its request's start and end.

    *log_format* is one of FORMATS; raise InvalidInput for another.
    """
    if log_format not in FORMATS:
        raise InvalidInput(f"no log format {log_format!r}: {did_you_mean(log_format, FORMATS)}")
    rename: Rename = (lambda key: key) if log_format == "jsonl" else (lambda key: ECS.get(key, key))
    opening = "" if log_format == "jsonl" else '"ecs.version":"8.11",'
    merged = heapq.merge(_AccessLog(traces, rename).lines(), _app_lines(traces.result, traces.ids, rename), key=lambda timed: timed[:2])
    return (f"{{{opening}{text}}}\n" for _, _, text in merged)


class _AccessLog:
    """The lines of server spans, as (time, place among lines of one instant, text)."""

    def __init__(self, traces: Traces, rename: Rename) -> None:
        import numpy as np

        self.traces, self.rename = traces, rename
        self.served = traces.which[traces.rows["kind"][traces.which] == SpanKind.SERVER]
        self.caller_instance = _instances_of_parents(traces.rows, self.served)
        rows = traces.rows[self.served]
        over = np.flatnonzero(~np.isnan(rows["end"]) & (rows["outcome"] != Outcome.UNFINISHED))
        self.at = np.concatenate([rows["start"], rows["end"][over]])
        self.of = np.concatenate([np.arange(len(rows)), over])  # which of the served spans a line is about
        self.begins = np.arange(len(self.at)) < len(rows)
        self.fixed: dict[tuple[int, ...], tuple[str, str, str]] = {}

    def lines(self) -> Iterator[tuple[float, int, str]]:
        import numpy as np

        order = np.lexsort((~self.begins, self.at))
        for start in range(0, len(order), CHUNK):
            yield from self._chunk(order[start : start + CHUNK])

    def _chunk(self, which: Any) -> Iterator[tuple[float, int, str]]:
        traces, of, fixed = self.traces, self.of[which], self.fixed
        spans = self.served[of]
        rows = traces.rows[spans]
        key_columns = [rows[name].tolist() for name in ("node", "instance", "peer", "operation", "status", "outcome")]
        columns = zip(
            self.at[which].tolist(), self.begins[which].tolist(), rows["id"].tolist(), traces.number[spans].tolist(),
            (1000 * (rows["end"] - rows["start"])).tolist(), zip(*key_columns, self.caller_instance[of].tolist(), strict=True), strict=True,
        )
        time, trace_id, duration = self.rename("time"), self.rename("trace_id"), self._duration()
        span_id, size = self.rename("span_id"), self.rename("response_size")
        in_trace, in_span = traces.ids.trace_prefix, traces.ids.span_prefix
        for at, begins, span, trace, took, key in columns:
            about, started, ended = fixed.get(key) or self._fix(key)
            ids = f'"{trace_id}":"{in_trace}{trace:09x}","{span_id}":"{in_span}{span:08x}"'
            if begins:
                yield at, 0, f'"{time}":"{rfc3339(at)}",{started},{about},{ids}'
            else:
                sent = dumps(self._response_size(span))
                yield at, 2, f'"{time}":"{rfc3339(at)}",{ended},{about},{ids},{duration(took)},"{size}":{sent}'

    def _duration(self) -> Callable[[float], str]:
        if self.rename("time") == "time":
            return lambda milliseconds: f'"duration_ms":{milliseconds:.3f}'
        return lambda milliseconds: f'"{ECS_DURATION}":{round(milliseconds * 1e6)}'

    def _response_size(self, span: int) -> Any:
        """Bytes, where it was recorded."""
        return self.traces.result.attributes.get(span, {}).get("http.response.body.size")

    def _fix(self, key: tuple[int, ...]) -> tuple[str, str, str]:
        """What all lines with this key share: who and what; the level and words at the start, and at the end with the status."""
        node, instance, peer, operation, status, outcome, caller_instance = key
        names, description = self.traces.result.names, self.traces.result.description
        caller, (method, path) = names.nodes[peer], split_operation(names.operations[operation])
        workload = names.node_kinds[peer] == "workload"
        version, of_caller = (version_of(description, names.nodes[one], names.instances[which])
                              for one, which in ((node, instance), (peer, caller_instance)))
        about: dict[str, Any] = {
            "service": names.nodes[node], "instance": names.instances[instance], "version": version,
            "env": ENV, "logger": ACCESS, "method": method or None, "path": path, "remote_ip": address(caller_instance, workload),
            "user_agent": f"mesocosm-workload/{caller}" if workload else f"{caller}/{of_caller}",
        }
        failed = status >= 400 or status < 0 or outcome in (Outcome.FAILED, Outcome.REJECTED)
        level = "info" if not failed else "warn" if 400 <= status < 500 else "error"
        end = {"level": level, "message": "request failed" if failed else "request completed", "status": status if status > 0 else None}
        if failed:
            end["error"] = status_text(status) or Outcome(outcome).name.lower()
        started = {"level": "info", "message": "request started"}
        texts = self.fixed[key] = (self._members(about), self._members(started), self._members(end))
        return texts

    def _members(self, values: Mapping[str, Any]) -> str:
        return members({self.rename(key): value for key, value in values.items()})


def members(values: Mapping[str, Any]) -> str:
    """The inside of a JSON object."""
    return ",".join([f"{quote(key)}:{dumps(value)}" for key, value in values.items()])


def _instances_of_parents(rows: Any, which: Any) -> Any:
    """For each of the spans *which*, the instance of the span that called it; 0 where there is none."""
    import numpy as np

    by_id = np.argsort(rows["id"])
    parents = rows["parent"][which]
    found = by_id[np.minimum(np.searchsorted(rows["id"], parents, sorter=by_id), len(rows) - 1)] if len(rows) else parents
    return np.where(rows["id"][found] == parents, rows["instance"][found], 0)


def _app_lines(result: RunResult, ids: Ids, rename: Rename) -> Iterator[tuple[float, int, str]]:
    """What service code logged: `at`, `level`, `message`, `service`, `instance`, `trace`, `span`, and any fields of its own."""
    for entry in sorted(result.logs, key=lambda entry: float(entry["at"])):
        own = dict(entry)
        at, trace, span = float(own.pop("at")), own.pop("trace", 0), own.pop("span", 0)
        service, instance = str(own.pop("service", "")), str(own.pop("instance", ""))
        line: dict[str, Any] = {
            "time": rfc3339(at), "level": own.pop("level", "info"), "message": own.pop("message", ""), "service": service,
            "instance": instance, "version": version_of(result.description, service, instance), "env": ENV, "logger": APP,
        }
        if trace:
            line["trace_id"] = ids.trace(trace)
        if span:
            line["span_id"] = ids.span(span)
        yield at, 1, members({rename(key): value for key, value in {**line, **own, **line}.items()})
