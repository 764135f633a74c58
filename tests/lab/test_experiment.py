"""Experiments: the steady state in its phases, checks over windows, what stops a run, and the verdict."""

from __future__ import annotations

import pytest

from sim.lab.experiment import phases, verdict_of
from sim.lab.run import run
from sim.scenario.measures import told
from sim.scenario.scenario import Scenario
from sim.telemetry.result import FaultInterval

USERS = {"rate": "100/s", "arrivals": "uniform", "to": "api", "timeout": "1s", "mix": [{"send": "GET /"}]}


def scenario(faults=(), **more):
    """One service of 10 ms behind a link of 1 ms, 100/s evenly, for 20 s."""
    return Scenario.model_validate({
        "name": "lab", "duration": "20s", "warmup": "2s", "network": {"default": {"latency": "1ms"}},
        "services": {"api": {"workers": 10, "endpoints": {"GET /": [{"work": "10ms"}]}}},
        "workloads": {"users": USERS},
        "faults": list(faults), **more,
    })


def abort(at="8s", length="4s", **fields):
    return {"name": "bad", "kind": "http.abort", "target": {"service": "api"}, "schedule": {"at": at, "for": length}, **fields}


OK = {"name": "ok", "measure": "success_ratio", "of": "users", "at_least": "99%"}


def judged(*faults, **more):
    """(verdict, {check: (passed, measured)})."""
    summary = run(scenario(faults, **more)).summary
    return summary["verdict"], {check["title"]: (check["passed"], check["measured"]) for check in summary["checks"]}


def test_what_was_under_way_as_the_first_fault_came_says_nothing_of_the_time_before():
    """Answers take 2 s; those that a fault at 5 s, or 1 s after the warm-up, met under way are no reason to call the system ill."""
    slow = {"api": {"workers": 1000, "endpoints": {"GET /": [{"work": "2s"}]}}}
    users, kill = {"users": {**USERS, "timeout": "5s"}}, {"kind": "instance.kill", "target": {"service": "api"}}
    verdict, checks = judged({**kill, "schedule": {"at": "5s", "for": "1s"}}, services=slow, workloads=users, steady_state=[OK])
    assert verdict == "fail" and checks["ok before the faults"] == (True, 1.0)
    verdict, checks = judged({**kill, "schedule": {"at": "3s", "for": "1s"}}, services=slow, workloads=users, steady_state=[OK])
    assert verdict == "fail" and "ok before the faults" not in checks
    ok = {**OK, "of": "api"}  # which ends what it was at in the instant of the kill
    verdict, checks = judged({**kill, "schedule": {"at": "5s", "for": "1s"}}, services=slow, workloads=users, steady_state=[ok])
    assert verdict == "fail" and checks["ok before the faults"] == (True, 1.0)


def test_how_busy_the_system_was_before_the_faults_needs_nobody_to_have_ended():
    """Answers take 2 s, and 1 s after the warm-up comes the first fault: a hundred workers and more were busy until then."""
    slow = {"api": {"workers": 1000, "endpoints": {"GET /": [{"work": "2s"}]}}}
    users, pause = {"users": {**USERS, "timeout": "5s"}}, {"kind": "instance.pause", "target": {"service": "api"}}
    idle = {"name": "idle", "measure": "utilisation", "of": "api", "at_most": "10%"}
    verdict, checks = judged({**pause, "schedule": {"at": "3s", "for": "1s"}}, services=slow, workloads=users, steady_state=[idle])
    assert verdict == "baseline" and checks["idle before the faults"] == (False, pytest.approx(0.2, abs=0.01))


def test_a_system_that_shrugs_a_fault_off_passes():
    """The steady state holds before, during and after; each is a check of its own."""
    slow = {"kind": "network.delay", "target": {"link": "users->api"}, "latency": "5ms", "schedule": {"at": "8s", "for": "4s"}}
    verdict, checks = judged(slow, steady_state=[OK])
    assert verdict == "pass"
    assert checks == {f"ok {phase} the faults": (True, 1.0) for phase in ("before", "during", "after")}


def test_a_steady_state_that_breaks_under_faults_is_a_failure():
    """Half of the requests fail for four seconds: judged then, and not before or after."""
    verdict, checks = judged(abort(probability="50%"), steady_state=[OK])
    assert verdict == "fail"
    assert [passed for passed, _ in checks.values()] == [True, False, True]
    assert checks["ok during the faults"][1] == pytest.approx(0.5, abs=0.08)


def test_a_system_that_was_ill_before_the_first_fault_proves_nothing():
    """The verdict is `baseline`, whatever the faults do."""
    verdict, checks = judged(abort(), steady_state=[{**OK, "measure": "latency.p99", "at_least": None, "at_most": "11ms"}])
    assert verdict == "baseline"
    assert checks["ok before the faults"] == (False, pytest.approx(0.012))


def test_a_fault_that_leaves_no_time_for_a_request_before_it_is_no_proof_of_illness():
    """A millisecond after the warm-up, in which no request began, tells nothing, and the faults are judged; a second without any does."""
    verdict, checks = judged(abort(at="2004ms", length="2s"), steady_state=[OK], warmup="2003ms")
    assert verdict == "fail" and list(checks) == ["ok during the faults", "ok after the faults"]
    goodput = {"name": "goodput", "measure": "goodput", "of": "users", "at_least": "95/s"}
    verdict, checks = judged(abort(at="2055ms", length="2s"), steady_state=[goodput], warmup="2003ms")
    assert verdict == "fail" and list(checks) == ["goodput during the faults", "goodput after the faults"]
    many = {"users": {**USERS, "rate": "1000/s"}}
    verdict, checks = judged(abort(at="2503ms"), steady_state=[{**goodput, "at_least": "1500/s"}], warmup="2003ms", workloads=many)
    assert verdict == "baseline" and checks["goodput before the faults"] == (False, 1000)
    verdict, checks = judged(abort(at="3s"), steady_state=[{**OK, "measure": "latency.p99", "of": "nobody", "at_least": None, "at_most": "1s"}],
                             workloads={"users": USERS, "nobody": {**USERS, "rate": "0.01/s"}})
    assert verdict == "baseline" and checks["ok before the faults"] == (False, None)


def test_without_faults_the_steady_state_is_judged_once_over_the_whole_run():
    """From the end of the warm-up to the end."""
    assert judged(steady_state=[OK]) == ("pass", {"ok": (True, 1.0)})
    assert judged(steady_state=[{**OK, "measure": "goodput", "at_least": "200/s"}])[0] == "baseline"


def test_grace_is_given_as_the_faults_begin_and_after_they_end():
    """Of a failure of four seconds, a grace of three leaves one; it is also given after the end."""
    summary = run(scenario([abort()], steady_state=[{**OK, "grace": "3s"}])).summary
    assert [(check["phase"], check["from_s"], check["until_s"]) for check in summary["checks"]] == [
        ("before", 2.0, 8.0), ("during", 11.0, 12.0), ("after", 15.0, 20.0)]


def test_phases_whose_time_is_up_before_they_begin_are_left_out():
    """A fault from the start has no before; one to the end has no after; a long grace leaves no during."""
    whole = FaultInterval("f", "k", (), 0.0, None)
    assert [phase.name for phase in phases([whole], 2.0, 20.0, 0.0)] == ["during"]
    short = FaultInterval("f", "k", (), 5.0, 6.0)
    assert [phase.name for phase in phases([short], 2.0, 20.0, 3.0)] == ["before", "after"]


def test_checks_are_judged_over_their_window():
    """Between 8 and 12 s nobody is answered; from 13 s on everybody."""
    checks = [{**OK, "name": "bad", "from": "8s", "until": "11900ms"}, {**OK, "name": "good", "from": "13s"}]
    verdict, found = judged(abort(), checks=checks)
    assert verdict == "fail"
    assert found == {"bad": (False, 0.0), "good": (True, 1.0)}


def test_a_condition_keeps_its_name_in_every_phase():
    """The name is the scenario's own word, whatever the phase or the bound; the title tells the entries apart."""
    load = {"name": "load", "measure": "offered", "of": "users", "at_least": "1/s", "at_most": "1000/s"}
    summary = run(scenario([abort()], steady_state=[OK], checks=[load])).summary
    assert [(check["name"], check["title"]) for check in summary["checks"]] == [
        *(("ok", f"ok {phase} the faults") for phase in ("before", "during", "after")), ("load", "load (at least)"), ("load", "load (at most)")]


def test_a_check_with_two_bounds_is_two_checks():
    """Each says which bound it is about."""
    _, found = judged(checks=[{"name": "load", "measure": "offered", "of": "users", "at_least": "99/s", "at_most": "99.5/s"}])
    assert found == {"load (at least)": (True, pytest.approx(100, abs=0.1)), "load (at most)": (False, pytest.approx(100, abs=0.1))}


@pytest.mark.parametrize(("measure", "of", "bound", "wanted"), [
    ("success_ratio", "users", "1%", 0.75), ("goodput", "users", "1/s", 75.0), ("throughput", "users", "1/s", 100.0),
    ("offered", "users", "1/s", 100.0), ("error_share", "users", "1%", 0.25), ("latency.p50", "users", "1ms", 0.012),
    ("latency.max", "users", "1ms", 0.012), ("latency.mean", "api", "1ms", 0.0075), ("success_ratio", "api", "1%", 0.75),
    ("success_ratio", "users->api", "1%", 0.75), ("amplification", "users->api", 1, 1.0), ("attempts", "users->api", "1/s", 100.0),
    ("breaker_open_share", "users->api", "1%", 0.0), ("utilisation", "api", "1%", 0.075), ("queue", "api", 1, 0.0),
    ("queue.max", "api", 1, 0.0),
    ("in_flight", "users", 1, 0.25 * 0.2 + 0.75 * 1.2),
])
def test_every_measure_of_a_window(measure, of, bound, wanted):
    """A quarter of the requests is answered with 500 at once, the others after 10 ms of work and 2 ms of way."""
    quarter = abort("8s", "4s", probability="25%", status=500)
    check = {"name": "it", "measure": measure, "of": of, "at_least": bound, "from": "8s", "until": "12s"}
    _, found = judged(quarter, checks=[check])
    assert found["it"][1] == pytest.approx(wanted, rel=0.12, abs=1e-9)


@pytest.mark.parametrize(("status", "wanted"), [(503, 0.25), ("503", 0.25), ("5xx", 0.25), ("timeout", 0.0), (500, 0.0), (None, 0.25)])
def test_errors_by_status(status, wanted):
    """By number, by class, or by the reason for which there is no status."""
    check = {"name": "it", "measure": "error_share", "of": "users", "status": status, "at_least": "1%", "from": "8s", "until": "12s"}
    _, found = judged(abort(probability="25%"), checks=[check])
    assert found["it"][1] == pytest.approx(wanted, abs=0.06)


def test_what_cannot_be_measured_has_not_held():
    """A window in which nothing arrives: measured is null, and the check has not passed."""
    silent = {"kind": "load.surge", "factor": 0, "schedule": {"at": "8s", "for": "5s"}}
    _, found = judged(silent, checks=[{**OK, "from": "9s", "until": "12s"}])
    assert found["ok"] == (False, None)


def test_the_run_stops_within_one_sampling_step_once_the_condition_has_held():
    """All fail from 8 s on: with `for: 2s`, looked at over the last second, it stops one second and two later, give or take a step."""
    result = run(scenario([abort("8s", "10s")], abort_if=[{"measure": "success_ratio", "of": "users", "at_most": "20%", "for": "2s"}]))
    step = 20 / 600
    assert result.summary["verdict"] == "aborted"
    assert result.duration == result.summary["aborted"]["at_s"] == pytest.approx(8 + 0.8 + 2, abs=2 * step)
    assert result.events[-1]["kind"] == "abort"
    assert result.requests.rows["start"].max() <= result.duration


def test_a_condition_over_a_short_look_stops_within_a_step():
    """Looked at over each step alone and without `for`: the first step that is bad is the last of the run."""
    condition = {"measure": "success_ratio", "of": "users", "at_most": "0%", "over": "10ms"}
    result = run(scenario([abort("8s", "10s")], abort_if=[condition]))
    assert result.duration == pytest.approx(8 + 0.05, abs=0.06)


def test_a_condition_that_stops_holding_starts_anew():
    """Bad for two seconds, three times, with `for: 3s`: the run goes on to its end."""
    three = {"name": "bad", "kind": "http.abort", "target": {"service": "api"}, "schedule": {"every": "4s", "for": "2s"}}
    result = run(scenario([three], abort_if=[{"measure": "success_ratio", "of": "users", "at_most": "20%", "for": "3s"}]))
    assert result.summary["aborted"] is None and result.duration == 20


def test_recovery_is_counted_from_the_end_of_the_last_fault():
    """A queue of 3 s of work is left behind; the latency is normal again when it has drained."""
    surge = {"kind": "load.surge", "factor": 4, "schedule": {"at": "8s", "for": "2s"}}
    fast = {"name": "fast", "measure": "latency.p99", "of": "users", "at_most": "20ms"}
    verdict, found = judged(
        surge, services={"api": {"workers": 2, "queue": {"limit": 10000}, "endpoints": {"GET /": [{"work": "10ms"}]}}},
        workloads={"users": {"rate": "100/s", "arrivals": "uniform", "to": "api", "mix": [{"send": "GET /"}]}},
        steady_state=[fast], checks=[{"measure": "recovery_time", "at_most": "5s"}, {"measure": "metastable", "at_most": 0}])
    assert found["recovery_time"][1] == pytest.approx((400 - 200) * 2 / (200 - 100), abs=0.1)  # backlog over spare capacity
    assert found["metastable"] == (True, 0.0)
    assert verdict == "fail"  # since the steady state did not hold during the surge


def test_verdicts():
    """No check: pass. One that failed: fail. One before the faults: baseline, whatever else."""
    before, during = {"phase": "before", "passed": False}, {"phase": "during", "passed": False}
    assert [verdict_of(checks) for checks in ([], [during], [during, before])] == ["pass", "fail", "baseline"]


def test_what_was_measured_is_written_as_its_bound_is():
    """In the unit of the measure, in few digits, and in as many more as tell it from a bound that it has missed by little."""
    assert [told(0.980198, "success_ratio", 0.99), told(0.99, "success_ratio")] == ["98.02%", "99%"]
    assert told(0.98999999, "success_ratio", 0.99) == "98.999999%" and told(0.40001, "latency.p99", 0.4) == "400.01ms"
    assert [told(12_345.6, "goodput"), told(1.25, "latency.mean"), told(2.0, "queue"), told(None, "queue")] == [
        "12346/s", "1.25s", "2", "nothing measured"]
