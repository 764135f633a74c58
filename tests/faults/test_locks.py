"""Locks that somebody does not let go: who waits for how long, and what that uses up."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sim.faults.databases import DbLock
from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import Reason, SpanKind

DB = {"service": "db"}


def asked(*faults, sends, services=None, **database):
    """Requests at given times to steps of `api`, 1 ms from a database whose statements take 2 ms; by arrival: (status, end)."""
    sends = [(f"load-{number}", send, at) for number, (send, at) in enumerate(sends)]
    result = run(Scenario.model_validate({
        "name": "locks", "duration": "20s", "network": {"default": {"latency": "1ms"}},
        "services": {"api": {"workers": 1000, "endpoints": services or {
            f"{method} /{key}": [{"query": {"database": "db", "statement": statement, **({"key": key} if key != "any" else {})}}]
            for method, statement in (("POST", "write"), ("GET", "read")) for key in ("1", "2", "any")}},
            "db": {"kind": "database", **database}},
        "workloads": {name: {"executor": "trace", "at": at if isinstance(at, list) else [at], "to": "api", "mix": [{"send": send}]}
                      for name, send, at in sends},
        "faults": [{"kind": "db.lock", "target": DB, "schedule": {"at": "4s", "for": "4s"}, **fault} for fault in faults],
    }))
    loads = sorted(result.requests.rows.tolist(), key=lambda row: (row[1], row[3]))
    return [(row[6], round(row[5], 6)) for row in loads], result


def figures(result):
    return result.summary["databases"]["db"]


def test_a_locked_row_is_waited_for_and_others_are_not():
    """Its writer ends with the fault, in 2 ms of work and 2 ms of way; other rows, reads and writes to no row take 6 ms as always."""
    answers, result = asked({"key": "1"}, sends=[("POST /1", "5s"), ("POST /2", "5s"), ("GET /1", "5s"), ("POST /any", "5s")])
    assert answers == [(200, 8.004), (200, 5.006), (200, 5.006), (200, 5.006)]
    assert figures(result)["lock_waits"] == 1
    assert figures(result)["lock_wait_s"]["max"] == pytest.approx(8 - 5.002)
    (off,) = [event for event in result.events if event["kind"] == "fault.off"]
    assert off["hits"] == 1


def test_those_who_wait_for_a_row_get_it_one_after_another():
    """Three writers, 2 ms each, in the order in which they came."""
    answers, _ = asked({"key": "1"}, sends=[("POST /1", ["5s", "6s", "7s"])])
    assert answers == [(200, 8.004), (200, 8.006), (200, 8.008)]


def test_a_lock_on_everything_lets_reads_pass_unless_it_is_a_lock_on_the_table():
    """By default writes wait, with and without a row; `any`: reads too; `read`: they alone. All go on together."""
    sends = [("POST /1", "5s"), ("POST /any", "5s"), ("GET /1", "5s"), ("GET /any", "5s")]
    late, soon = (200, 8.004), (200, 5.006)
    assert asked({}, sends=sends)[0] == [late, late, soon, soon]
    assert asked({"statement": "any"}, sends=sends)[0] == [late] * 4
    assert asked({"statement": "read"}, sends=sends)[0] == [soon, soon, late, late]


def test_a_share_of_the_rows_is_the_same_for_whoever_comes_again():
    """About 30 % of 400 rows, and those alone: their second writers wait as well."""
    steps = {f"POST /{row}": [{"query": {"database": "db", "statement": "write", "key": str(row)}}] for row in range(400)}
    sends = [(f"POST /{row}", ["5s", "6s"]) for row in range(400)]
    answers, result = asked({"share": "30%"}, sends=sends, services=steps, connections=1000)
    waited = [end > 7 for _, end in answers]
    assert waited[::2] == waited[1::2]
    assert sum(waited) / 800 == pytest.approx(0.3, abs=0.07)
    assert figures(result)["lock_waits"] == sum(waited)


def test_a_share_of_statements_without_a_row_is_a_matter_of_chance():
    """30 % of 400."""
    answers, _ = asked({"share": "30%"}, sends=[("POST /any", [f"{5000 + n}ms" for n in range(400)])], connections=1000)
    assert sum(end > 7 for _, end in answers) / 400 == pytest.approx(0.3, abs=0.07)


def test_rows_are_drawn_as_requests_draw_them():
    """Three different rows of ten; where there are fewer than wanted, all of them."""
    steps = {f"POST /{row}": [{"query": {"database": "db", "statement": "write", "key": str(row)}}] for row in range(1, 11)}
    sends = [(f"POST /{row}", "5s") for row in range(1, 11)]
    answers, _ = asked({"key": {"uniform": {"items": 10}}, "rows": 3}, sends=sends, services=steps)
    assert sum(end > 7 for _, end in answers) == 3
    answers, _ = asked({"key": {"uniform": {"items": 2}}, "rows": 3}, sends=sends, services=steps)
    assert [end > 7 for _, end in answers] == [True, True] + [False] * 8


def test_waits_end_with_the_timeout_of_the_database_or_of_the_fault():
    """503, by the reason `lock_timeout`; whichever is sooner, and afterwards it is the database's own."""
    sends = [("POST /1", "5s"), ("POST /any", "5s")]
    answers, result = asked({}, sends=sends, lock_wait_timeout="1s")
    assert answers == [(503, 6.004), (503, 6.004)]
    assert (result.spans.of(SpanKind.CLIENT).status == Reason.LOCK_TIMEOUT).sum() == 2
    assert figures(result)["lock_timeouts"] == 2
    assert [end for _, end in asked({"wait_timeout": "500ms"}, sends=sends)[0]] == [5.504, 5.504]
    assert [end for _, end in asked({"wait_timeout": "2s"}, sends=sends, lock_wait_timeout="1s")[0]] == [6.004, 6.004]
    later = {"name": "later", "schedule": {"at": "10s", "for": "4s"}}
    assert asked({"wait_timeout": "500ms"}, later, sends=[("POST /1", "11s")])[0] == [(200, 14.004)]


def test_a_locked_row_uses_up_the_connections_of_all_others():
    """Two writers of the row have the two connections, and who wants another row waits in line behind them."""
    answers, _ = asked({"key": "1"}, sends=[("POST /1", ["5s", "5s"]), ("POST /2", "6s"), ("GET /2", "6s")], connections=2)
    assert [end > 8 for _, end in answers] == [True] * 4


def test_a_transaction_waits_with_all_that_it_has():
    """It has row 2 and wants row 1, which is locked: a third party that wants row 2 waits for it."""
    write = [{"query": {"database": "db", "statement": "write", "key": key}} for key in ("2", "1")]
    steps = {"POST /both": [{"query": {"database": "db", "transaction": write}}], "POST /2": [write[0]]}
    answers, _ = asked({"key": "1"}, sends=[("POST /both", "5s"), ("POST /2", "6s")], services=steps)
    assert [end > 8 for _, end in answers] == [True, True]
    assert answers[0][0] == answers[1][0] == 200


def test_who_has_the_row_when_it_is_to_be_locked_ends_first():
    """A transaction that has held the row since 3.5 s commits at 4.5 s; then the lock is the fault's, whoever waits longer."""
    write = {"query": {"database": "db", "statement": "write", "key": "1"}}
    steps = {"POST /long": [{"query": {"database": "db", "transaction": [write, {"sleep": "1s"}]}}], "POST /1": [write]}
    answers, _ = asked({"key": "1"}, sends=[("POST /long", "3500ms"), ("POST /1", ["3600ms", "4200ms"])], services=steps)
    assert answers[0] == (200, pytest.approx(4.51, abs=0.01))
    assert [end > 8 for _, end in answers[1:]] == [True, True]


@pytest.mark.parametrize("windows", [(("4s", "4s"), ("5s", "1s")), (("4s", "2s"), ("5s", "3s")), (("5s", "3s"), ("4s", "2s"))])
def test_two_locks_on_one_row_and_on_everything_hold_until_the_later_one_ends(windows):
    """In whatever order they begin and end: 8 s."""
    for kinds in (({"key": "1"}, {"key": "1"}), ({"key": "1"}, {}), ({}, {})):
        faults = [{"name": f"{number}", **kind, "schedule": {"at": at, "for": length}}
                  for number, (kind, (at, length)) in enumerate(zip(kinds, windows, strict=True))]
        for order in (faults, faults[::-1]):
            answers, result = asked(*order, sends=[("POST /1", "5500ms")])
            assert answers == [(200, 8.004)]
            assert not result.summary["warnings"]


def test_rows_are_let_go_one_by_one_as_a_ramp_falls():
    """From 6 to 8 s the locked share of 400 rows falls from all to none: half of those who wait have theirs at 7 s."""
    steps = {f"POST /{row}": [{"query": {"database": "db", "statement": "write", "key": str(row)}}] for row in range(400)}
    answers, _ = asked({"ramp": {"down": "2s"}}, sends=[(f"POST /{row}", "5s") for row in range(400)], services=steps, connections=1000)
    assert sum(6 < end < 7.05 for _, end in answers) / 400 == pytest.approx(0.5, abs=0.1)
    assert all(6 < end < 8.01 for _, end in answers)


@pytest.mark.parametrize("end", [{"kind": "instance.kill", "restart_after": "100ms"}, {"kind": "db.failover", "read_only": "0s"}])
def test_a_kill_or_a_failover_ends_it(end):
    """Who held the locks was connected to the server that was."""
    end = {"name": "end", "target": DB, "schedule": {"at": "6s"}, **end}
    answers, _ = asked({"key": "1"}, end, sends=[("POST /1", ["5s", "7s"])], replicas=1)
    assert answers[1] == (200, pytest.approx(7.006))


def test_a_lock_that_nobody_needs_is_a_warning():
    """Its row is written by nobody."""
    _, result = asked({"key": "17"}, sends=[("POST /1", "5s")])
    (warning,) = result.summary["warnings"]
    assert "no statement at db-0 needed what it had locked" in warning["why"]


def test_rows_without_a_key_are_a_mistake():
    """With the cure."""
    with pytest.raises(ValidationError, match="counts those that `key` draws"):
        DbLock.model_validate({"target": DB, "rows": 3})
