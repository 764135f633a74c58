"""Instances that are added while a fault is on: who belongs to it, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from sim.lab.run import run
from sim.scenario.load import loads
from sim.scenario.problems import InvalidFile
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind
from sim.telemetry.result import RunResult

API = {"service": "api"}
COMES = 6.0  # seconds; when the second instance is added, while faults last from 2 s to 12 s


def growing(*faults: dict[str, Any], **service: Any) -> RunResult:
    """100/s at one instance of which each takes 30 ms; at 6 s, and not before, scaling adds a second one that starts within a second."""
    return run(Scenario.model_validate({
        "name": "growing", "duration": "16s", "network": {"default": {"latency": "1ms"}, "zones": {"a": {}}},
        "services": {"api": {"zone": "a", "startup": "1s", "workers": 100, "endpoints": {"GET /": [{"work": "30ms"}]},
                             "autoscale": {"in_flight": 1, "max": 2, "every": "6s"}, **service}},
        "workloads": {"users": {"rate": "100/s", "arrivals": "uniform", "to": "api", "timeout": "1s", "mix": [{"send": "GET /"}]}},
        "faults": [{"name": "it", "schedule": {"at": "2s", "for": "10s"}, **fault} for fault in faults],
    }))


def served(result: RunResult, instance: str, start: float, until: float) -> list[float]:
    """Seconds that requests took that began there at that time."""
    spans = result.spans.of(SpanKind.SERVER)
    mine = spans[(spans.instance == result.names.instances.index(instance)) & (spans.start >= start) & (spans.start < until)]
    return [round(seconds, 6) for seconds in (mine.end - mine.start).tolist()]


@pytest.mark.parametrize("fault", [
    {"kind": "instance.slow", "factor": 3}, {"kind": "resource.cpu", "load": "66.666667%"}, {"kind": "deploy.bad_version", "speed": 1 / 3},
], ids=lambda fault: fault["kind"])
@pytest.mark.parametrize("target", [API, {"zone": "a"}, {"kind": "service"}, {"instance": "api-1"}], ids=lambda target: next(iter(target)))
def test_what_is_added_while_a_fault_of_all_is_on_has_it_too_until_it_ends(fault, target):
    """It works three times as long as the others that are meant, and as ever when the fault is over."""
    result = growing({**fault, "target": target})
    assert set(served(result, "api-1", 7.0, 11.9)) == {0.09}
    assert set(served(result, "api-1", 12.1, 15.0)) == {0.03}
    assert [(event["at"], event["target"]) for event in result.events if event["kind"] == "fault.joined"] == [(COMES, "api-1")]
    (interval,) = result.faults
    assert interval.targets == (("api-1",) if target == {"instance": "api-1"} else ("api-0", "api-1"))
    assert not result.summary["warnings"]


def test_the_modes_that_pick_have_picked_as_it_began():
    """A newcomer is none of theirs."""
    result = growing({"kind": "instance.slow", "factor": 3, "target": {**API, "mode": "fixed-percent", "value": "100%"}})
    assert set(served(result, "api-1", 7.0, 11.9)) == {0.03}


def test_a_kill_ends_what_there_is_and_newcomers_live():
    """The first instance is down for 10 s; the second one, which is added meanwhile, serves; of it alone the kill would have been in vain."""
    load = {"instances": 1, "autoscale": {"in_flight": 0.01, "max": 2, "every": "1s"}}
    result = growing({"kind": "instance.kill", "target": API, "schedule": {"at": "900ms", "for": "10s"}}, **load)
    assert not served(result, "api-0", 1.0, 10.9) and set(served(result, "api-1", 2.0, 10.9)) == {0.03}
    assert [fault.targets for fault in result.faults] == [("api-0",)]
    (warning,) = growing({"kind": "instance.kill", "target": {"instance": "api-1"}}).summary["warnings"]
    assert warning["why"] == "there was no instance 'api-1' as it began; aim at its service, or at another time"


def test_in_a_zone_that_is_dark_nothing_starts():
    """An instance that is added to it serves when the outage is over and it has started."""
    load = {"autoscale": {"in_flight": 0.01, "max": 2, "every": "2500ms"}}
    result = growing({"kind": "zone.outage", "target": {"zone": "a"}}, **load)
    assert not served(result, "api-1", 0.0, 12.99) and set(served(result, "api-1", 13.0, 15.0)) == {0.03}
    assert [fault.targets for fault in result.faults] == [("zone a",)]


def test_what_is_added_to_a_service_that_stands_still_has_started_when_it_goes_on():
    """Nobody is sent there before the pause is over; so it is where the pause meets an instance that is starting."""
    paused = {"kind": "instance.pause", "target": {"instance": "api-1"}}
    for schedule in ({"at": "2s", "for": "10s"}, {"at": "6500ms", "for": "5500ms"}):
        result = growing({**paused, "schedule": schedule})
        assert min(event["at"] for event in result.events if event["kind"] == "instance.up" and event["instance"] == "api-1") == 12.0
        assert set(served(result, "api-1", 12.0, 15.0)) == {0.03}


@pytest.mark.parametrize("fault", [
    {"kind": "clock.skew", "offset": "1h"}, {"kind": "instance.unavailable"}, {"kind": "resource.pool", "taken": "50%"},
    {"kind": "resource.memory", "leak": "1MB"}, {"kind": "instance.pause"}, {"kind": "cert.expire", "drop_connections": True},
], ids=lambda fault: fault["kind"])
def test_the_other_kinds_meet_newcomers_too(fault):
    """And leave them when they end."""
    result = growing({**fault, "target": API}, mesh={"mtls": {}}, autoscale={"in_flight": 0.3, "max": 2, "every": "6s"})
    assert [fault.targets for fault in result.faults] == [("api-0", "api-1")]
    assert set(served(result, "api-1", 13.1, 15.0)) == {0.03}


@pytest.mark.parametrize("fault", [
    {"kind": "network.delay", "latency": "60ms"}, {"kind": "http.delay", "delay": "60ms"},
], ids=lambda fault: fault["kind"])
def test_messages_and_requests_to_an_instance_that_comes_later_are_hit(fault):
    """From its first one on; those to the other instance are not."""
    result = growing({**fault, "target": {"instance": "api-1"}})
    slow = result.requests.rows[(result.requests.end - result.requests.start) > 0.09]
    assert len(slow) == pytest.approx(250, abs=5) and slow["start"].min() == pytest.approx(7.0, abs=0.02)
    assert not result.summary["warnings"]


@pytest.mark.parametrize("fault", [
    {"kind": "instance.slow", "factor": 2}, {"kind": "http.delay", "delay": "60ms"}, {"kind": "network.delay", "latency": "60ms"},
], ids=lambda fault: fault["kind"])
def test_an_instance_that_never_comes_is_warned_of(fault):
    """The scenario may have a third one, but had none in this run."""
    (warning,) = growing({**fault, "target": {"instance": "api-2"}}).summary["warnings"]
    assert warning["name"] == "it" and "api-2" in warning["why"] and "while it was on" in warning["why"]


def test_an_instance_that_cannot_come_is_refused():
    """Where nothing adds any, the numbers are known."""
    text = """
name: fixed
duration: 10s
services:
  api: {instances: 2, endpoints: {GET /: [{work: 1ms}]}}
  grows: {instances: 2, autoscale: {in_flight: 4, max: 5}, endpoints: {GET /: [{work: 1ms}]}}
faults:
  - {kind: instance.pause, target: {instance: grows-4}, schedule: {at: 1s, for: 1s}}
  - {kind: instance.pause, target: {instance: api-2}, schedule: {at: 1s, for: 1s}}
"""
    with pytest.raises(InvalidFile) as refused:
        loads(text)
    (problem,) = refused.value.problems
    assert problem.what == "no instance 'api-2'" and problem.line == 9
