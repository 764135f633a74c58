"""Databases: pools, locks, transactions, capacity. Each failure is one that real systems have, with the size that theory gives."""

import pytest

from sim.telemetry.codes import Reason, SpanKind
from tests.theory.formulas import erlang_c

from .platform_runs import events, latency, reasons, shop, simulate, statuses

ROW = "{query: {database: db, statement: write, key: hot}}"


def db(result):
    """The summary's figures of the database."""
    return result.summary["databases"]["db"]


# pools


@pytest.mark.validate
@pytest.mark.parametrize(("size", "load"), [(5, 4.0), (10, 8.0)])
def test_a_pool_is_a_queue_of_its_own(size, load):
    """Calls wait for a connection as often, and as long, as in M/M/c, while the database itself has no queue."""
    result = simulate(shop({"GET /": "[{query: db}]"}, "db: {kind: database, connections: 1000, query: {exponential: 100ms}}", rate=load / 0.1,
                           duration=1200, uses=f"{{db: {{pool: {{size: {size}, max_wait: 1h}}}}}}"))
    waited = erlang_c(size, load)
    assert db(result)["pool_waits"] / db(result)["reads"] == pytest.approx(waited, abs=0.04)
    assert db(result)["pool_wait_s"]["mean"] == pytest.approx(0.1 / (size - load), rel=0.15)
    assert result.summary["services"]["db"]["queue_max"] == 0


def test_who_waits_too_long_for_a_connection_is_refused():
    """The call fails with 503 and the reason in the trace; nothing was sent, and the database has seen nothing of it."""
    result = simulate(shop({"GET /": "[{query: db}]"}, "db: {kind: database, connections: 1000, query: 1s}", rate=20,
                           uses="{db: {pool: {size: 5, max_wait: 200ms}}}"))
    assert set(statuses(result)) == {"200", "503"}
    assert reasons(result, "db")[Reason.POOL_TIMEOUT] == db(result)["pool_timeouts"] == statuses(result)["503"]
    assert result.summary["calls"]["shop->db"]["rejected"]["pool"] == db(result)["pool_timeouts"]
    assert db(result)["reads"] == pytest.approx(5 * 60, rel=0.02)  # five connections, a second each
    assert latency(result, figure="max") <= 1.2


def test_a_breaker_does_not_take_an_empty_pool_for_a_broken_database():
    """A refusal of the pool is the caller's own: the circuit to the database stays closed."""
    breaker = "circuit_breaker: {sliding_window: {calls: 10}, minimum_number_of_calls: 5}"
    result = simulate(shop({"GET /": "[{query: db}]"}, "db: {kind: database, connections: 1000, query: 1s}", rate=20,
                           uses=f"{{db: {{pool: {{size: 2, max_wait: 0ms}}, policies: [{{{breaker}}}]}}}}"))
    assert db(result)["pool_timeouts"] > 800 and result.summary["calls"]["shop->db"]["breaker"]["opened"] == 0


def test_a_connection_is_given_back_by_who_does_not_wait_any_more():
    """Calls that are cut off by a timeout leave the pool whole."""
    result = simulate(shop({"GET /": "[{query: db}]"}, "db: {kind: database, connections: 1000, query: {exponential: 1s}}", rate=20,
                           uses="{db: {pool: {size: 5, max_wait: 1s}, policies: [{timeout: 300ms}]}}"))
    assert statuses(result)["504"] > 500
    assert db(result)["reads"] > 5 * 60 / 0.3 * 0.9  # the five connections were in use all the time


def scaled(size):
    """Throughput of a database whose statements are in each other's way, behind a pool of *size* and a queue that is never empty."""
    result = simulate(shop({"GET /": "[{query: db}]"}, "db: {kind: database, connections: 1000, query: 10ms, scaling: {contention: 5%, coherency: 1%}}",
                           rate=600, duration=6, uses=f"{{db: {{pool: {{size: {size}, max_wait: 1h}}}}}}"))
    return statuses(result)["200"] / 6


def test_a_pool_that_is_too_large_hurts():
    """Gunther's law: throughput N / (1 + a(N-1) + bN(N-1)) has its peak at sqrt((1-a)/b), about 10 here, and five times as many do less."""
    for size in (1, 10, 50):
        assert scaled(size) == pytest.approx(size / (1 + 0.05 * (size - 1) + 0.01 * size * (size - 1)) / 0.01, rel=0.03)
    assert scaled(50) < 0.6 * scaled(10)


def test_statements_share_cores():
    """With `cpu` all statements at work share the cores: twice as many connections then do no more."""
    def throughput(size):
        return statuses(simulate(shop({"GET /": "[{query: db}]"}, f"db: {{kind: database, connections: {size}, cpu: {{cores: 4}}, query: 10ms}}", rate=600,
                                      duration=5)))["200"] / 5

    assert throughput(2) == pytest.approx(200, rel=0.02)
    assert throughput(4) == pytest.approx(400, rel=0.02) and throughput(64) == pytest.approx(400, rel=0.05)


def test_statements_fail_at_a_rate():
    """A share `error_rate` of the statements fails, and the services that need them answer 502."""
    result = simulate(shop({"GET /": "[{query: db}]"}, "db: {kind: database, error_rate: 20%}", rate=100))
    assert statuses(result)["502"] / sum(statuses(result).values()) == pytest.approx(0.2, abs=0.02)
    assert db(result)["errors"] == statuses(result)["502"]


def test_waits_of_the_warm_up_are_not_counted():
    """All that waits, for a pool or a lock, does so in the warm-up; nothing of it is in the figures of the rest."""
    text = shop({"GET /": "[{query: {database: db, time: 500ms}}]", "POST /": f"[{ROW}]"},
                "db: {kind: database, query: 500ms}", uses="{db: {pool: {size: 5, max_wait: 1m}}}", rate=12).replace(
        "constant-arrival-rate, rate: 12/s", "ramping-arrival-rate, start_rate: 12/s, stages: [{duration: 5s, target: 12/s}, {duration: 1ms, target: 0/s}]")
    measured, all_of_it = (db(simulate(text.replace("duration: 60s", f"duration: 60s\nwarmup: {warmup}"))) for warmup in ("50s", "0s"))
    assert all_of_it["pool_wait_s"]["max"] > 1 and all_of_it["lock_wait_s"]["max"] > 1
    for kind in ("pool", "lock"):
        assert measured[f"{kind}_waits"] == 0 and measured[f"{kind}_wait_s"] == {"mean": None, "max": 0.0}


@pytest.mark.parametrize(("queue", "said"), [("limit: 0", "no connection is free, and the queue is full"),
                                             ("max_wait: 100ms", "no connection became free in time")])
def test_who_gets_none_of_the_connections_of_the_database_learns_why(queue, said):
    """The trace has the reason, at the caller and at the database; it is no figure of a caller's pool."""
    result = simulate(shop({"GET /": "[{query: db}]"}, f"db: {{kind: database, connections: 2, query: 100ms, queue: {{{queue}}}}}", rate=40, duration=10))
    refused = result.summary["services"]["db"]["rejected"]
    assert reasons(result, "db")[Reason.POOL_TIMEOUT] == statuses(result)["503"] == refused > 50
    assert [attributes["error.message"] for attributes in result.attributes.values()].count(said) == refused
    assert db(result)["pool_timeouts"] == 0


# locks and transactions


def test_a_hot_row_is_a_single_server():
    """Writes to one row exclude each other, whatever the connections: M/M/1 on the lock."""
    result = simulate(shop({"POST /": f"[{ROW}]"}, "db: {kind: database, connections: 1000, query: {exponential: 100ms}}", rate=6, duration=4000))
    assert latency(result) == pytest.approx(0.1 / (1 - 0.6), rel=0.08)
    assert db(result)["lock_waits"] / db(result)["writes"] == pytest.approx(0.6, abs=0.03)


def test_a_lock_that_does_not_come_in_time_fails_the_statement():
    """Who waits longer than `lock_wait_timeout` gets 503 and the reason, and the others go on."""
    result = simulate(shop({"POST /": f"[{ROW}]"}, "db: {kind: database, connections: 1000, query: 1s, lock_wait_timeout: 2500ms}", rate=5, duration=100))
    assert reasons(result, "db")[Reason.LOCK_TIMEOUT] == db(result)["lock_timeouts"] == statuses(result)["503"]
    assert statuses(result)["200"] == pytest.approx(100, abs=3)
    assert latency(result, figure="max") <= 3.5


@pytest.mark.validate
def test_statements_that_wait_for_a_lock_use_up_the_connections():
    """One hot row takes all connections: reads of other rows wait too, though nothing is locked for them."""
    def reads(connections):
        return latency(simulate(shop({"POST /": f"[{ROW}]", "GET /": "[{query: db}]"},
                                     f"db: {{kind: database, connections: {connections}, query: 100ms, lock_wait_timeout: 30s}}", rate=30)), "GET /")

    assert reads(1000) == pytest.approx(0.1, rel=0.01)
    assert reads(20) > 5


def transaction(*steps):
    return f"[{{query: {{database: db, transaction: [{', '.join(steps)}]}}}}]"


def on(row, more="statement: write"):
    return f"{{query: {{database: db, {more}, key: {row}}}}}"


CROSSED = {"POST /ab": transaction(on("a"), "{work: 20ms}", on("b")), "POST /ba": transaction(on("b"), "{work: 20ms}", on("a"))}


def test_transactions_that_take_two_rows_in_different_order_deadlock():
    """One of the two is the victim: it fails with 503 and the reason at once, its work is undone, and the other one commits."""
    result = simulate(shop(CROSSED, "db: {kind: database, connections: 1000, query: 5ms}", rate=10, duration=200))
    figures = db(result)
    assert figures["deadlocks"] == reasons(result, "db")[Reason.DEADLOCK] == statuses(result)["503"] == figures["rollbacks"] > 20
    assert figures["commits"] == statuses(result)["200"]
    assert figures["lock_wait_s"]["max"] < 1


def test_the_same_order_everywhere_has_no_deadlock():
    """The cure: whoever takes both rows takes them in one order."""
    ordered = {"POST /ab": CROSSED["POST /ab"], "POST /ba": CROSSED["POST /ab"]}
    result = simulate(shop(ordered, "db: {kind: database, connections: 1000, query: 5ms}", rate=10, duration=200))
    assert db(result)["deadlocks"] == 0 and set(statuses(result)) == {"200"} and db(result)["lock_waits"] > 50


def test_a_deadlock_that_nobody_looks_for_lasts_until_the_lock_timeout():
    """Without detection both wait until one of them gives up."""
    result = simulate(shop(CROSSED, "db: {kind: database, connections: 1000, query: 5ms, deadlock_detection: false, lock_wait_timeout: 2s}", rate=5,
                           duration=200))
    assert db(result)["deadlocks"] == 0 and db(result)["lock_timeouts"] > 10
    assert db(result)["lock_wait_s"]["max"] == pytest.approx(2.0, abs=0.01)


def test_a_retry_does_the_whole_transaction_again():
    """A policy that tries a deadlocked transaction again runs all its steps again, and nobody sees the deadlock."""
    retry = "retry: {max_attempts: 10, backoff: {initial: 10ms}, on: [5xx]}"
    result = simulate(shop(CROSSED, "db: {kind: database, connections: 1000, query: 5ms}", rate=10, duration=200,
                           uses=f"{{db: {{policies: [{{{retry}}}]}}}}"))
    assert db(result)["deadlocks"] > 20 and set(statuses(result)) == {"200"}
    assert db(result)["transactions"] == statuses(result)["200"] + db(result)["deadlocks"] + result.summary["requests"]["unfinished"]


def test_a_transaction_keeps_its_connection_while_the_caller_is_busy_elsewhere():
    """A slow call inside a transaction takes all connections: the database does nothing, and everybody waits for it."""
    inside = transaction("{query: db}", "{call: mail GET /}")
    result = simulate(shop({"POST /": inside, "GET /": "[{query: db}]"},
                           "db: {kind: database, connections: 10, query: 1ms}\n  mail: {kind: external, latency: 1s}", rate=30, duration=30))
    assert result.summary["services"]["db"]["utilisation"] > 0.95
    assert latency(result, "GET /") > 3
    outside = simulate(shop({"POST /": "[{query: db}, {call: mail GET /}]", "GET /": "[{query: db}]"},
                            "db: {kind: database, connections: 10, query: 1ms}\n  mail: {kind: external, latency: 1s}", rate=30, duration=30))
    assert latency(outside, "GET /") == pytest.approx(0.001, rel=0.01)


def test_who_leaves_a_transaction_leaves_no_lock():
    """A transaction whose caller's patience ends is rolled back: the next one gets the row."""
    slow = transaction(on("a"), "{sleep: 10s}")
    result = simulate(shop({"POST /slow": slow, "POST /": f"[{on('a')}]"}, "db: {kind: database, connections: 1000, query: 1ms}", rate=2, duration=100,
                           uses="{db: {policies: [{timeout: 500ms}]}}", mix="{send: POST /slow}, {send: POST /, weight: 3}"))
    assert statuses(result, "POST /slow").get("200", 0) == 0 and db(result)["rollbacks"] >= statuses(result, "POST /slow")["504"]
    assert statuses(result, "POST /")["200"] > 100


def test_a_failed_step_rolls_back_and_is_no_failure_of_the_database():
    """Steps that end with an error write nothing; to the database that is a rollback as any other."""
    result = simulate(shop({"POST /": transaction(on("a"), "{fail: {status: 409}}")}, "db: {kind: database, replicas: 1}", rate=10))
    assert set(statuses(result)) == {"409"} and db(result)["commits"] == 0 and db(result)["rollbacks"] == db(result)["transactions"] > 500
    assert result.summary["calls"]["shop->db"]["success_ratio"] == 1.0


def test_read_then_write_without_a_lock_loses_updates():
    """Two transactions read a row and write it: the later one overwrites what it has not seen, unless it locked the row as it read."""
    def lost(more):
        steps = transaction(on("a", f"statement: read{more}"), "{work: 10ms}", on("a"))
        return db(simulate(shop({"POST /": steps}, "db: {kind: database, connections: 1000, query: 1ms}", rate=50)))["lost_updates"]

    assert lost("") > 300 and lost(", for_update: true") == 0


def test_transactions_die_with_their_database():
    """A killed database resets the connections of open transactions; when it is back, no lock of theirs is left."""
    result = simulate(shop({"POST /": transaction(on("a"), "{sleep: 60ms}")}, "db: {kind: database, query: 1ms}", rate=14,
                           faults="{kind: instance.kill, target: {service: db}, schedule: {at: 20s}, restart_after: 5s}"))
    failed = sum(count for status, count in statuses(result).items() if status != "200")
    assert statuses(result)["200"] > 600 and failed == pytest.approx(70, abs=25)  # those of the five seconds without a database
    assert reasons(result, "db")[Reason.RESET] == db(result)["rollbacks"] > 0
    assert db(result)["transactions"] == db(result)["commits"] + db(result)["rollbacks"] + result.summary["requests"]["unfinished"]


def test_a_transaction_that_is_silent_for_too_long_is_ended_by_the_database():
    """`idle_in_transaction_timeout` frees the locks of a caller that has lost interest; the caller learns it when it speaks again."""
    slow = transaction(on("a"), "{sleep: 5s}", on("b"))
    result = simulate(shop({"POST /": slow}, "db: {kind: database, query: 1ms, idle_in_transaction_timeout: 1s}", rate=1, duration=100))
    assert statuses(result) == {"502": pytest.approx(95, abs=25)} and db(result)["commits"] == 0


CUT = "{kind: network.partition, target: {link: shop->db, direction: %s}, schedule: {at: 2s, for: 5s}}"


def cut_off(direction, faults="", of_db=""):
    """A transaction at 1 s that writes two rows, two seconds apart, and is cut off at 2 s; at 8 s somebody else wants its first row."""
    slow = transaction(on("a"), "{sleep: 2s}", on("b"))
    text = shop({"POST /": slow, "PUT /": f"[{on('a')}]"}, f"db: {{kind: database, query: 1ms{of_db}}}", faults=(CUT % direction) + faults)
    return simulate(text[:text.index("  users:")] + """
  users: {executor: trace, to: shop, timeout: 60s, at: [1s], mix: [{send: POST /}]}
  others: {executor: trace, to: shop, timeout: 60s, at: [8s], mix: [{send: PUT /}]}
""" + text[text.index("faults:"):])


@pytest.mark.parametrize("direction", ["to", "from", "both"])
def test_a_statement_that_a_partition_drops_is_sent_again_when_it_has_healed(direction):
    """TCP tries again 0.2, 0.6, 1.4, 3 and 6.2 s after the statement was sent, at 3 s: the transaction goes on, and commits."""
    result = cut_off(direction)
    assert statuses(result) == {"200": 1} and latency(result) == pytest.approx(2 + 6.2, abs=0.01)
    assert db(result)["commits"] == 1 and db(result)["rollbacks"] == 0


@pytest.mark.parametrize(("of_db", "lock_waits"), [("", 1), (", idle_in_transaction_timeout: 3s", 0)])
def test_the_locks_of_a_caller_that_died_behind_a_partition_are_freed(of_db, lock_waits):
    """The server hears of it when the network has healed and TCP tries again, at 8.8 s; or it has lost patience long before."""
    result = cut_off("both", ", {kind: instance.kill, target: {service: shop}, schedule: {at: 2600ms}, restart_after: 1s}", of_db)
    assert db(result)["rollbacks"] == 1 and db(result)["commits"] == 0 and db(result)["lock_waits"] == lock_waits
    assert result.summary["workloads"]["others"]["latency_s"]["max"] == pytest.approx(0.801 if lock_waits else 0.001, abs=0.005)


def test_the_trace_shows_each_statement_of_a_transaction():
    """Statements are spans inside that of the transaction, with how they ended."""
    result = simulate(shop({"POST /": transaction(on("a"), on("b", "statement: read"))}, "db: {kind: database}", rate=1, duration=10))
    inside = result.spans.of(SpanKind.INTERNAL)
    calls = {int(span["id"]) for span in result.spans.of(SpanKind.CLIENT).rows if result.names.operations[span["operation"]] == "transaction"}
    assert {result.names.operations[one] for one in inside.operation.tolist()} == {"write", "read"}
    assert {int(one) for one in inside.parent.tolist()} <= calls and set(inside.status.tolist()) == {200}
    assert not events(result, "handler.error")
