"""Results written by hand, row by row, so that a test knows every number that a report must show."""

import math
from collections.abc import Iterable, Sequence

from sim.telemetry.codes import Outcome, SpanKind
from sim.telemetry.columns import REQUEST, SAMPLE, SPAN, Rows, pack_request, pack_sample, pack_span
from sim.telemetry.result import FaultInterval, Names, Requests, RunResult, Spans

NODES = {"shoppers": "workload", "gateway": "gateway", "orders": "service", "payments": "service", "orders-db": "database"}
INSTANCES = ["", "gateway-0", "orders-0", "orders-1", "payments-0", "orders-db-0"]


def request(id, start, latency, outcome=Outcome.OK, status=200, workload=0):
    """One user request; without a latency it never ended."""
    end = math.nan if latency is None else start + latency
    return pack_request(id, workload, 0, start, start, end, status, Outcome.UNFINISHED if latency is None else outcome)


def span(id, parent, kind, node, peer, start, end, *, trace=1, queued=0.0, instance="", status=200, attempt=1, outcome=Outcome.OK):
    """One span between nodes given by name."""
    names = list(NODES)
    who = names.index(node), names.index(peer), 0, INSTANCES.index(instance)
    return pack_span(id, parent, trace, start, end, queued, *who, status, attempt, kind, outcome)


def client(id, parent, node, peer, start, end, **more):
    """A logical call as its caller saw it."""
    return span(id, parent, SpanKind.CLIENT, node, peer, start, end, **more)


def server(id, parent, node, peer, start, end, **more):
    """A request as its server saw it."""
    return span(id, parent, SpanKind.SERVER, node, peer, start, end, **more)


def attempt(id, parent, node, peer, start, end, number, **more):
    """One attempt of a call."""
    return span(id, parent, SpanKind.ATTEMPT, node, peer, start, end, attempt=number, **more)


def gauge(node, instance, measure, values: Iterable[tuple[float, float, float]]):
    """A gauge and its samples: (at, mean, max)."""
    return (node, instance, measure), list(values)


def run_of(requests: Sequence[bytes] = (), spans: Sequence[bytes] = (), *, gauges=(), **more) -> RunResult:
    """A result of these rows; *more* are other fields of RunResult."""
    request_rows, span_rows, sample_rows = Rows(REQUEST), Rows(SPAN), Rows(SAMPLE)
    for row in requests:
        request_rows.write(row)
    for row in spans:
        span_rows.write(row)
    for index, (_, values) in enumerate(gauges):
        for at, mean, most in values:
            sample_rows.write(pack_sample(at, index, mean, most))
    names = Names(list(NODES), list(NODES.values()), INSTANCES, ["POST /orders"], ["shoppers"], [name for name, _ in gauges])
    fields = {
        "name": "hand", "title": "Made by hand", "variant": None, "seed": 7, "duration": 10.0, "warmup": 0.0, "events": [], "logs": [],
        "attributes": {}, "faults": [], "summary": {}, "digest": "sha256:0", "wall_s": 0.1,
    }
    tables = {"requests": Requests(request_rows.array()), "spans": Spans(span_rows.array()), "samples": sample_rows.array()}
    return RunResult(names=names, **tables, **{**fields, **more})


def fault(name="slow", start=2.0, until=4.0, kind="network.delay", targets=("orders->payments",)):
    """A fault that was on once."""
    return FaultInterval(name, kind, targets, start, until)
