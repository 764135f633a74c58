"""When faults are on: schedules and ramps, as pure functions of time and of a stream."""

from __future__ import annotations

import itertools

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.faults.faults import AnyFault
from sim.faults.schedule import AnySchedule, Ramp, Window
from sim.faults.system import System, check_fault_plan
from sim.spec import mistakes
from sim.streams import Streams

SCHEDULE = TypeAdapter(AnySchedule)
FAULT = TypeAdapter(AnyFault)


def windows(schedule, end=100.0, seed=1):
    return list(SCHEDULE.validate_python(schedule).windows(Streams(seed)["times"], end))


@pytest.mark.parametrize(("schedule", "wanted"), [
    ({"at": "60s", "for": "30s"}, [(60, 30)]),
    ({"at": "60s"}, [(60, None)]),
    ({"every": "30s", "for": "5s"}, [(30, 5), (60, 5), (90, 5)]),
    ({"every": "45s", "for": "5s", "from": "1s"}, [(1, 5), (46, 5), (91, 5)]),
    ({"every": "10s", "for": "5s", "from": "0s", "until": "25s"}, [(0, 5), (10, 5), (20, 5)]),
    ({"every": "10s", "for": "5s", "from": "0s", "max": 2}, [(0, 5), (10, 5)]),
    ({"after": "other", "for": "5s", "delay": "2s"}, [(2, 5)]),
])
def test_times(schedule, wanted):
    """Start and length of each time."""
    assert windows(schedule) == [Window(*window) for window in wanted]


def test_random_times_have_the_stated_rate_and_lengths():
    """6 a minute over 10,000 s: about 1000, each as long as its distribution says, and the same for the same stream."""
    schedule = {"random": {"rate": "6/min", "for": {"exponential": "20s"}}}
    found = windows(schedule, end=10_000.0)
    assert len(found) == pytest.approx(1000, abs=100)
    assert sum(window.length or 0 for window in found) / len(found) == pytest.approx(20, rel=0.1)
    assert found == windows(schedule, end=10_000.0) != windows(schedule, end=10_000.0, seed=2)
    assert all(a.start < b.start < 10_000 for a, b in itertools.pairwise(found))


def test_random_times_within_limits():
    """Not before `from`, not after `until`, not more than `max`."""
    found = windows({"random": {"rate": "60/min"}, "for": "1s", "from": "10s", "until": "50s", "max": 5})
    assert len(found) == 5 and found[0].start > 10
    assert all(window.start < 50 for window in windows({"random": "60/min", "for": "1s", "from": "10s", "until": "50s"}))


@pytest.mark.parametrize(("schedule", "times"), [
    ({"every": "1us", "for": "10ms"}, "about 20,000,000 times"), ({"random": {"rate": "10000/s", "for": "10ms"}}, "about 200,000 times"),
])
def test_a_fault_that_would_come_without_end_is_refused(schedule, times):
    """Where a `max`, or an earlier end, keeps it within the limit it is taken."""
    fault = FAULT.validate_python({"kind": "load.surge", "factor": 2, "schedule": schedule})
    (found,) = check_fault_plan([fault], System({}, duration=20.0))
    assert found.loc == (0, "schedule") and times in found.what and "the limit is 100,000" in found.what and "max" in found.cure
    for less in ({"max": 100_000}, {"until": "10us"}):
        fault = FAULT.validate_python({"kind": "load.surge", "factor": 2, "schedule": {**schedule, **less}})
        assert check_fault_plan([fault], System({}, duration=20.0)) == []


def test_a_ramp_rises_stays_and_falls():
    """2 s up and 4 s down within 10 s."""
    ramp = Ramp.model_validate({"up": "2s", "down": "4s"})
    assert [ramp.strength(now, 10.0, 20.0) for now in (10, 11, 12, 16, 18, 20)] == [0, 0.5, 1, 1, 0.5, 0]
    assert list(ramp.ends(10.0, 20.0)) == [(10, 12), (16, 20)]


def test_a_ramp_that_does_not_fit_is_compressed():
    """2 s up and 4 s down in 3 s: up in one, down in two."""
    ramp = Ramp.model_validate({"up": "2s", "down": "4s"})
    assert [ramp.strength(now, 0.0, 3.0) for now in (0, 0.5, 1, 2, 3)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert list(ramp.ends(0.0, 3.0)) == [(0, 1), (1, 3)]


def test_without_an_end_nothing_falls():
    """Up, and then on to the end of the run."""
    ramp = Ramp.model_validate({"up": "2s", "down": "4s"})
    assert [ramp.strength(now, 10.0, None) for now in (11, 12, 1000)] == [0.5, 1, 1]


KILL = {"kind": "instance.kill", "target": {"service": "api"}}
DELAY = {"kind": "network.delay", "target": {"link": "a->b"}, "latency": "1s"}


@pytest.mark.parametrize(("fault", "place", "what"), [
    ({**KILL, "ramp": {"up": "1s"}}, ("ramp",), "no severity"),
    ({**DELAY, "schedule": {"every": "10s"}}, ("schedule",), "must also end"),
    ({**DELAY, "schedule": {"random": {"rate": "1/min"}}}, ("schedule",), "must also end"),
    ({**DELAY, "schedule": {"every": "9s", "for": "1s", "from": "50s", "until": "20s"}}, ("schedule", "until"), "begins at 50s"),
    ({**DELAY, "schedule": {"every": "9s", "for": "1s", "until": "9s"}}, ("schedule", "until"), "begins at 9s"),
    ({**DELAY, "schedule": {"random": {"rate": "1/s", "for": "1s", "from": "5s", "until": "5s"}}},
     ("schedule", "random", "until"), "begins at 5s"),
    ({**KILL, "schedule": {"at": "1s", "for": "2s"}, "restart_after": "3s"}, ("schedule",), "restart_after"),
    ({"kind": "cache.flush", "target": {"service": "c"}, "schedule": {"at": "1s", "for": "2s"}}, ("schedule",), "happens and is over"),
    ({**DELAY, "schedule": {"on": "1s"}}, ("schedule", "on"), "unknown schedule"),
    ({**DELAY, "schedule": {"at": "1s", "every": "2s"}}, ("schedule", "every"), "one key"),
    ({**KILL, "target": {"service": "api", "mode": "fixed"}}, ("target", "mode"), "how many"),
    ({**KILL, "target": {"service": "api", "mode": "fixed-percent", "value": 3}}, ("target", "mode"), "needs a share"),
    ({**KILL, "target": {"service": "api", "mode": "one", "value": 3}}, ("target", "value"), "takes no value"),
    ({**KILL, "target": {"service": "api", "zone": "a"}}, ("target",), "one of service"),
    ({**KILL, "target": {}}, ("target",), "one of service"),
    ({**DELAY, "target": {"link": "ab"}}, ("target", "link"), "no link"),
    ({**DELAY, "target": {"link": "a->b", "from": {"zone": "a"}}}, ("target",), "a link, or groups"),
    ({**DELAY, "target": {"link": "a->b", "mode": "one"}}, ("target", "mode"), "picks instances"),
    ({"kind": "http.abort", "target": {"service": "a", "match": {"method": "post"}}}, ("target", "match", "method"), "no method"),
    ({"kind": "http.abort", "target": {"service": "a", "link": "b->a"}}, ("target", "link"), "names its service"),
    ({"kind": "resource.pool", "target": {"service": "a"}}, (), "nothing is taken"),
    ({"kind": "resource.pool", "target": {"service": "a"}, "leak": "1/s", "ramp": {"up": "1s"}}, ("ramp",), "grows by itself"),
    ({"kind": "registry.stale", "ramp": {"up": "1s"}}, ("ramp",), "stands still"),
    ({"kind": "broker.poison", "target": {"service": "b"}, "subject": "order.>.paid"}, ("subject",), "something follows the '>'"),
    ({"kind": "broker.poison", "target": {"service": "b"}, "subject": "ord*"}, ("subject",), "no token"),
])
def test_what_a_plan_cannot_mean_is_refused_with_its_place(fault, place, what):
    """Each mistake says where and what."""
    with pytest.raises(ValidationError) as refused:
        FAULT.validate_python(fault)
    found = mistakes(refused.value)
    assert [mistake.loc for mistake in found] == [place]
    assert what in found[0].what and found[0].cure


@pytest.mark.parametrize("schedule", [
    {"at": "60s", "for": "30s"}, {"every": "45s", "for": "5s", "from": "1m", "until": "3m", "max": 3}, {"after": "x", "for": "1s"},
    {"random": {"rate": "0.5/min", "for": {"exponential": "20s"}}, "from": "1m"},
])
def test_written_out_and_read_again_it_is_the_same(schedule):
    """A resolved scenario holds the schedule in full."""
    target = {"to": {"service": "b", "mode": "fixed-percent", "value": "50%"}}
    fault = FAULT.validate_python({**DELAY, "schedule": schedule, "target": target})
    assert FAULT.validate_python(FAULT.dump_python(fault, mode="json")) == fault


@pytest.mark.parametrize("fault", [
    {"kind": "db.lock", "target": {"service": "b"}}, {"kind": "db.lock", "target": {"service": "b"}, "key": {"zipf": {"items": 9}}, "rows": 3},
    {"kind": "db.lock", "target": {"service": "b"}, "key": 17, "wait_timeout": "1s"},
    {"kind": "deploy.bad_version", "target": {"service": "b"}, "speed": 0.5, "strategy": {"canary": {"steps": ["25%"]}},
     "analysis": {"error_rate": "5%"}},
    {"kind": "network.duplicate", "target": {"link": "a->b", "direction": "both", "match": {"path": "/x"}}, "correlation": "10%"},
])
def test_faults_written_out_and_read_again_are_the_same(fault):
    """With all their defaults."""
    found = FAULT.validate_python(fault)
    assert FAULT.validate_python(FAULT.dump_python(found, mode="json")) == found
