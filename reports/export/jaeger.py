"""Traces as Jaeger's JSON, which its search page, Grafana's Jaeger data source and many importers take.

    {"data": [{"traceID", "spans": [{..., "references", "tags", "processID"}], "processes": {"p1": {"serviceName", "tags"}}}]}

Times are microseconds since 1970. Grafana shows the first trace of a file only, so the most telling one stands first:
the slowest of those with an error, or else the slowest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sim.telemetry.codes import Outcome

from .addresses import address
from .jsontext import dumps, plain, quote
from .semantics import Description, Semantics, split_exception
from .traces import Traces, ended

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


def lines(traces: Traces) -> Iterator[str]:
    """The document, in pieces."""
    writer = _Writer(traces)
    yield '{"data":['
    current, processes, first = None, dict[str, str](), True
    for which in traces.chunks(_by_trace(traces)):
        for trace, process, about, span in writer.spans(which):
            if trace != current:
                yield _end(processes) if current is not None else ""
                yield f'{"" if current is None else ","}\n{{"traceID":"{traces.ids.trace(trace)}","spans":['
                current, processes, first = trace, {}, True
            processes[process] = about
            yield span if first else f",{span}"
            first = False
    yield _end(processes) if current is not None else ""
    yield '\n],"total":0,"limit":0,"offset":0,"errors":null}\n'


def _end(processes: dict[str, str]) -> str:
    listed = ",".join([f'"{process}":{about}' for process, about in processes.items()])
    return f'],"processes":{{{listed}}},"warnings":null}}'


def _by_trace(traces: Traces) -> Any:
    """The spans in the order of their traces, the most telling trace first, and of their starts."""
    import numpy as np

    which = traces.which
    if not len(which):
        return which
    rows, number = traces.rows[which], traces.number[which]
    roots = np.flatnonzero(rows["parent"] == 0)
    if len(roots):
        failed = (rows["outcome"][roots] == Outcome.FAILED) | (rows["outcome"][roots] == Outcome.REJECTED)
        took = ended(rows["end"][roots], traces.result.duration) - rows["start"][roots]
        telling = number[roots[np.lexsort((took, failed))[-1]]]
    else:
        telling = number[0]
    return which[np.lexsort((rows["id"], rows["start"], number, number != telling))]


class _Writer:
    """Spans as JSON; what does not differ from span to span is formatted once."""

    def __init__(self, traces: Traces) -> None:
        self.traces = traces
        self.semantics = Semantics(traces.result)
        self.fixed: dict[tuple[Any, ...], tuple[str, str, str, str]] = {}

    def spans(self, which: Any) -> Iterator[tuple[int, str, str, str]]:
        """Trace number, process id, the process and the span, for each of *which*."""
        fixed, ids, attributes = self.fixed, self.traces.ids, self.traces.result.attributes
        for key, span, parent, trace, start, end, queued in self.traces.columns(which):
            process, about, opening, tags = fixed.get(key) or self._fix(key)
            in_trace = f'"traceID":"{ids.trace_prefix}{trace:09x}","spanID":"{ids.span_prefix}'
            reference = f'{{"refType":"CHILD_OF",{in_trace}{parent:08x}"}}' if parent else ""
            waited = f',{{"key":"mesocosm.queued_s","type":"float64","value":{queued:.9g}}}' if queued > 0 else ""
            more, log = self._own(attributes[span], end) if span in attributes else ("", "")
            yield trace, process, about, (
                f'{{{in_trace}{span:08x}",{opening},"references":[{reference}],"startTime":{start // 1000},'
                f'"duration":{(end - start) // 1000},"flags":1,"tags":[{tags}{waited}{more}],"logs":[{log}],"warnings":null}}'
            )

    def _own(self, attributes: Mapping[str, Any], end: int) -> tuple[str, str]:
        """What service code set: more tags, and an exception as a log at the end of the span."""
        own, exception = split_exception(attributes)
        more = "".join([f",{tag(name, value)}" for name, value in own.items()])
        if not exception:
            return more, ""
        fields = ",".join([tag(name, value) for name, value in {"event": "exception", **exception}.items()])
        return more, f'{{"timestamp":{end // 1000},"fields":[{fields}]}}'

    def _fix(self, key: tuple[Any, ...]) -> tuple[str, str, str, str]:
        described = self.semantics.describe(key)
        process = f"p{key[0]}-{key[3]}"  # node and instance
        where = f"{tag('hostname', described.instance)},{tag('ip', address(key[3], described.workload))}"
        about = f'{{"serviceName":{quote(described.service)},"tags":[{where}]}}'
        opening = f'"operationName":{quote(described.name)},"processID":"{process}"'
        texts = self.fixed[key] = (process, about, opening, ",".join(tag(name, value) for name, value in _tags(described).items()))
        return texts


def _tags(described: Description) -> dict[str, Any]:
    failed = {"error": True, "otel.status_code": "ERROR"} if described.error else {}
    if described.reason:
        failed["otel.status_description"] = described.reason
    return {"span.kind": KINDS[described.kind], **failed, **described.attributes}


def tag(name: str, value: Any) -> str:
    """`{"key":...,"type":...,"value":...}`; what is no scalar is written as JSON in a string, as Jaeger does."""
    value = plain(value)
    kind = {bool: "bool", int: "int64", float: "float64"}.get(type(value), "string")
    if kind == "string" and not isinstance(value, str):
        value = dumps(value)
    return f'{{"key":{quote(name)},"type":"{kind}","value":{dumps(value)}}}'
