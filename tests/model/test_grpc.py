"""What gRPC carries beside requests: deadlines, cancellation, limits of size, codes."""

from __future__ import annotations

import pytest

from sim.model.grpc_codes import Code, code_of, code_of_proxy, status_of
from sim.telemetry.codes import Reason, SpanKind
from tests.model.platform_world import busy_seconds, platform
from tests.model.test_transport import BACK, GRPC, black_hole, reason_of


def test_a_deadline_travels_on_and_what_comes_too_late_is_not_begun():
    """One worker, 100 ms each, four calls with 250 ms: the third is ended in the middle, and the fourth answered 504 without work."""
    services = {"back": {"workers": 1, "endpoints": {"GET /": [{"sleep": "100ms"}]}}}
    with platform(services) as lab:
        client = lab.client("back", **GRPC)
        statuses = [status for status, _ in lab.together(client, 4, deadline=0.25)]
        assert statuses == [200, 200, 504, 504]
        assert busy_seconds(lab.instance("back-0")) == pytest.approx(0.25)
        assert len(client.edge.noted["deadline.expired_on_arrival"]) == 1


@pytest.mark.parametrize("use", [{}, GRPC, {"connection": {}}])
def test_further_calls_see_the_deadline_of_the_first(use):
    """Two hops with steps only: the last one is told how long the user waits, whatever carries the calls."""
    seen = []
    services = {"front": {"endpoints": {"GET /": [{"call": "middle GET /"}]}, "uses": {"middle": use}},
                "middle": {"endpoints": {"GET /": [{"call": "back GET /"}]}, "uses": {"back": use}}, **BACK}
    with platform(services) as lab:
        back = lab.instance("back-0")
        with back.intercepted(lambda exchange, proceed: (seen.append(exchange.deadline), proceed(exchange))):
            lab.ask(lab.client("front"), deadline=0.7)
            lab.ask(lab.client("front"))
    assert seen == [pytest.approx(0.7, abs=0.03), float("inf")]


def test_a_cancelled_call_stops_the_work_under_grpc_and_not_under_http():
    """The caller leaves after 50 ms: by gRPC the server hears of it 10 ms later, by HTTP/1.1 it works to the end for nobody."""
    for use, worked in ((GRPC, 0.05), ({}, 0.1)):
        with platform(BACK) as lab:
            assert reason_of(lab, lab.client("back", **use, policies=[{"timeout": "50ms"}])) is Reason.TIMEOUT
            lab.run(1)
            assert busy_seconds(lab.instance("back-0")) == pytest.approx(worked)


def test_a_server_ends_its_work_at_the_deadline_though_nobody_tells_it_to():
    """The network fails 20 ms after the call: the server still stops after the 250 ms that it was told, in service and in line."""
    services = {"back": {"workers": 1, "endpoints": {"GET /": [{"sleep": "10s"}]}}}
    with platform(services) as lab:
        client, back = lab.client("back", **GRPC, policies=[{"deadline": "250ms"}]), lab.instance("back-0")
        calls = [lab.loop.create_task(lab.call(client)) for _ in range(2)]
        lab.run(0.02)
        with black_hole(lab):
            lab.run(0.235)
            assert [call.result().status for call in calls] == [504, 504]
            assert (back.busy.value, back.waiting.value) == (1, 1)
            lab.run(0.01)
            assert (back.busy.value, back.waiting.value) == (0, 0)
        rows = lab.world.recorder.spans.array()
        assert rows["status"][rows["kind"] == SpanKind.SERVER].tolist() == [504, 504]


def test_a_caller_without_a_clock_of_its_own_hears_that_the_deadline_is_over():
    """The deadline is the workload's, and the call in between has no policies: the server answers 504, which is a 502 to the
    user, and nobody waits for ever."""
    services = {"front": {"endpoints": {"GET /": [{"call": "back GET /"}]}, "uses": {"back": GRPC}},
                "back": {"endpoints": {"GET /": [{"sleep": "10s"}]}}}
    with platform(services) as lab:
        status, took = lab.timed(lab.client("front"), deadline=0.25)
        assert (status, took) == (502, pytest.approx(0.28))
        assert lab.instance("front-0").busy.value == 0


def test_a_message_beyond_the_limit_is_resource_exhausted_in_either_direction():
    """A request of more than 4 MiB is refused by the server without work; an answer of that size by the client, after all the work. Each
    side has a limit of its own: a client that takes more does not make the server take more."""
    endpoints = {"GET /": [{"sleep": "100ms"}], "GET /big": [{"sleep": "100ms"}, {"return": {"size": "5MiB"}}]}
    services = {"back": {"endpoints": endpoints}, "vast": {"endpoints": endpoints, "max_message_size": "8MiB"}}
    with platform(services) as lab:
        client, generous = lab.client("back", **GRPC), lab.client("back", "other", **GRPC, max_message_size="8MiB")
        assert lab.ask(client, size=4 * 2**20).status == 200
        assert lab.ask(client, size=4 * 2**20 + 1).status == 429
        assert busy_seconds(lab.instance("back-0")) == pytest.approx(0.1)
        assert lab.ask(client, path="/big").status == 429
        assert busy_seconds(lab.instance("back-0")) == pytest.approx(0.2)
        assert lab.ask(generous, path="/big").status == 200
        assert lab.ask(generous, size=5 * 2**20).status == 429
        assert lab.ask(lab.client("vast", **GRPC), size=5 * 2**20).status == 200
        assert lab.ask(lab.client("vast", "third", **GRPC, max_message_size="0B"), path="/").status == 429


def test_codes_and_statuses_stand_for_each_other():
    """Every code has its status (google/rpc/code.proto), and a service's status its code; a proxy's status has other ones."""
    assert {code: code_of(status_of(code)) for code in Code} | {
        Code.UNKNOWN: Code.UNKNOWN, Code.ALREADY_EXISTS: Code.ALREADY_EXISTS, Code.FAILED_PRECONDITION: Code.FAILED_PRECONDITION,
        Code.OUT_OF_RANGE: Code.OUT_OF_RANGE, Code.DATA_LOSS: Code.DATA_LOSS} == {code: code for code in Code}
    assert [code_of(status) for status in (200, 404, 413, 503, 504, 418)] == [
        Code.OK, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.UNKNOWN]
    assert [code_of_proxy(status) for status in (400, 404, 429, 504, 500)] == [
        Code.INTERNAL, Code.UNIMPLEMENTED, Code.UNAVAILABLE, Code.UNAVAILABLE, Code.UNKNOWN]


def test_retry_throttling_stops_retries_while_a_server_fails():
    """gRPC's maxTokens 10, tokenRatio 0.1: after five failures there are no more retries; ten calls make few more attempts than ten."""
    services = {"back": {"endpoints": {"GET /": [{"fail": {"status": 503}}]}}}
    with platform(services) as lab:
        retry = {"max_attempts": 3, "backoff": {"initial": "10ms", "jitter": "none"}, "on": ["5xx"],
                 "budget": {"kind": "throttle", "max_tokens": 10, "token_ratio": 0.1}}
        client = lab.client("back", **GRPC, policies=[{"retry": retry}])
        for _ in range(10):
            lab.ask(client)
        assert 10 < client.edge.sent <= 16
