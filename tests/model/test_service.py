"""Services whose endpoints are lists of steps: what is found, under what name it is recorded, what is refused; and externals."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.model.services import AnyService
from sim.telemetry.codes import SpanKind
from tests.model.small_runs import answers, at, ran, spans, users

ORDERS = {"endpoints": {"GET /orders": [], "GET /orders/{id}": [{"work": "1ms"}], "POST /orders": [{"return": {"status": 201}}]}}


def asked(send, service=None, **more):
    """The answer to one request, and the names under which the service has recorded what it served."""
    result = ran({"api": ORDERS if service is None else service}, {"users": at("0s", send=send)}, latency="0ms", **more)
    return answers(result)[0][0], [span["operation"] for span in spans(result, SpanKind.SERVER)]


@pytest.mark.parametrize(("send", "expected"), [
    ("GET /orders", ("200", ["GET /orders"])), ("POST /orders", ("201", ["POST /orders"])),
    ("GET /orders/7", ("200", ["GET /orders/{id}"])),
    ("GET /orders?page=2", ("200", ["GET /orders"])), ("GET /order", ("404", ["(no endpoint)"])), ("GET /", ("404", ["(no endpoint)"])),
    ("DELETE /orders", ("405", ["(no endpoint)"])), ("POST /orders/7", ("405", ["(no endpoint)"])),
])
def test_what_a_service_listens_on(send, expected):
    """By method and path, under the endpoint's own name; 404 where nobody listens, 405 where somebody does with another method."""
    assert asked(send) == expected


def test_a_service_without_endpoints_answers_everything():
    """A stand-in that is always well."""
    assert asked("PATCH /any/thing", {})[0] == "200"


def test_a_trace_says_which_checks_were_not_well():
    """Of three checks two fail, each in its own way: both are named in the span that says 503."""
    checks = {"db": [{"query": "db"}], "self": [{"work": "1ms"}], "pay": [{"sleep": "1m"}]}
    services = {"api": {"health": {"timeout": "100ms", "checks": checks}}, "db": {"kind": "database"}}
    ill = {"kind": "db.error", "target": {"service": "db"}}
    result = ran(services, {"users": at("0s", to="api", send="GET /health")}, faults=[ill])
    (span,) = [span for span in spans(result, SpanKind.SERVER) if span["node"] == "api"]
    assert span["status"] == "503"
    assert result.attributes[span["id"]] == {"error.message": "db: status 502; pay: no answer within 0.1 s"}


def test_everybody_answers_health_checks():
    """`GET /health` is there without being written; a service may write its own."""
    assert asked("GET /health") == asked("GET /health?full=1") == ("200", ["GET /health"])
    assert asked("POST /health") == ("405", ["(no endpoint)"])
    assert asked("GET /health", {"endpoints": {"GET /health": [{"return": {"status": 503}}]}})[0] == "503"


def test_a_thousand_paths_are_one_name():
    """Requests to one endpoint are recorded under it, whoever asks for what; the caller's name is that of its template."""
    external = {"kind": "external", "latency": "1ms"}
    api = {"endpoints": {"GET /orders/{id}": [{"call": "smtp POST /to/{uniform:1000}"}]}}
    result = ran({"api": api, "smtp": external}, {"users": users("api", send="GET /orders/{uniform:1000}", rate="100/s")})
    assert {span["operation"] for span in spans(result, SpanKind.SERVER) if span["node"] == "api"} == {"GET /orders/{id}"}
    assert {span["operation"] for span in spans(result, SpanKind.SERVER) if span["node"] == "smtp"} == {"POST /to/{uniform:1000}"}
    assert {span["operation"] for span in spans(result, SpanKind.CLIENT) if span["node"] == "users"} == {"GET /orders/{uniform:1000}"}


def test_what_was_turned_away_has_the_name_of_what_was_asked_for():
    """Also where it never got as far as an endpoint."""
    busy = {"workers": 1, "queue": {"limit": 0}, "endpoints": {"GET /orders/{id}": [{"work": "1s"}]}}
    served = spans(ran({"api": busy}, {"users": at("0s", "1ms", send="GET /orders/7")}, duration="2s"), SpanKind.SERVER)
    assert [span["status"] for span in served] == ["503", "200"] and {span["operation"] for span in served} == {"GET /orders/{id}"}


def test_an_external_party():
    """It takes its time, answers with an error now and then, and serves any number at once."""
    smtp = {"kind": "external", "latency": "50ms", "error_rate": "20%", "error_status": 503}
    result = ran({"smtp": smtp}, {"users": users("smtp", rate="200/s")}, "5s")
    shares = Counter(status for status, _ in answers(result))
    assert {ms for _, ms in answers(result)} == {52.0}
    assert shares["503"] / sum(shares.values()) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("wrong", [
    {"endpoints": {"/orders": []}}, {"endpoints": {"FETCH /orders": []}}, {"endpoints": {"GET orders": []}},
    {"endpoints": {"GET /": [{"wrok": "1s"}]}}, {"instances": -1}, {"instances": 1.5}, {"workers": 0}, {"queue": {"limit": -1}},
    {"queue": {"order": "random"}}, {"cpu": {"cores": 0}},
    {"kind": "servcie"}, {"startup": "-1s"}, {"on_caller_gone": "wait"}, {"work": "1ms"},
])
def test_what_is_no_service_is_refused(wrong):
    """Endpoints without a method or a path, numbers out of bounds, words that mean nothing."""
    with pytest.raises(ValidationError):
        TypeAdapter(AnyService).validate_python(wrong)
