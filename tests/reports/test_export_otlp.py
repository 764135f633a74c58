"""OTLP JSON lines, read by OpenTelemetry's own message definitions, which refuse unknown fields and wrong types."""

import base64
import json
import re

import pytest

from reports.export import otlp
from reports.export.time import EPOCH_NS
from reports.export.traces import BACKGROUND
from tests.reports.export_runs import everything, repeated, shop

json_format = pytest.importorskip("google.protobuf.json_format")
trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")

IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def with_base64_ids(node):
    """protobuf's JSON has bytes in base64 where OTLP's has hexadecimal; that is the one difference."""
    if isinstance(node, list):
        return [with_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    for key, digits in IDS.items():
        if key in node:
            assert re.fullmatch(f"[0-9a-f]{{{digits}}}", node[key]), node
            node[key] = base64.b64encode(bytes.fromhex(node[key])).decode()
    return {key: with_base64_ids(value) for key, value in node.items()}


def parsed(lines):
    """All spans with the attributes of their resource, as protobuf messages."""
    spans = []
    for line in lines:
        batch = json_format.ParseDict(with_base64_ids(json.loads(line)), trace_pb2.TracesData())
        for group in batch.resource_spans:
            resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            spans += [(resource, span) for scope in group.scope_spans for span in scope.spans]
    return spans


@pytest.fixture(scope="module")
def spans():
    """By the number in the span's id."""
    return {int.from_bytes(span.span_id[4:]): (resource, span) for resource, span in parsed(otlp.lines(everything(shop())))}


def attributes(span):
    return {pair.key: pair.value for pair in span.attributes}


def test_every_span_is_there_once(spans):
    """Seventeen rows, seventeen spans, each in the service and instance that recorded it."""
    assert len(spans) == len(shop().spans)
    resource, _ = spans[11]
    assert resource["service.name"] == "orders"
    assert resource["service.instance.id"] == "orders-1"
    assert resource["service.namespace"] == "hand"


def test_a_trace_is_a_tree(spans):
    """Every parent that is named is a span of the same trace."""
    for _, span in spans.values():
        if span.parent_span_id:
            _, parent = spans[int.from_bytes(span.parent_span_id[4:])]
            assert parent.trace_id == span.trace_id


def test_times_are_nanoseconds_from_the_epoch(spans):
    """1.005 s to 1.095 s."""
    _, span = spans[2]
    assert (span.start_time_unix_nano - EPOCH_NS, span.end_time_unix_nano - EPOCH_NS) == (1_005_000_000, 1_095_000_000)


def test_kinds_and_status(spans):
    """A server's, a client's; a logical call with attempts is internal, its attempts are clients; a failure says why."""
    kinds = {number: trace_pb2.Span.SpanKind.Name(span.kind) for number, (_, span) in spans.items()}
    assert [kinds[number].removeprefix("SPAN_KIND_") for number in (2, 3, 12, 13)] == ["SERVER", "CLIENT", "INTERNAL", "CLIENT"]
    status = spans[13][1].status
    assert (status.code, status.message) == (trace_pb2.Status.STATUS_CODE_ERROR, "timeout")
    refused = spans[21][1].status
    assert (refused.code, refused.message) == (trace_pb2.Status.STATUS_CODE_ERROR, "")  # http.response.status_code says it: 503
    assert spans[10][1].status.code == trace_pb2.Status.STATUS_CODE_UNSET


def test_attributes_follow_the_semantic_conventions(spans):
    """Method, route and status of a server; of a second attempt that it was one; of a database call its system."""
    server, second, query = (attributes(spans[number][1]) for number in (21, 15, 30))
    assert (server["http.request.method"].string_value, server["http.route"].string_value) == ("POST", "/orders")
    assert (server["http.response.status_code"].int_value, server["error.type"].string_value) == (503, "503")
    assert second["http.request.resend_count"].int_value == 1
    assert second["server.address"].string_value == "payments"
    assert (query["db.system.name"].string_value, query["db.namespace"].string_value) == ("other_sql", "orders-db")


def test_attributes_of_service_code_keep_their_types(spans):
    """Text, a float, an integer, a truth value and a list."""
    own = attributes(spans[2][1])
    assert own["order.id"].string_value == "o-1"
    assert own["order.total"].double_value == 12.5
    assert own["order.items"].int_value == 3
    assert own["gift"].bool_value is True
    assert [item.string_value for item in own["tags"].array_value.values] == ["a", "b"]
    assert own["mesocosm.queued_s"].double_value == pytest.approx(0.004)


def test_an_exception_is_an_event(spans):
    """At the end of the span that it left, with its type and message, and no longer among the attributes."""
    _, span = spans[21]
    (event,) = span.events
    assert (event.name, event.time_unix_nano) == ("exception", span.end_time_unix_nano)
    assert {pair.key: pair.value.string_value for pair in event.attributes} == {
        "exception.type": "PaymentFailed", "exception.message": "card declined"}
    assert "exception.type" not in attributes(span)


def test_background_work_is_a_trace_of_its_own(spans):
    """It belongs to no request; its trace is named after the span at its root."""
    query, served = spans[30][1], spans[31][1]
    assert query.trace_id == served.trace_id
    assert int.from_bytes(query.trace_id[11:]) & (16 * BACKGROUND - 1) == BACKGROUND + 30


def test_names_are_only_text():
    """Quotes, line breaks, control characters and other scripts in an attribute survive the way through JSON."""
    nasty = 'a "b" \\ \n\t\x00 <script> ñ 漢 \u2028'
    found = parsed(otlp.lines(everything(shop(attributes={2: {nasty: nasty}}))))
    assert [attributes(span)[nasty].string_value for _, span in found if nasty in attributes(span)] == [nasty]


def test_a_line_stays_below_a_mebibyte():
    """The collector's file receiver cuts longer ones off."""
    lines = list(otlp.lines(everything(repeated(shop(), 500))))
    assert len(lines) > 5
    assert max(len(line.encode()) for line in lines) < 2**20
    assert all(line.count("\n") == 1 for line in lines)


def test_ids_depend_on_the_seed_alone():
    """The same run gives the same bytes; with another seed no trace has the same id."""
    one, again, other = ("".join(otlp.lines(everything(shop(seed=seed)))) for seed in (1, 1, 2))
    traces = [set(re.findall(r'"traceId":"(\w+)"', text)) for text in (one, other)]
    assert one == again
    assert not traces[0] & traces[1]


def test_a_run_without_spans_gives_no_line():
    """An empty file is a valid file of JSON lines."""
    empty = shop()
    assert list(otlp.lines(everything(type(empty)(**{**vars(empty), "spans": empty.spans[:0]})))) == []


def test_the_resource_tells_the_version_of_the_instance():
    """Of one that was deployed with a version, that; else 1.0.0, as the logs have it."""
    run = shop(description={"orders": {"versions": {"orders-0": "v2"}}})
    found = {resource.get("service.instance.id", resource["service.name"]): resource.get("service.version")
             for resource, _ in parsed(otlp.lines(everything(run)))}
    assert (found["orders-0"], found["payments-0"], found["shoppers"]) == ("v2", "1.0.0", None)
