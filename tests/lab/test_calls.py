"""`calls` of summary.json: its counters cover the same calls, those that began after the warm-up and have ended."""

from __future__ import annotations

from typing import Any

import pytest

from reports.charts.edges import edges
from sim.telemetry.codes import SpanKind
from tests.model.small_runs import at, ran, spans, users

ALWAYS_BAD = {"fail": "100%"}
HANGING = {"sleep": "1h"}
AT_ONCE = {"kind": "constant", "delay": "1ms"}


def called(step: dict[str, Any], load: dict[str, Any] | None = None, *, policies: Any = (), duration: str = "30s", **more: Any) -> dict[str, Any]:
    """The figures of the calls of *load*, or of `users` with *policies*, to a service that does *step* for each."""
    services = {"api": {"workers": 1000, "endpoints": {"GET /": [step]}}}
    result = ran(services, {"users": load or users("api", policies=policies)}, duration, latency="0ms", **more)
    figures: dict[str, Any] = result.summary["calls"]["users->api"]
    return figures


def first_tries(edge: dict[str, Any]) -> int:
    """Attempts that are neither retries nor hedges."""
    return int(edge["attempts"] - edge["retries"] - edge["hedges"])


def test_retries_are_those_of_the_calls_that_count():
    """Each call fails twice, five seconds apart: those of the warm-up that retry after it do not count, nor those that have not ended."""
    retry = {"retry": {"max_attempts": 2, "backoff": {"kind": "constant", "delay": "5s"}}}
    edge = called(ALWAYS_BAD, users("api", rate="1/s", policies=[retry]), duration="60500ms", warmup="10s")
    assert (edge["calls"], edge["attempts"], edge["retries"], edge["unfinished"]) == (46, 92, 46, 5)
    assert edge["policies"] == {"retry.retry": 46, "retry.retry_gave_up": 46}


def test_timeouts_are_those_of_the_calls_that_count():
    """Of a service that hangs each call ends by its timeout: there are as many of the one as of the other."""
    edge = called(HANGING, policies=[{"timeout": "8s"}], warmup="10s")
    assert edge["calls"] == edge["timeouts"] == edge["policies"]["timeout.timeout"] > 100


def test_a_refusal_after_the_warm_up_of_a_call_before_it_does_not_count():
    """All but one wait eight seconds in vain for the bulkhead: calls without an attempt, and each is one refusal."""
    bulkhead = {"bulkhead": {"max_concurrent_calls": 1, "max_queued_calls": 1000, "max_wait_duration": "8s"}}
    edge = called(HANGING, policies=[bulkhead], warmup="10s")
    assert edge["calls"] == edge["rejected"]["bulkhead"] > 100
    assert edge["attempts"] == edge["retries"] == 0


def test_a_retry_that_was_not_sent_is_none():
    """The circuit is open when the second attempt is due, or the caller's time is over: first tries and retries are all attempts."""
    breaker = {"circuit_breaker": {"sliding_window": {"calls": 4}, "minimum_number_of_calls": 4, "wait_duration_in_open_state": "1s"}}
    edge = called(ALWAYS_BAD, policies=[{"retry": {"max_attempts": 3, "backoff": AT_ONCE}}, breaker])
    assert edge["policies"]["retry.retry"] > edge["retries"] > 0 and edge["rejected"]["circuit_breaker"] > edge["calls"] / 2
    retries_refused = edge["policies"]["retry.retry"] - edge["retries"]
    assert first_tries(edge) == edge["calls"] - (edge["rejected"]["circuit_breaker"] - retries_refused)
    slow = called(ALWAYS_BAD, policies=[{"timeout": "1s"}, {"retry": {"max_attempts": 2, "backoff": {"kind": "constant", "delay": "2s"}}}])
    assert slow["attempts"] == slow["calls"] == slow["policies"]["retry.retry"] and slow["retries"] == 0


@pytest.mark.parametrize("use", [{}, {"connection": {}}, {"connection": {"max_connections": 1}}, {"protocol": "grpc", "connection": {}}])
def test_an_attempt_that_gets_no_connection_is_one(use):
    """Nothing reaches the other side, or nobody is there: two calls of three attempts each, whatever connections cost."""
    retry = {"retry": {"max_attempts": 3, "backoff": AT_ONCE, "on": ["any"]}}
    front = {"uses": {"back": {**use, "policies": [retry, {"timeout": "200ms"}]}}, "endpoints": {"GET /": [{"call": "back"}]}}
    for instances, links, timeouts in ((1, {"front->back": {"loss": "100%", "transport": "datagram"}}, 6), (0, {}, 0)):
        services = {"front": front, "back": {"instances": instances, "endpoints": {"GET /": [{"work": "1ms"}]}}}
        result = ran(services, {"users": at("0s", "2s", to="front")}, "4s", network={"links": links})
        edge = result.summary["calls"]["front->back"]
        assert (edge["calls"], edge["attempts"], edge["retries"], edge["timeouts"]) == (2, 6, 4, timeouts)
        assert len([span for span in spans(result, SpanKind.ATTEMPT) if span["peer"] == "back"]) == 6


def test_an_attempt_that_waits_in_vain_for_a_pool_is_one():
    """Of two calls of two attempts each one has the only connection to the database, and the other one waits for it."""
    use = {"pool": {"size": 1}, "policies": [{"retry": {"max_attempts": 2, "backoff": AT_ONCE}}, {"timeout": "500ms"}]}
    services = {"api": {"uses": {"db": use}, "endpoints": {"GET /": [{"query": "db"}]}}, "db": {"kind": "database", "query": "1m"}}
    edge = ran(services, {"users": at("0s", "0s")}, "4s").summary["calls"]["api->db"]
    assert (edge["calls"], edge["attempts"], edge["retries"], edge["timeouts"]) == (2, 4, 2, 4)


def test_every_timeout_of_a_list_counts():
    """A workload's own timeout is the first, and one of 200 ms around each of two attempts the second."""
    load = at("0s", timeout="1s", policies=[{"retry": {"max_attempts": 2, "backoff": AT_ONCE}}, {"timeout": "200ms"}])
    edge = called(HANGING, load)
    assert edge["policies"]["timeout-2.timeout"] == 2 == edge["timeouts"] and edge["retries"] == 1


def test_hedges_are_attempts_but_no_retries():
    """One of two attempts each; where a bulkhead inside refuses the second one it was none."""
    hedge, bulkhead = {"hedge": {"delay": "50ms"}}, {"bulkhead": {"max_concurrent_calls": 1, "max_queued_calls": 0}}
    edge = called({"work": "100ms"}, policies=[hedge])
    assert edge["hedges"] == edge["calls"] == first_tries(edge) > 250 and edge["retries"] == 0
    alone = called({"work": "100ms"}, at("0s", "1s", policies=[hedge, bulkhead]))
    assert (alone["calls"], alone["attempts"], alone["hedges"], alone["retries"]) == (2, 2, 0, 0)
    assert alone["policies"]["hedge.hedge"] == alone["rejected"]["bulkhead"] == 2


@pytest.mark.parametrize("policies", [[{"retry": {"max_attempts": 3, "backoff": AT_ONCE}}], []])
def test_what_a_sidecar_does_counts_too(policies):
    """Three attempts of the caller, each of them three of its sidecar: nine for each call, eight of them retries; or three without."""
    mesh = {"retry": {"max_attempts": 3, "on": ["5xx", "timeout"], "backoff": AT_ONCE}, "per_try_timeout": "100ms"}
    front = {"mesh": {}, "uses": {"back": {"policies": policies}}, "endpoints": {"GET /": [{"call": "back"}]}}
    own = len(policies) * 2 + 1
    for step, timeouts in ((ALWAYS_BAD, 0), (HANGING, 3 * own)):
        services = {"front": front, "back": {"mesh": mesh, "endpoints": {"GET /": [step]}}}
        load = at("0s", "2s", "4s", to="front", policies=[{"timeout": "2s"}])
        edges = ran(services, {"users": load}, "10s").summary["calls"]
        edge = edges["front->back"]
        assert (edge["calls"], edge["attempts"], edge["retries"], edge["timeouts"]) == (3, 9 * own, 9 * own - 3, 3 * timeouts)
        assert edge["policies"]["mesh.retry.retry"] == 6 * own
        assert edges["users->front"]["retries"] == edges["users->front"]["timeouts"] == 0


def test_what_happens_in_no_call_counts_by_its_time():
    """A breaker that opens in the warm-up and closes after it: one transition to half open and one to closed, in `policies` as in `breaker`."""
    breaker = {"circuit_breaker": {"minimum_number_of_calls": 4, "wait_duration_in_open_state": "2s",
                                   "permitted_number_of_calls_in_half_open_state": 1}}
    bad = {"kind": "http.abort", "target": {"service": "api"}, "schedule": {"at": "0s", "for": "2s"}, "status": 503}
    edge = called({"work": "1ms"}, policies=[breaker], faults=[bad], warmup="1500ms")
    assert edge["policies"]["circuit_breaker.state_transition"] == 2 and edge["breaker"]["opened"] == 0


def test_a_call_that_its_caller_called_off_counts_neither_for_nor_against():
    """Users leave after 50 ms, and the call that was made for them is called off with that: how it would have ended nobody knows."""
    services = {"api": {"on_caller_gone": "cancel", "uses": {"back": {}}, "endpoints": {"GET /": [{"call": "back GET /"}]}},
                "back": {"workers": 1000, "endpoints": {"GET /": [{"sleep": {"uniform": {"low": "0ms", "high": "100ms"}}}]}}}
    checks = [{"measure": measure, "of": "api->back", "at_least": "0%"} for measure in ("success_ratio", "error_share")]
    result = ran(services, {"users": users("api", timeout="50ms")}, "10s", steady_state=[*checks, {**checks[1], "status": "cancelled"}])
    back = result.summary["calls"]["api->back"]
    assert back["success_ratio"] == 1.0 and back["calls"] > 90
    assert [check["measured"] for check in result.summary["checks"]] == [1.0, 0.0, pytest.approx(0.5, abs=0.2)]
    edge = next(edge for edge in edges(result) if edge.target == "back")
    assert edge.error_share == 0 and 30 < edge.called_off < 70


def test_calls_of_the_warm_up_are_not_among_the_unfinished():
    """Three calls never end: one began in the warm-up. Another of the warm-up ended after it."""
    load = at("1s", "8s", "12s", "13s", to="api")
    edge = called(HANGING, load, duration="20s", warmup="10s")
    assert (edge["calls"], edge["unfinished"]) == (0, 2)
    assert called({"sleep": "5s"}, load, duration="16s", warmup="10s")["unfinished"] == 2
