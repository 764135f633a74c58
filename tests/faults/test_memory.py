"""What a process keeps in memory is gone with it: breakers, budgets, balancers, connections and rates begin anew after a kill."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import Outcome, SpanKind

KILL = {"kind": "instance.kill", "target": {"instance": "front-0"}, "schedule": {"at": "5s", "for": "1s"}}
PAUSE = {**KILL, "kind": "instance.pause"}


def ran(*faults, policies=(), workers=1000, balancer=None, back=None, front=None, duration="12s", **uses):
    """50 requests a second by one of two workloads to `front` (`front-0` or `front-1`, by turns) and on to three instances of `back`."""
    uses = {"policies": list(policies), **({"balancer": balancer} if balancer is not None else {}), **uses}
    return run(Scenario.model_validate({
        "name": "memory", "duration": duration, "network": {"default": {"latency": "1ms"}},
        "services": {"front": {"instances": 2, "workers": workers, "endpoints": {"GET /": [{"call": "back GET /"}]}, "uses": {"back": uses},
                               **(front or {})},
                     "back": {"instances": 3, "endpoints": {"GET /": [{"work": "5ms"}]}, **(back or {})}},
        "workloads": {"users": {"rate": "50/s", "arrivals": "uniform", "to": "front", "timeout": "3s", "mix": [{"send": "GET /"}]}},
        "faults": list(faults),
    }))


def by_instance(result, name, start, until):
    """The outcomes of what `front`'s instance *name* served between two times."""
    server = result.spans.of(SpanKind.SERVER)
    mine = server[(server.instance == result.names.instances.index(name)) & (server.start >= start) & (server.end < until)]
    return mine.outcome.tolist()


BREAKER = {"circuit_breaker": {"sliding_window": {"calls": 10}, "minimum_number_of_calls": 5, "wait_duration_in_open_state": "60s"}}
ILL = {"kind": "http.abort", "name": "ill", "target": {"service": "back"}, "schedule": {"at": "2s", "for": "2s"}}


def test_a_breaker_of_a_killed_process_is_closed_in_the_next_one():
    """Both callers' breakers open at 2 s for a minute; the killed one calls again at 6 s, the other one is still turned away."""
    result = ran(ILL, KILL, policies=[BREAKER])
    assert set(by_instance(result, "front-0", 6.1, 11.9)) == {Outcome.OK}
    assert set(by_instance(result, "front-1", 6.1, 11.9)) == {Outcome.REJECTED}
    closed = [event for event in result.events if event["kind"] == "circuit_breaker.state_transition" and event["target"] == "closed"]
    assert [(event["at"], event["caller"], event["reason"]) for event in closed] == [(5.0, "front-0", "its process has ended")]
    assert result.summary["calls"]["front->back"]["breaker"]["open_s"] == pytest.approx((5 - 2.1) + (12 - 2.1), abs=0.3)


def test_a_breaker_of_a_paused_process_stays_as_it_was():
    """It has only slept."""
    result = ran(ILL, PAUSE, policies=[BREAKER])
    assert set(by_instance(result, "front-0", 6.1, 11.9)) == {Outcome.REJECTED}


def test_a_failure_window_begins_empty():
    """Eight failures of twenty calls before, five after: together they would open the breaker, and do so where it was only paused."""
    ill = [{**ILL, "name": at, "schedule": {"at": at, "for": length}} for at, length in (("4690ms", "300ms"), ("6s", "200ms"))]
    breaker = {"circuit_breaker": {"sliding_window": {"calls": 20}, "minimum_number_of_calls": 20, "failure_rate_threshold": "50%"}}
    assert ran(*ill, PAUSE, policies=[breaker]).summary["calls"]["front->back"]["breaker"]["opened"] == 1
    assert ran(*ill, KILL, policies=[breaker]).summary["calls"]["front->back"]["breaker"]["opened"] == 0


def test_a_retry_budget_is_full_again():
    """Ten tokens, and none are earned: ten retries of each process and no more, so that a restart has ten."""
    budget = {"retry": {"max_attempts": 2, "backoff": {"initial": "1ms"}, "budget": {"kind": "per_success", "share": "0%", "max_tokens": 10}}}
    ill = {**ILL, "schedule": {"at": "2s", "for": "9s"}}
    assert ran(ill, policies=[budget]).summary["calls"]["front->back"]["retries"] == 20
    assert ran(ill, PAUSE, policies=[budget]).summary["calls"]["front->back"]["retries"] == 20
    assert ran(ill, KILL, policies=[budget]).summary["calls"]["front->back"]["retries"] == 30


@pytest.mark.parametrize("balancer", ["least_request", "p2c", "peak_ewma", "round_robin", "ring_hash", "maglev", "weighted", "zone_aware"])
def test_calls_under_way_at_the_kill_upset_no_balancer(balancer):
    """Calls of the old process end with the old balancer, though the next process begins in the same instant."""
    kills = {**KILL, "schedule": {"every": "1s"}, "restart_after": "0ms"}
    result = ran(kills, balancer=balancer, back={"endpoints": {"GET /": [{"work": "150ms"}]}})
    assert set(by_instance(result, "front-0", 11.2, 11.9)) == {Outcome.OK}


def test_an_ejected_instance_is_given_another_chance_by_a_new_process():
    """`back-1` answers 503 for a second and is ejected for a minute: the killed caller calls it again, the other one does not."""
    ill = {**ILL, "target": {"instance": "back-1"}}
    result = ran(ill, KILL, outlier_detection={"consecutive_5xx": 3, "interval": "500ms", "base_ejection_time": "60s", "max_ejection": "50%"})
    server = result.spans.of(SpanKind.SERVER)
    late = server[(server.start > 6.1) & (server.instance == result.names.instances.index("back-1"))]
    assert len(late) == pytest.approx(25 * 5.8 / 3, abs=3)
    returned = [event["caller"] for event in result.events if event["kind"] == "outlier.returned"]
    assert not returned


HANDSHAKE = 0.2  # seconds
SECURE = {"connect_timeout": "1s", "tls": True, "handshake": "200ms"}


@pytest.mark.parametrize("uses", [{"pool": {"size": 5, "connect": "200ms"}}, {"connection": SECURE}, {"protocol": "grpc", "connection": SECURE}])
def test_a_new_process_opens_connections_of_its_own(uses):
    """The first call of each process takes the time of a handshake, and later ones do not."""
    calm, killed = ran(**uses), ran(KILL, **uses)
    slow = []
    for result in (calm, killed):
        calls = result.spans.of(SpanKind.CLIENT)
        slow.append(calls[(calls.node == result.names.nodes.index("front")) & (calls.start > 4) & (calls.duration > HANDSHAKE)])
    assert len(slow[0]) == 0
    assert slow[1].start.min() == pytest.approx(6.0, abs=0.05)


def test_a_gateway_counts_rates_anew():
    """One request in ten seconds for each client: a second one passes after the kill."""
    result = run(Scenario.model_validate({
        "name": "rates", "duration": "12s",
        "services": {"gate": {"kind": "gateway", "rate_limit": {"rate": "6/min", "burst": 1}, "routes": [{"path": "/*", "to": "back"}]},
                     "back": {}},
        "workloads": {"users": {"executor": "trace", "at": ["1s", "2s", "7s", "8s"], "to": "gate", "mix": [{"send": "GET /x"}]}},
        "faults": [{"kind": "instance.kill", "target": {"service": "gate"}, "schedule": {"at": "5s", "for": "1s"}}],
    }))
    assert [int(row[6]) for row in sorted(result.requests.rows.tolist(), key=lambda row: row[3])] == [200, 429, 200, 429]
