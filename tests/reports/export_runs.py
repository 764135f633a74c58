"""A run small enough to count by hand, with everything in it that an export can stumble over."""

import numpy as np

from reports.export.sampling import EVERYTHING, sample
from reports.export.traces import Traces
from sim.telemetry.codes import Outcome, Reason
from sim.telemetry.result import RunResult
from tests.reports.hand_made import attempt, client, fault, gauge, request, run_of, server

FAILED, DEGRADED = Outcome.FAILED, Outcome.DEGRADED

CHECKS = [{**check, "title": check["name"]} for check in (
    {"name": "availability", "measure": "success_ratio", "passed": True, "measured": 0.997, "op": "at_least", "bound": 0.99, "from_s": 0.0, "until_s": 2.0},
    {"name": "fast <&> 'good'", "measure": "latency.p99", "passed": False, "measured": 0.61234567, "op": "at_most", "bound": 0.4, "from_s": 2.0, "until_s": 4.0},
    {"name": "recovers", "measure": "goodput", "passed": False, "measured": None, "op": "at_least", "bound": 190, "from_s": 8.0, "until_s": 10.0},
)]


def shop(**more) -> RunResult:
    """Four requests and a job of nobody's:

    1  all well, 100 ms                     2  the first attempt at payments times out and its work goes on; the second is good, 600 ms
    3  payments answers 500: 503, 50 ms     4  under way when the run ends     and orders asks its database on its own account
    """
    requests = [
        request(1, 1.0, 0.1), request(3, 5.0, 0.05, FAILED, 503), request(2, 2.5, 0.6, DEGRADED, 202), request(4, 9.9, None),
    ]
    spans = [
        server(4, 3, "payments", "orders", 1.02, 1.08, instance="payments-0"),
        client(3, 2, "orders", "payments", 1.01, 1.09, instance="orders-0"),
        server(2, 1, "orders", "shoppers", 1.005, 1.095, instance="orders-0", queued=0.004),
        client(1, 0, "shoppers", "orders", 1.0, 1.1),
        attempt(13, 12, "orders", "payments", 2.51, 2.91, 1, trace=2, instance="orders-1", status=Reason.TIMEOUT, outcome=FAILED),
        server(16, 15, "payments", "orders", 2.96, 3.05, trace=2, instance="payments-0", attempt=2),
        attempt(15, 12, "orders", "payments", 2.95, 3.06, 2, trace=2, instance="orders-1"),
        client(12, 11, "orders", "payments", 2.51, 3.06, trace=2, instance="orders-1", attempt=2),
        server(11, 10, "orders", "shoppers", 2.505, 3.095, trace=2, instance="orders-1", status=202, outcome=DEGRADED),
        client(10, 0, "shoppers", "orders", 2.5, 3.1, trace=2, status=202, outcome=DEGRADED),
        server(14, 13, "payments", "orders", 2.52, 3.6, trace=2, instance="payments-0"),
        server(23, 22, "payments", "orders", 5.02, 5.03, trace=3, instance="payments-0", status=500, outcome=FAILED),
        client(22, 21, "orders", "payments", 5.01, 5.04, trace=3, instance="orders-0", status=500, outcome=FAILED),
        server(21, 20, "orders", "shoppers", 5.005, 5.045, trace=3, instance="orders-0", status=503, outcome=FAILED),
        client(20, 0, "shoppers", "orders", 5.0, 5.05, trace=3, status=503, outcome=FAILED),
        server(31, 30, "orders-db", "orders", 7.001, 7.004, trace=0, instance="orders-db-0"),
        client(30, 0, "orders", "orders-db", 7.0, 7.005, trace=0, instance="orders-1"),
    ]
    events = [
        {"at": 2.0, "kind": "fault.on", "fault": "slow"},
        {"at": 5.04, "kind": "circuit_breaker.state_transition", "edge": "orders->payments", "caller": "orders-0", "source": "closed",
         "target": "open", "reason": "failure rate"},
        {"at": 7.5, "kind": "circuit_breaker.rejected", "edge": "orders->payments", "caller": "orders-0", "reason": "open"},
        {"at": 8.0, "kind": "circuit_breaker.state_transition", "edge": "orders->payments", "caller": "orders-0", "source": "open",
         "target": "half_open", "reason": "wait is over"},
    ]
    given = {
        "events": events,
        "logs": [{"at": 5.045, "level": "error", "message": "no \"luck\"\n", "service": "orders", "instance": "orders-0", "trace": 3,
                  "span": 21, "order_id": "o-3"}],
        "attributes": {2: {"order.id": "o-1", "order.total": 12.5, "order.items": 3, "gift": True, "tags": ["a", "b"]},
                       21: {"exception.type": "PaymentFailed", "exception.message": "card declined"}},
        "faults": [fault()],
        "gauges": [gauge("orders", "", "queue", [(5.0, 0.5, 2.0), (10.0, 1.5, 3.0)])],
        "scenario": {"name": "hand", "services": {"orders": {"uses": {"payments": {"policies": [
            {"retry": {"max_attempts": 2}}, {"circuit_breaker": {}}, {"bulkhead": {"max_concurrent_calls": 4}}, {"timeout": "400ms"}]}}}}},
        "summary": {"verdict": "fail", "checks": CHECKS, "nothing": float("nan")},
    }
    return run_of(requests, spans, **{**given, **more})


def everything(result: RunResult) -> Traces:
    """All traces of it."""
    return Traces(result, sample(result, EVERYTHING).rows)


def repeated(result: RunResult, times: int) -> RunResult:
    """The same traffic *times* times, one after the other, with ids of its own each time."""
    from dataclasses import replace

    from sim.telemetry.result import Requests, Spans

    spans, requests = np.tile(result.spans.rows, times), np.tile(result.requests.rows, times)
    for rows, number in ((spans, len(result.spans)), (requests, len(result.requests))):
        turn = np.repeat(np.arange(times), number)
        for column in ("start", "end", "intended"):
            if column in rows.dtype.names:
                rows[column] += turn * result.duration
        for column, step in (("id", 100), ("parent", 100), ("trace", 10)):
            if column in rows.dtype.names:
                rows[column] += np.where(rows[column] > 0, turn * (step if rows is spans else 10), 0).astype(rows[column].dtype)
    return replace(result, spans=Spans(spans), requests=Requests(requests), duration=result.duration * times)
