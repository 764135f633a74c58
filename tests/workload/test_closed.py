"""Closed load: users who wait, think, keep a pace, come and go."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from sim.kernel import SimLoop
from sim.lab.session import Session
from sim.scenario.scenario import Scenario
from sim.workload.executors import AnyWorkload
from tests.model.small_runs import of_users, ran, users

API = {"api": {"workers": 10_000, "endpoints": {"GET /": [{"work": "98ms"}]}}}  # 100 ms with the way there and back

QUICK = {"api": {"workers": 100, "endpoints": {"GET /": [{"work": "8ms"}]}}}  # 10 ms


def crowd(duration="10s", services=API, faults=(), **more):
    """A run with users in it."""
    load = users("api", rate=None, arrivals=None, **{"executor": "constant-vus", **more})
    return ran(services, {"users": load}, duration, faults=list(faults))


def in_flight(result, moment):
    """How many requests were under way."""
    return int(((result.requests.start <= moment) & ~(result.requests.end <= moment)).sum())


def test_a_user_sends_again_when_the_answer_has_come():
    """Three users, 100 ms each: 30 requests a second, three under way at any time."""
    result = crowd(vus=3)
    assert of_users(result)["started"] == pytest.approx(300, abs=3)
    assert {in_flight(result, moment) for moment in np.linspace(0.05, 9.9, 50)} == {3}


def test_a_user_thinks_between_answer_and_question():
    """100 ms of waiting and 300 ms of thinking: 2.5 requests a second each."""
    result = crowd(vus=4, think="300ms")
    assert sorted(set(np.round(result.requests.start, 6).tolist()))[:3] == [0.0, 0.4, 0.8]
    assert of_users(result)["started"] == 4 * 25


def test_the_latency_of_a_user_who_thinks_counts_from_the_sending():
    """There is no intended start other than that."""
    assert of_users(crowd(vus=1, think="300ms"))["latency_s"]["max"] == pytest.approx(0.1)


def test_a_user_with_a_pace_starts_each_so_often():
    """Every 250 ms, whatever the answer took; not in the moment in which the run ends."""
    result = crowd("2s", vus=1, pacing="250ms")
    assert np.round(result.requests.start, 6).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


def test_a_user_who_cannot_keep_the_pace_is_late():
    """Each answer takes 100 ms, and the pace is 40 ms: every request begins 60 ms later than the one before should have.

    The delay is latency, so that coordinated omission does not hide it.
    """
    result = crowd("1s", vus=1, pacing="40ms")
    rows = result.requests.finished
    assert np.diff(rows.intended) == pytest.approx(0.04) and np.diff(rows.start) == pytest.approx(0.1)
    assert rows.latency == pytest.approx(0.1 + 0.06 * np.arange(len(rows)))


def test_coordinated_omission_does_not_hide_a_stall():
    """A second of standstill: the open load and the paced user both tell of requests that waited for most of it."""
    stall = {"kind": "instance.pause", "target": {"service": "api"}, "schedule": {"at": "5s", "for": "1s"}}
    latency = crowd(services=QUICK, vus=1, pacing="20ms", faults=[stall]).requests.finished.latency
    assert 0.009 < np.median(latency) < 0.011
    assert (latency > 0.5).sum() == pytest.approx(50, abs=3), "those that were meant for the first half of it, and those behind them"


def test_answers_in_no_time_do_not_stop_the_clock():
    """No network, no work, no thinking: a user sends a thousand requests a second, and no more, as well where nobody is there."""
    load = users("api", rate=None, arrivals=None, executor="constant-vus", vus=2)
    for api in ({"endpoints": {"GET /": []}}, {"instances": 0, "endpoints": {"GET /": []}}):
        assert of_users(ran({"api": api}, {"users": load}, "100ms", "0ms"))["started"] == pytest.approx(200, abs=2)


def test_when_the_run_is_over_users_go_home():
    """They do not send on while the loop is closed, and who is in line is not served any more."""
    scenario = Scenario.model_validate({
        "name": "end", "duration": "1s", "services": {"api": {"workers": 1, "endpoints": {"GET /": [{"work": "10ms"}]}}},
        "workloads": {"users": users("api", rate=None, arrivals=None, executor="constant-vus", vus=50)}})
    with SimLoop() as loop:
        session = Session(scenario, 1, loop)
        loop.run_until(1)
        session.end()
        steps, api = loop.steps, session.world.node("api").instances[0]
        assert api.waiting.value > 40
    assert loop.steps - steps < 500 and not api.serving and api.waiting.value > 40


def test_users_come_in_a_straight_line():
    """From 0 to 10 in 10 s: the k-th comes at k - 0.5 s, when the number is nearest to it."""
    result = crowd("10s", executor="ramping-vus", stages=[{"duration": "10s", "target": 10}])
    assert [in_flight(result, moment) for moment in (0.45, 0.55, 1.45, 1.55, 5.45, 5.55, 9.45, 9.55)] == [0, 1, 1, 2, 5, 6, 9, 10]


def test_short_stages_count():
    """Ramps that are over within a fraction of a second, none of which ends at a whole one."""
    stages = [{"duration": "300ms", "target": 6}, {"duration": "300ms", "target": 0}, {"duration": "300ms", "target": 3}]
    result = crowd("2s", services=QUICK, executor="ramping-vus", stages=stages)
    assert [in_flight(result, moment) for moment in (0.12, 0.295, 0.45, 0.599, 0.8, 1.9)] == [2, 6, 3, 0, 2, 3]


def test_who_is_too_many_leaves_after_the_answer_at_hand():
    """From 10 to 0 in 10 s: nobody is cut off, and the number follows the line within an answer's time."""
    result = crowd("12s", executor="ramping-vus", start_vus=10, stages=[{"duration": "10s", "target": 0}])
    assert [in_flight(result, moment) for moment in (0.05, 2.7, 5.2, 7.7, 10.2)] == [10, 7, 5, 2, 0]
    assert of_users(result)["failed"] == of_users(result)["unfinished"] == 0


def test_a_surge_brings_more_users_for_a_while():
    """Twice as many, and then as before; also where it is there from the beginning."""
    surge = {"kind": "load.surge", "factor": 2.0, "schedule": {"at": "3s", "for": "3s"}}
    result = crowd("9s", vus=5, faults=[surge])
    assert [in_flight(result, moment) for moment in (2.9, 3.05, 5.9, 6.2, 8.9)] == [5, 10, 10, 5, 5]
    always = crowd("1s", vus=5, start_after="200ms", faults=[{"kind": "load.surge", "factor": 3.0}])
    assert [in_flight(always, moment) for moment in (0.1, 0.25, 0.9)] == [0, 15, 15]


def test_nobody_is_a_number_of_users_as_well():
    """A crowd of none sends nothing."""
    assert of_users(crowd(vus=0))["started"] == 0


@pytest.mark.parametrize("wrong", [{"vus": -1}, {"vus": 2.5}, {"think": "1s", "pacing": "1s"}, {"pacing": "0ms"}, {"think": "soon"}])
def test_what_makes_no_sense_is_refused(wrong):
    """Fewer users than none, a time to think and a pace."""
    with pytest.raises(ValidationError):
        TypeAdapter(AnyWorkload).validate_python({"executor": "constant-vus", "vus": 1, "to": "api", "mix": [{"send": "GET /"}], **wrong})
