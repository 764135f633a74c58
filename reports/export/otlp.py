"""Traces as OpenTelemetry's protocol in JSON, one line a batch (the file exporter's format; Jaeger's upload takes it too).

Rules of OTLP JSON that readers insist on: ids in hexadecimal, 64-bit integers as strings, enums as numbers, keys in
lowerCamelCase. A line stays below 1 MiB, where the collector's `otlpjsonfile` receiver cuts lines off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import SpanKind

from .jsontext import dumps, plain, quote
from .semantics import Description, Semantics, split_exception, version_of
from .traces import Traces

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

BATCH = 1024  # spans in a line
SCOPE = '"scope":{"name":"mesocosm"}'


def lines(traces: Traces) -> Iterator[str]:
    """One line for each batch of spans, grouped by service instance."""
    import numpy as np

    span_texts = _SpanTexts(traces)
    for which in traces.chunks(size=BATCH):
        rows = traces.rows[which]
        which = which[np.lexsort((rows["instance"], rows["node"]))]
        groups = groupby(span_texts(which), key=lambda pair: pair[0])
        yield f'{{"resourceSpans":[{",".join(_resource_spans(resource, group) for resource, group in groups)}]}}\n'


def _resource_spans(resource: str, group: Iterator[tuple[str, str]]) -> str:
    spans = ",".join([span for _, span in group])
    return f'{{"resource":{resource},"scopeSpans":[{{{SCOPE},"spans":[{spans}]}}]}}'


class _SpanTexts:
    """Pairs of resource and span, as JSON. Whatever does not differ from span to span is formatted once."""

    def __init__(self, traces: Traces) -> None:
        self.traces = traces
        self.semantics = Semantics(traces.result)
        self.resource = resources(traces.result)
        self.fixed: dict[tuple[Any, ...], tuple[str, str, str]] = {}

    def __call__(self, which: Any) -> Iterator[tuple[str, str]]:
        traces, fixed, attributes = self.traces, self.fixed, self.traces.result.attributes
        in_trace, is_span = f'{{"traceId":"{traces.ids.trace_prefix}', f'","spanId":"{traces.ids.span_prefix}'
        has_parent = f'","parentSpanId":"{traces.ids.span_prefix}'
        for key, span, parent, trace, start, end, queued in traces.columns(which):
            resource, before, after = fixed.get(key) or self._fix(key)
            child = f"{has_parent}{parent:08x}" if parent else ""
            waited = f',{{"key":"mesocosm.queued_s","value":{{"doubleValue":{queued:.9g}}}}}' if queued > 0 else ""
            more, event = self._own(attributes[span], end) if span in attributes else ("", "")
            yield resource, (
                f'{in_trace}{trace:09x}{is_span}{span:08x}{child}","startTimeUnixNano":"{start}","endTimeUnixNano":"{end}",'
                f"{before}{waited}{more}]{event}{after}"
            )

    def _own(self, attributes: Mapping[str, Any], end: int) -> tuple[str, str]:
        """What service code set: more attributes, and an exception as an event at the end of the span."""
        own, exception = split_exception(attributes)
        more = "".join([f",{attribute(name, value)}" for name, value in own.items()])
        if not exception:
            return more, ""
        fields = ",".join([attribute(name, value) for name, value in exception.items()])
        return more, f',"events":[{{"name":"exception","timeUnixNano":"{end}","attributes":[{fields}]}}]'

    def _fix(self, key: tuple[Any, ...]) -> tuple[str, str, str]:
        described = self.semantics.describe(key)
        attributes = {"mesocosm.kind": SpanKind(key[6]).name.lower(), **described.attributes}
        listed = ",".join(attribute(name, value) for name, value in attributes.items())
        before = f'"name":{quote(described.name)},"kind":{described.kind},"attributes":[{listed}'
        texts = self.fixed[key] = (self.resource(described), before, f',"status":{_status(described)}}}')
        return texts


def _status(described: Description) -> str:
    if not described.error:
        return "{}"
    return f'{{"code":2,"message":{quote(described.reason)}}}' if described.reason else '{"code":2}'


def resources(result: RunResult) -> Callable[[Description], str]:
    """A function that gives the resource, as JSON, of a span: the service instance that it was recorded in."""

    def text(described: Description) -> str:
        about = {"service.name": described.service, "service.namespace": result.name}
        if described.instance:
            about["service.instance.id"] = described.instance
        if not described.workload:
            about["service.version"] = version_of(result.description, described.service, described.instance)
        about["deployment.environment.name"] = "simulation"
        return f'{{"attributes":[{",".join(attribute(name, value) for name, value in about.items())}]}}'

    return text


def attribute(name: str, value: Any) -> str:
    """`{"key":...,"value":...}`."""
    return f'{{"key":{quote(name)},"value":{any_value(plain(value))}}}'


def any_value(value: Any) -> str:
    """OTLP's AnyValue: the value under a key that names its type."""
    for kind, write in _ANY_VALUE:
        if isinstance(value, kind):
            return write(value)
    return "{}"  # null: an AnyValue without a value


_ANY_VALUE: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: f'{{"boolValue":{"true" if value else "false"}}}'),  # before int, which it is too
    (int, lambda value: f'{{"intValue":"{value}"}}'),
    (float, lambda value: f'{{"doubleValue":{dumps(value)}}}'),
    (str, lambda value: f'{{"stringValue":{quote(value)}}}'),
    (list, lambda value: f'{{"arrayValue":{{"values":[{",".join(any_value(item) for item in value)}]}}}}'),
    (Mapping, lambda value: f'{{"kvlistValue":{{"values":[{",".join(attribute(k, v) for k, v in value.items())}]}}}}'),
)
