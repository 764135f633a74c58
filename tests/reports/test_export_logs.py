"""Structured logs: one line for what happened, findable by trace, in our own words or Elastic's."""

import json
from datetime import datetime
from ipaddress import ip_address

import pytest

from reports.export import logs
from sim.errors import InvalidInput
from tests.reports.export_runs import everything, repeated, shop


def entries(result, log_format="jsonl"):
    return [json.loads(line) for line in logs.lines(everything(result), log_format)]


def of(found, message, service="orders", trace=None):
    """The lines with that message from one service, of one trace."""
    return [entry for entry in found if (entry["message"], entry["service"]) == (message, service) and (
        trace is None or entry["trace_id"].endswith(str(trace)))]


def test_every_request_that_a_service_took_starts_and_ends():
    """Eight requests in instances: eight lines at the start, eight at the end, one line of the service's own."""
    messages = [entry["message"] for entry in entries(shop())]
    assert messages.count("request started") == 8
    assert messages.count("request completed") + messages.count("request failed") == 8
    assert len(messages) == 17


def test_a_completed_request_has_the_lessons_fields():
    """Who, what, how long, for whom; a time in RFC 3339, and ids of the exported trace."""
    (line,) = of(entries(shop()), "request completed", trace=1)
    assert line["time"] == "2026-01-01T00:00:01.095000Z"
    assert datetime.fromisoformat(line["time"]).timestamp() == pytest.approx(1767225601.095)
    given = {key: line[key] for key in ("level", "service", "instance", "version", "env", "method", "path", "status", "duration_ms")}
    assert given == {
        "level": "info", "service": "orders", "instance": "orders-0", "version": "1.0.0", "env": "simulation", "method": "POST",
        "path": "/orders", "status": 200, "duration_ms": 90.0,
    }
    assert line["user_agent"] == "mesocosm-workload/shoppers"
    assert {"response_size", "trace_id", "span_id"} <= set(line)


@pytest.mark.parametrize(("status", "level"), [(404, "warn"), (429, "warn"), (500, "error"), (503, "error")])
def test_a_status_from_400_on_is_a_failed_request(status, level):
    """The caller's mistake is a warning, the server's an error."""
    run = shop()
    rows = run.spans.rows.copy()
    rows["status"][rows["id"] == 21] = status
    (line,) = of(entries(shop_with(run, rows)), "request failed", trace=3)
    assert (line["level"], line["status"], line["error"]) == (level, status, str(status))


def shop_with(run, rows):
    fields = {key: value for key, value in vars(run).items() if key != "_gauge_rows"}
    return type(run)(**{**fields, "spans": type(run.spans)(rows)})


def test_who_called_is_told_by_address_and_agent():
    """payments hears from orders-1's address what orders-1 calls itself; users come from a network that is set aside for tests."""
    found = entries(shop())
    by_orders = of(found, "request started", "payments", trace=2)
    assert {line["user_agent"] for line in by_orders} == {"orders/1.0.0"}
    (own,) = {line["remote_ip"] for line in by_orders}
    assert ip_address(own) != ip_address(of(found, "request started", "payments", trace=1)[0]["remote_ip"])
    assert of(found, "request started", trace=1)[0]["remote_ip"].startswith("198.18.")


def test_lines_are_in_the_order_of_time():
    """All services together; what a service logs as its request ends stands before the end."""
    found = entries(repeated(shop(), 40))
    times = [line["time"] for line in found]
    assert times == sorted(times)
    third = [line["message"] for line in entries(shop()) if line.get("trace_id", "").endswith("3") and line["service"] == "orders"]
    assert third == ["request started", 'no "luck"\n', "request failed"]


def test_a_services_own_line_keeps_its_fields():
    """With the ids of the span that it was written in."""
    (line,) = [entry for entry in entries(shop()) if entry["logger"] == "app"]
    failed = of(entries(shop()), "request failed", trace=3)[0]
    assert (line["order_id"], line["level"], line["trace_id"], line["span_id"]) == ("o-3", "error", failed["trace_id"], failed["span_id"])


def test_elastics_names():
    """ECS: required fields, dotted keys, durations in nanoseconds; the same lines."""
    found = entries(shop(), "ecs")
    (line,) = [entry for entry in found if entry["message"] == "request failed" and entry["service.name"] == "orders"]
    assert line["ecs.version"] == "8.11"
    assert (line["@timestamp"], line["log.level"], line["event.duration"]) == ("2026-01-01T00:00:05.045000Z", "error", 40_000_000)
    assert (line["http.response.status_code"], line["url.path"], line["error.type"]) == (503, "/orders", "503")
    assert len(line["trace.id"]) == 32
    assert len(found) == 17


def test_a_format_that_does_not_exist():
    """Is answered with those that do."""
    with pytest.raises(InvalidInput, match="no log format 'logfmt': known: ecs, jsonl"):
        entries(shop(), "logfmt")


def test_a_run_without_spans_has_only_its_own_lines():
    """Nothing was served, so nothing is made up."""
    assert [line["logger"] for line in entries(shop_with(shop(), shop().spans.rows[:0]))] == ["app"]
