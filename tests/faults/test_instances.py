"""Kill, unavailable and pause: what becomes of work in flight, in service and queued."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import Outcome, Reason, SpanKind

STEPS = [{"work": "1s"}]


def single(*faults, steps=STEPS, at=("0s", "100ms", "1800ms"), timeout=None, **service):
    """Requests at given times to one instance with one worker, 1 s of work each and 50 ms of link; by arrival: (status, end)."""
    result = run(Scenario.model_validate({
        "name": "single", "duration": "20s", "network": {"default": {"latency": "50ms"}},
        "services": {"api": {"workers": 1, "endpoints": {"GET /": steps, "GET /leaf": [{"work": "300ms"}]}, **service},
                     "leaf": {"endpoints": {"GET /": [{"work": "300ms"}]}}},
        "workloads": {"one": {"executor": "trace", "at": list(at), "to": "api", "mix": [{"send": "GET /"}], "timeout": timeout}},
        "faults": list(faults),
    }))
    rows = sorted(result.requests.rows.tolist())
    return [(row[6], round(row[5], 6)) for row in rows], result


def fault(kind, at, length, **fields):
    return {"kind": kind, "target": {"service": "api"}, "schedule": {"at": at, "for": length}, **fields}


def test_killed_it_finishes_nothing():
    """In service and queued: reset after the way back. In flight: refused as it arrives. Sent while it is down: nobody is there."""
    answers, result = single(fault("instance.kill", "500ms", "2s"), at=("0s", "100ms", "460ms", "1s", "2600ms"))
    assert answers == [(Reason.RESET, 0.55), (Reason.RESET, 0.55), (Reason.CONNECT, 0.56), (Reason.UNAVAILABLE, 1.0), (200, 3.7)]
    served = result.spans.of(SpanKind.SERVER)
    assert [int(outcome) for outcome in served.outcome] == [Outcome.FAILED, Outcome.FAILED, Outcome.OK]
    assert result.summary["services"]["api"]["queue_max"] == 1


def test_an_answer_that_has_left_a_killed_instance_arrives():
    """It was on the wire."""
    answers, _ = single(fault("instance.kill", "1070ms", "1s"), at=("0s",))
    assert answers == [(200, 1.1)]


def test_a_killed_instance_starts_empty_after_its_start_up_time():
    """Killed for 1 s, with 2 s of start-up: it takes requests 3 s later."""
    times = [f"{n * 100}ms" for n in range(5, 40)]
    answers, _ = single(fault("instance.kill", "500ms", "1s"), at=times, startup="2s", workers=50)
    statuses = [status for status, _ in answers]
    assert statuses.index(200) == times.index("3500ms")
    assert set(statuses[1:30]) == {Reason.UNAVAILABLE}


def test_told_before_it_finishes_what_it_has_and_goes():
    """In service, queued and in flight are served, and as soon as it has finished it is gone: at 3.05 s, until 4.5 s."""
    kill = {"kind": "instance.kill", "target": {"service": "api"}, "schedule": {"at": "500ms"}, "grace": "3s", "restart_after": "1s"}
    answers, result = single(kill, at=("0s", "100ms", "460ms", "3s", "4600ms"))
    assert answers == [(200, 1.1), (200, 2.1), (200, 3.1), (Reason.UNAVAILABLE, 3.0), (200, 5.7)]
    assert [(fault.start, fault.until) for fault in result.faults] == [(0.5, 4.5)]


def test_told_before_while_it_has_nothing_to_do_it_waits_for_what_is_on_its_way():
    """One of two instances at a time is told to end and started again, over and over: of calls that take 20 ms there, none is lost."""
    kill = {"kind": "instance.kill", "target": {"service": "back", "mode": "one"}, "schedule": {"every": "1s"}, "grace": "500ms",
            "restart_after": "100ms"}
    result = run(Scenario.model_validate({
        "name": "told", "duration": "20s", "network": {"default": {"latency": "20ms"}}, "faults": [kill],
        "services": {"front": {"workers": 100, "endpoints": {"GET /": [{"call": "back GET /"}]}},
                     "back": {"instances": 2, "workers": 100, "endpoints": {"GET /": []}}},
        "workloads": {"users": {"executor": "constant-arrival-rate", "rate": "50/s", "to": "front", "mix": [{"send": "GET /"}]}},
    }))
    assert result.summary["workloads"]["users"]["by_status"].keys() == {"200"}


def test_what_it_has_not_finished_when_its_time_is_over_is_reset():
    """0.3 s are too short for the rest of a second; the schedule may also end it before that."""
    kill = {"kind": "instance.kill", "target": {"service": "api"}, "schedule": {"at": "500ms"}, "grace": "300ms", "restart_after": "1s"}
    assert single(kill, at=("0s", "100ms"))[0] == [(Reason.RESET, 0.85), (Reason.RESET, 0.85)]
    short = {**fault("instance.kill", "500ms", "200ms", grace="3s")}
    assert single(short, at=("0s", "1s"))[0] == [(Reason.RESET, 0.75), (200, 2.1)]


def test_unavailable_it_refuses_what_is_new_and_finishes_what_it_has():
    """In service and queued are served as usual; in flight is refused; afterwards all is as before."""
    answers, _ = single(fault("instance.unavailable", "500ms", "2s"), at=("0s", "100ms", "460ms", "1s", "2600ms"))
    assert answers == [(200, 1.1), (200, 2.1), (Reason.CONNECT, 0.56), (Reason.UNAVAILABLE, 1.0), (200, 3.7)]


def test_paused_it_finishes_late_and_loses_nothing():
    """Everything ends later by the length of the pause: what was in service, queued, or came meanwhile."""
    answers, _ = single(fault("instance.pause", "500ms", "3s"), at=("0s", "100ms", "460ms", "1s"))
    assert answers == [(200, 4.1), (200, 5.1), (200, 6.1), (200, 7.1)]


def test_callers_of_a_paused_instance_see_a_hang_and_not_an_error():
    """It is up and silent: the caller's own patience ends the wait."""
    answers, _ = single(fault("instance.pause", "500ms", "5s"), at=("1s",), timeout="2s")
    assert answers == [(Reason.TIMEOUT, 3.0)]


@pytest.mark.parametrize(("steps", "usual"), [
    ([{"parallel": [[{"work": "1s"}], [{"work": "2s"}]]}], 2.1),
    ([{"call": "leaf GET /"}, {"work": "1s"}], 1.5),
    ([{"repeat": {"times": 4, "do": [{"work": "250ms"}]}}], 1.1),
    ([{"choose": [{"weight": 1, "do": [{"work": "1s"}]}]}], 1.1),
])
def test_what_a_paused_instance_has_started_stands_still_too(steps, usual):
    """Branches of `parallel`, calls that are answered meanwhile, repeated steps: nothing goes on before the end of the pause."""
    answers, _ = single(fault("instance.pause", "200ms", "5s"), steps=steps, at=("0s",))
    stood = 5.0 if steps[0].get("call") is None else 5.2 - 0.45  # the answer of the leaf comes at 0.45 s and waits until 5.2 s
    assert answers == [(200, pytest.approx(usual + stood))]


def test_what_a_paused_instance_waits_for_outside_goes_on_without_it():
    """A `sleep` step of 2 s that the pause leaves behind ends in time, or with the pause if that is later."""
    longer, _ = single(fault("instance.pause", "200ms", "1s"), steps=[{"sleep": "2s"}], at=("0s",))
    shorter, _ = single(fault("instance.pause", "200ms", "5s"), steps=[{"sleep": "2s"}], at=("0s",))
    assert longer + shorter == [(200, 2.1), (200, 5.25)]


def test_slow_stretches_what_is_left_of_the_work_and_healing_the_rest_of_that():
    """1 s of work, four times as slow from the middle on, for one second: 0.5 + 1 (of which a quarter is done) + 0.25 s."""
    for more in ({}, {"cpu": {"cores": 1}}):
        answers, _ = single(fault("instance.slow", "550ms", "1s", factor=4), at=("0s",), **more)
        assert answers == [(200, pytest.approx(0.05 + 0.5 + 1 + 0.25 + 0.05))]


def test_a_bad_version_stretches_cpu_work_under_way_and_is_forgotten_when_it_has_gone():
    """1 s of CPU work, needing four times as much from the middle on, for one second: 0.5 + 1 (of which a quarter is done) + 0.25 s."""
    answers, _ = single(fault("deploy.bad_version", "550ms", "1s", speed=0.25), at=("0s",), cpu={"cores": 1})
    assert answers == [(200, pytest.approx(0.05 + 0.5 + 1 + 0.25 + 0.05))]


def test_slow_and_paused_together():
    """1 s of work, four times as slow from the middle on, standing still for 1 s in between: the factor counts for the work alone."""
    faults = [fault("instance.slow", "550ms", "3s", factor=4), fault("instance.pause", "1050ms", "1s")]
    for order in (faults, faults[::-1]):
        answers, _ = single(*order, at=("0s",))
        assert answers == [(200, pytest.approx(0.05 + 0.5 + 2 + 1 + 0.05))]


def test_a_timeout_that_falls_into_a_pause_fires_at_its_end():
    """The clock goes on under a process that stands still: the timeout is due and wins, though the answer lies in the socket."""
    uses = {"leaf": {"policies": [{"timeout": "500ms"}]}}
    steps = [{"call": "leaf GET /"}]  # from 0.05 s; answered at 0.45 s, and the timeout is due at 0.55 s
    too_long, _ = single(fault("instance.pause", "200ms", "5s"), steps=steps, at=("0s",), uses=uses)
    assert too_long == [(504, pytest.approx(5.25))]
    short, _ = single(fault("instance.pause", "200ms", "300ms"), steps=steps, at=("0s",), uses=uses)
    assert short == [(200, pytest.approx(0.55))]


def test_cpu_work_stands_still_in_a_pause_and_slows_under_load():
    """1 s of work on shared cores: a pause adds its length, a load of 75 % makes the rest four times as long."""
    paused, _ = single(fault("instance.pause", "550ms", "3s"), at=("0s",), cpu={"cores": 1})
    assert paused == [(200, pytest.approx(4.1))]
    loaded, _ = single(fault("resource.cpu", "550ms", "10s", load="75%"), at=("0s",), cpu={"cores": 1})
    assert loaded == [(200, pytest.approx(0.55 + 4 * 0.5 + 0.05))]


def test_killed_while_it_was_paused_everything_is_reset():
    """What it held goes too, and as it starts again it is a new process that stands still no longer."""
    pause, kill = fault("instance.pause", "500ms", "8s"), fault("instance.kill", "2s", "1s")
    result = run(Scenario.model_validate({
        "name": "both", "duration": "20s", "network": {"default": {"latency": "50ms"}},
        "services": {"api": {"workers": 1, "endpoints": {"GET /": STEPS}}},
        "workloads": {"one": {"executor": "trace", "at": ["0s", "100ms", "1s", "4s"], "to": "api", "mix": [{"send": "GET /"}]}},
        "faults": [pause, kill],
    }))
    assert [(row[6], round(row[5], 6)) for row in sorted(result.requests.rows.tolist())] == [
        (Reason.RESET, 2.05), (Reason.RESET, 2.05), (Reason.RESET, 2.05), (200, 5.1)]


def test_a_request_that_begins_in_the_instant_of_the_kill_gives_its_worker_back():
    """Nothing is lost of the worker: after the restart the instance serves as before."""
    before = {"name": "before", "kind": "load.surge", "factor": 1, "schedule": {"at": "400ms", "for": "80ms"}}
    kill = {"kind": "instance.kill", "target": {"service": "api"}, "schedule": {"after": "before", "delay": "20ms", "for": "1s"}}
    answers, result = single(before, kill, at=("450ms", "2s"))  # arrives at 500 ms, and is killed right after that
    assert answers == [(Reason.RESET, 0.55), (200, 3.1)]
    assert result.series("api", "busy").max.max() == 1
    assert result.summary["services"]["api"]["busy_mean"] == pytest.approx(1 / 20, abs=0.001)


def test_memory_that_leaks_makes_longer_and_longer_pauses_and_ends_in_a_kill():
    """100 MB, half of it used, 10 MB/s: out of memory after 5 s, again 5 s after the restart, and never once the fault is over."""
    leak = fault("resource.memory", "2s", "9s", size="100MB", leak="10MB", restart_after="1s", gc_interval="1s", gc_pause="10ms")
    _, result = single(leak, at=("0s",))
    assert [event["at"] for event in result.events if event["kind"] == "memory.oom"] == [pytest.approx(7.0)]
    ups = [(event["at"], event["reachable"]) for event in result.events if event["kind"] == "instances" and event["at"] > 0]
    assert ups == [(pytest.approx(7.0), 0), (pytest.approx(8.0), 1)]


def test_a_leak_grows_with_its_ramp_and_begins_anew_with_a_process_however_rare_collections_are():
    """From nothing to 10 MB/s in 8 s, 50 MB are full after 4 + 5 s; after a restart at 3 s, in 5 s and not a collection later."""
    leak = fault("resource.memory", "1s", "15s", size="100MB", leak="10MB", gc_interval="100s", gc_pause="0s")
    for faults, full in (([{**leak, "ramp": {"up": "8s"}}], 10), ([leak, fault("instance.kill", "2s", "1s")], 8)):
        _, result = single(*faults, at=("0s",))
        assert next(event["at"] for event in result.events if event["kind"] == "memory.oom") == pytest.approx(full, abs=0.15)


def test_a_process_that_was_restarted_has_leaked_nothing():
    """Killed by another fault 4 s into a leak that would end all in 5 s, it has another 5 s from its start: of memory, and of workers."""
    leak = fault("resource.memory", "2s", "17s", size="100MB", leak="10MB", restart_after="1s", gc_interval="1s", gc_pause="1ms")
    _, result = single(leak, fault("instance.kill", "6s", "2s"), at=("0s",))
    assert next(event["at"] for event in result.events if event["kind"] == "memory.oom") == pytest.approx(13, abs=0.5)
    drain = fault("resource.pool", "2s", "17s", leak="4/s")
    answers, _ = single(drain, fault("instance.kill", "6s", "2s"), steps=[{"work": "1ms"}], at=["12500ms", "14s"], workers=20)
    assert answers == [(200, pytest.approx(12.601)), (200, pytest.approx(19.051, abs=0.01))]


@pytest.mark.parametrize(("first", "second", "full"), [
    (("2s", "9s"), ("2s", "9s"), [4.5, 8.0]),  # 20 MB/s from the start: 50 MB in 2.5 s
    (("2s", "9s"), ("4s", "9s"), [5.5, 9.0]),  # 20 MB alone, and 30 MB together
    (("2s", "9s"), ("4s", "1s"), [7.0]),  # what the second has leaked is free again at 5 s: as if it had not been
    (("2s", "3s"), ("4s", "9s"), [9.0]),  # and so is that of the first
])
def test_leaks_of_one_process_fill_one_memory(first, second, full):
    """Each of 10 MB/s: what they leak adds up while both are on, and each takes its own with it."""
    leaks = [fault("resource.memory", *window, name=name, size="100MB", leak="10MB", restart_after="1s", gc_interval="100s")
             for name, window in zip("ab", (first, second), strict=True)]
    _, result = single(*leaks, at=("0s",))
    assert [event["at"] for event in result.events if event["kind"] == "memory.oom"] == pytest.approx(full)


def test_of_two_memories_of_one_process_the_worse_one_holds():
    """A small leak in a memory that is as good as never collected, beside one that is collected each second: pauses of 100 ms and more."""
    rare = fault("resource.memory", "1s", "9s", name="rare", leak="1KB", gc_interval="1h")
    often = fault("resource.memory", "2s", "4s", name="often", leak="1KB", gc_interval="1s", gc_pause="100ms")
    answers, _ = single(rare, often, at=("2950ms", "7s"), steps=[{"work": "500ms"}])
    assert answers == [(200, pytest.approx(2.95 + 0.6 + 0.1, abs=1e-4)), (200, 7.6)]


def test_connections_that_a_caller_leaks_are_exhausted_and_come_back():
    """A pool of 8 connections to a database leaks 2/s: after 4 s every call waits for one, and is refused after 1 s; then it is whole."""
    times = [f"{n * 100}ms" for n in range(100)]
    result = run(Scenario.model_validate({
        "name": "leak", "duration": "12s", "network": {"default": {"latency": "1ms"}},
        "services": {"api": {"uses": {"db": {"pool": {"size": 8, "max_wait": "1s"}}}, "endpoints": {"GET /": [{"query": "db"}]}},
                     "db": {"kind": "database"}},
        "workloads": {"one": {"executor": "trace", "at": times, "to": "api", "mix": [{"send": "GET /"}]}},
        "faults": [fault("resource.pool", "1s", "6s", leak="2/s", of="db")],
    }))
    ends = [(row[3], row[6]) for row in sorted(result.requests.rows.tolist(), key=lambda row: row[3])]
    refused = [start for start, status in ends if status != 200]
    assert (min(refused), max(refused)) == (pytest.approx(5.0, abs=0.11), pytest.approx(6.0, abs=0.11))  # those who still wait at 7 s are served
    assert result.summary["databases"]["db"]["pool_timeouts"] == len(refused)


def test_a_pool_that_leaks_is_exhausted_at_capacity_over_rate():
    """20 workers, 4/s leak: after 5 s nobody is served any more; when the fault ends all come back."""
    times = [f"{n * 100}ms" for n in range(120)]
    answers, _ = single(fault("resource.pool", "1s", "7s", leak="4/s"), steps=[{"work": "1ms"}], at=times, workers=20)
    served_at = [end for status, end in answers]
    assert max(end for end in served_at if end < 8) == pytest.approx(6.0, abs=0.15)
    assert all(status == 200 for status, _ in answers)
    assert sum(end >= 8 for end in served_at[50:79]) > 15
