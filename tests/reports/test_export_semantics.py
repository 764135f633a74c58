"""What the spans of gRPC calls are called: by which protocol a step calls, and the code of a call that has no answer."""

import pytest

from reports.export.semantics import Semantics, keys
from sim import loads, run
from sim.model.grpc_codes import Code, code_of
from sim.telemetry.codes import Reason

SYSTEM = """
name: grpc
duration: 4s
services:
  front:
    workers: 1000
    uses: {back: {protocol: grpc, policies: [{timeout: 100ms}]}}
    endpoints:
      GET /: [{call: back GET /}]
      GET /slow: [{call: {to: back GET /slow, optional: true}}]
      GET /other: [{parallel: [[{call: {to: "other GET /items/{uniform:5}", protocol: grpc}}], [{call: other GET /plain}]]}]
  back: {workers: 1000, endpoints: {GET /: [], GET /slow: [{sleep: 500ms}]}}
  other: {endpoints: {"GET /items/{id}": [], GET /plain: []}}
workloads:
  users: {rate: 10/s, arrivals: uniform, to: front, mix: [{send: GET /}, {send: GET /slow}, {send: GET /other}]}
faults: [{kind: instance.unavailable, target: {service: back, mode: all}, schedule: {at: 2s}}]
"""


@pytest.fixture(scope="module")
def described():
    """(service, name, OTLP's kind, status) of each sort of span, and its attributes."""
    result = run(loads(SYSTEM), 1)
    semantics, rows = Semantics(result), result.spans.rows
    found = {key: semantics.describe(key) for key in keys(rows, rows["attempt"] < 0)}
    return {(span.service, span.name, span.kind, key[4]): span.attributes for key, span in found.items()}


@pytest.mark.parametrize(("name", "status", "code"), [
    ("GET /", 200, "OK"), ("GET /slow", Reason.TIMEOUT, "DEADLINE_EXCEEDED"), ("GET /", Reason.UNAVAILABLE, "UNAVAILABLE")])
def test_a_call_that_has_no_answer_has_a_code(described, name, status, code):
    """What ends at the caller ends with a status of gRPC too."""
    call = described["front", name, 3, status]
    assert (call["rpc.system.name"], call["rpc.response.status_code"]) == ("grpc", code)


def test_the_work_for_a_caller_who_has_left_was_cancelled(described):
    """The span of the server says so."""
    assert described["back", "GET /slow", 2, Reason.CANCELLED]["rpc.response.status_code"] == "CANCELLED"


def test_a_step_that_calls_by_another_protocol_is_exported_by_that(described):
    """At both ends, though the path is drawn; the other call to the same service stays HTTP."""
    for of, name, kind in (("front", "GET /items/{uniform:5}", 3), ("other", "GET /items/{id}", 2)):
        assert described[of, name, kind, 200]["rpc.system.name"] == "grpc"
    for of, kind in (("front", 3), ("other", 2)):
        assert described[of, "GET /plain", kind, 200]["http.response.status_code"] == 200


def test_every_reason_has_a_code():
    """None of them is a success."""
    assert all(code_of(reason) is not Code.OK for reason in Reason)
