"""Faults of databases with replicas: what they lose, refuse and show too late, against the arithmetic."""

from __future__ import annotations

import pytest

from sim.errors import InvalidInput
from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind

DB = {"service": "db"}


def result_of(*faults, replicas=2):
    """50 writes and 50 reads a second, for 12 s, to rows of a database with replicas that have no lag of their own."""
    statement = {"database": "db", "key": {"uniform": {"items": 10}}}
    return run(Scenario.model_validate({
        "name": "replicated", "duration": "12s", "network": {"default": {"latency": "1ms"}},
        "services": {
            "api": {"workers": 100, "uses": {"db": {"policies": [{"timeout": "1s"}]}},
                    "endpoints": {"POST /": [{"query": {**statement, "statement": "write"}}], "GET /": [{"query": statement}]}},
            "db": {"kind": "database", "replicas": replicas},
        },
        "workloads": {name: {"rate": "50/s", "arrivals": "uniform", "to": "api", "mix": [{"send": send}]}
                      for name, send in (("writers", "POST /"), ("readers", "GET /"))},
        "checks": [{"name": "lost", "measure": "lost_writes", "of": "db", "at_most": 0}],
        "faults": list(faults),
    }))


def figures(result):
    return result.summary["databases"]["db"]


def test_a_failover_takes_no_writes_for_a_while_and_loses_nothing_that_was_replicated():
    """Two seconds of writes are refused; reads go on; the other server is the primary from then on."""
    result = result_of({"kind": "db.failover", "target": DB, "schedule": {"at": "4s"}, "read_only": "2s"})
    assert figures(result)["refused_writes"] == pytest.approx(100, abs=2)
    assert (figures(result)["failovers"], figures(result)["lost_writes"]) == (1, 0)
    assert figures(result)["primary"] != "db-0"
    assert result.summary["workloads"]["readers"]["success_ratio"] == 1
    late = result.requests[(result.requests.intended > 6.1) & (result.requests.intended < 11.9)]
    assert (late.outcome == 0).all()


def test_lag_makes_reads_stale_and_ends_with_the_fault():
    """Of ten rows with 5 writes a second each, half a second of lag hides a write from nearly all reads."""
    calm, lagging = result_of(), result_of({"kind": "db.replica_lag", "target": DB, "schedule": {"at": "3s", "for": "5s"}, "lag": "500ms"})
    hidden = 1 - 2.718281828 ** -(5 * 0.5)
    more = (figures(lagging)["stale_reads"] - figures(calm)["stale_reads"]) / (50 * 5)
    assert more == pytest.approx(hidden, abs=0.15)
    assert figures(lagging)["lost_writes"] == 0


def test_when_a_lag_ends_replicas_catch_up():
    """However long it was: a failover half a second later loses nothing."""
    result = result_of({"kind": "db.replica_lag", "target": DB, "schedule": {"at": "3s", "for": "2s"}, "lag": "1h"},
                       {"kind": "db.failover", "target": DB, "schedule": {"at": "5500ms"}})
    assert (figures(result)["failovers"], figures(result)["lost_writes"]) == (1, 0)


def test_what_the_lag_holds_back_is_lost_in_a_failover():
    """Half a second of 50 writes a second."""
    result = result_of({"kind": "db.replica_lag", "target": DB, "schedule": {"at": "3s", "for": "5s"}, "lag": "500ms"},
                       {"kind": "db.failover", "target": DB, "schedule": {"at": "4s"}})
    assert figures(result)["lost_writes"] == pytest.approx(25, abs=1)
    (check,) = result.summary["checks"]
    assert (check["measured"], check["passed"]) == (figures(result)["lost_writes"], False)


def test_two_lags_add_and_two_failovers_overlap():
    """300 and 200 ms are half a second; writes are refused until the later of two windows ends."""
    lags = [{"kind": "db.replica_lag", "name": lag, "target": DB, "schedule": {"at": "3s", "for": "5s"}, "lag": lag}
            for lag in ("300ms", "200ms")]
    first = {"kind": "db.failover", "name": "first", "target": DB, "schedule": {"at": "4s"}, "read_only": "1s"}
    second = {"kind": "db.failover", "name": "second", "target": DB, "schedule": {"at": "4500ms"}, "read_only": "2s"}
    result = result_of(*lags, first, second)
    assert figures(result)["lost_writes"] == pytest.approx(25, abs=1)
    assert figures(result)["refused_writes"] == pytest.approx(125, abs=2)
    assert [event["read_only_until"] for event in result.events if event["kind"] == "database.failover"] == [5.0, 6.5]


def test_a_failover_to_nobody_leaves_the_one_there_is_read_only_and_says_until_when():
    """The only replica is down: no other server takes over, and for two seconds nobody takes a write."""
    kill = {"kind": "instance.kill", "target": {"instance": "db-1"}, "schedule": {"at": "3s", "for": "5s"}}
    result = result_of(kill, {"kind": "db.failover", "target": DB, "schedule": {"at": "4s"}, "read_only": "2s"}, replicas=1)
    assert [event["until"] for event in result.events if event["kind"] == "database.read_only"] == [6.0]
    assert (figures(result)["refused_writes"], figures(result)["failovers"]) == (pytest.approx(100, abs=2), 0)


@pytest.mark.parametrize("fault", [{"kind": "db.failover"}, {"kind": "db.replica_lag", "lag": "1s"}])
def test_without_replicas_there_is_nobody_to_fail_over_to(fault):
    """A mistake, with the cure."""
    with pytest.raises(InvalidInput, match="replicas: 1"):
        result_of({**fault, "target": DB}, replicas=0)


def transacting(*faults, rows=1_000_000):
    """20 transactions a second of two writes to any of some rows, 30 ms each; faults last from 4.01 s to 8.01 s."""
    write = {"query": {"database": "db", "statement": "write", "key": {"uniform": {"items": rows}}}}
    return run(Scenario.model_validate({
        "name": "transacting", "duration": "16s", "network": {"default": {"latency": "1ms"}},
        "services": {
            "api": {"workers": 100, "uses": {"db": {"policies": [{"timeout": "1s"}]}},
                    "endpoints": {"POST /": [{"query": {"database": "db", "transaction": [write, {"sleep": "20ms"}, write]}}]}},
            "db": {"kind": "database"},
        },
        "workloads": {"writers": {"rate": "20/s", "arrivals": "uniform", "to": "api", "mix": [{"send": "POST /"}]}},
        "faults": [{"target": DB, "schedule": {"at": "4010ms", "for": "4s"}, **fault} for fault in faults],
    }))


def test_faults_of_requests_meet_a_transaction_as_it_begins_and_leave_its_connection_alone():
    """A delay of 5 ms is added once, not for each statement, and what was begun is committed."""
    calm, delayed = transacting(), transacting({"kind": "http.delay", "delay": "5ms"})
    assert figures(delayed)["commits"] == figures(calm)["commits"] == figures(calm)["transactions"]
    assert delayed.requests.latency.max() - calm.requests.latency.max() == pytest.approx(0.005)


@pytest.mark.parametrize(("statement", "share"), [("any", 0.75), ("write", 0.75), ("read", 0.0)])
def test_an_error_of_a_statement_rolls_its_transaction_back(statement, share):
    """Each of the two writes fails with 50 %: a quarter of the transactions is committed, and all of them had begun."""
    calm, failing = transacting(), transacting({"kind": "db.error", "probability": "50%", "statement": statement})
    counts = figures(failing)
    assert counts["transactions"] == figures(calm)["transactions"] and counts["commits"] + counts["rollbacks"] == counts["transactions"]
    assert counts["rollbacks"] == counts["errors"] == failing.summary["requests"]["failed"] == pytest.approx(80 * share, abs=12)
    inside = failing.spans.of(SpanKind.INTERNAL)
    assert sum(status == 500 for status in inside.status.tolist()) == counts["errors"]
    late = failing.requests[failing.requests.intended > 8.1]
    assert (late.outcome == 0).all()


@pytest.mark.parametrize(("fault", "slower"), [
    ({"latency": "200ms"}, 0.4), ({"factor": 3}, 2 * 0.004), ({"factor": 3, "latency": "100ms"}, 2 * (0.1 + 0.004))])
def test_slow_statements_take_a_factor_or_a_latency_more(fault, slower):
    """Each of the two statements of a transaction, which take 2 ms, and as much as before when the fault is over."""
    calm, slow = (transacting(*faults).requests for faults in ([], [{"kind": "db.slow", **fault}]))
    during = (slow.intended > 4.05) & (slow.intended < 7.5)
    assert (slow.latency - calm.latency)[during] == pytest.approx(slower)
    assert (slow.latency - calm.latency)[slow.intended > 8.1] == pytest.approx(0)


def test_two_latencies_of_statements_add_and_follow_a_ramp():
    """100 and 50 ms are 150; halfway up a ramp of 4 s half of 100 ms is there."""
    calm = transacting().requests
    both = transacting({"kind": "db.slow", "latency": "100ms"}, {"kind": "db.slow", "name": "more", "latency": "50ms"}).requests
    assert (both.latency - calm.latency)[(both.intended > 4.05) & (both.intended < 7.5)] == pytest.approx(0.3)
    rising = transacting({"kind": "db.slow", "latency": "100ms", "ramp": {"up": "4s"}}).requests
    assert (rising.latency - calm.latency)[(rising.intended > 5.95) & (rising.intended < 6.05)] == pytest.approx(0.1, abs=0.02)


def test_a_slowness_that_is_none_is_refused():
    """Neither a factor nor a latency: a mistake, with the cure."""
    with pytest.raises(ValueError, match="it does not say how slow"):
        transacting({"kind": "db.slow"})


@pytest.mark.parametrize("fault", [
    {"kind": "network.reset", "target": {"link": "api->db"}, "probability": "30%"},
    {"kind": "network.partition", "target": {"link": "api->db"}},
    {"kind": "network.partition", "target": {"link": "api->db"}, "how": "reject"},
    {"kind": "network.loss", "target": {"link": "api->db", "direction": "both"}, "loss": "30%"},
    {"kind": "instance.pause", "target": {"service": "db"}},
    {"kind": "instance.kill", "target": {"service": "api"}},
])
def test_a_connection_that_broke_leaves_no_transaction_open(fault):
    """The server hears of it, if need be as TCP sends it again to a network that is whole again: what was open is rolled back, and nobody
    waits for its locks."""
    result = transacting(fault, rows=10)
    counts = figures(result)
    assert counts["commits"] + counts["rollbacks"] >= counts["transactions"] - 1  # the last one may be under way
    assert counts["rollbacks"] > 0 or fault["kind"] == "network.loss"
    late = result.requests[(result.requests.intended > 13) & (result.requests.intended < 15.9)]
    assert (late.outcome == 0).all()
    assert late.latency.max() == pytest.approx(transacting(rows=10).requests.latency.max(), abs=0.1)
