"""Whom faults hit: groups and modes of instances, ways of messages, matches of requests."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import TypeAdapter

from sim.faults.http import Match
from sim.faults.schedule import AnySchedule
from sim.faults.targets import Group
from sim.kernel import SimLoop
from sim.lab.run import run
from sim.model.messages import Request
from sim.model.world import World
from sim.scenario.scenario import Scenario
from sim.streams import Streams
from sim.telemetry.codes import SpanKind

from .small import DURING, measure, ran, scenario

BACK = {"service": "back"}


@pytest.fixture
def world():
    with SimLoop() as loop:
        spec = scenario(services__back__instances=10)
        yield World(loop, 1, spec.nodes(), spec.network)


def picked(world, **target):
    group = Group.model_validate(target)
    return [[instance.name for instance in group.picked(world, rng)] for rng in [Streams(3)["fault"]] for _ in range(200)]


def test_groups_by_service_name_zone_and_kind(world):
    """In the order of the world; a zone takes in every node's instances there."""
    assert picked(world, service="front")[0] == ["front-0", "front-1"]
    assert picked(world, instance="back-7")[0] == ["back-7"]
    assert picked(world, zone="b")[0] == ["back-1", "back-4", "back-7"]
    assert picked(world, kind="database")[0] == ["db-0"]


def test_one_is_any_of_them_as_often(world):
    """200 picks of one among ten."""
    counts = Counter(name for names in picked(world, service="back", mode="one") for name in names)
    assert len(counts) == 10 and max(counts.values()) < 40


@pytest.mark.parametrize(("mode", "value", "sizes"), [
    ("all", None, {10}), ("fixed", 3, {3}), ("fixed", 99, {10}), ("fixed-percent", "25%", {2}), ("fixed-percent", "1%", {1}),
    ("random-max-percent", "50%", {0, 1, 2, 3, 4, 5}),
])
def test_modes(world, mode, value, sizes):
    """How many of ten are picked; never one twice, always in the order of the world."""
    all_picks = picked(world, service="back", mode=mode, value=value)
    assert {len(names) for names in all_picks} == sizes
    assert all(names == sorted(set(names)) for names in all_picks)


def test_what_was_picked_is_an_event_and_a_line_of_the_summary():
    """`fault.on` and `fault.off` name the kind and the targets; each time is picked anew."""
    result = ran({"name": "k", "kind": "instance.kill", "target": {"service": "back", "mode": "one"}, "restart_after": "500ms",
                  "schedule": {"every": "1s", "max": 8}})
    on = [event for event in result.events if event["kind"] == "fault.on"]
    assert [(event["at"], event["name"], event["fault"]) for event in on] == [(float(n), "k", "instance.kill") for n in range(1, 9)]
    assert {name for event in on for name in event["targets"]} == {"back-0", "back-1", "back-2"}
    assert [(fault["from_s"], fault["until_s"]) for fault in result.summary["faults"]] == [(n, n + 0.5) for n in range(1, 9)]
    assert [list(fault.targets) for fault in result.faults] == [event["targets"] for event in on]
    off = [event for event in result.events if event["kind"] == "fault.off"]
    assert len(off) == 8 and all(event["hits"] == 1 for event in off)


def delayed(**target):
    return measure(ran({"kind": "network.delay", "latency": "60ms", "target": target}), "latency.mean", "web", DURING) - 0.015


def test_ways_of_messages():
    """One direction, both, the way back, from anybody, by groups, to one instance of three."""
    assert delayed(link="front->back") == pytest.approx(0.06)
    assert delayed(link="front->back", direction="both") == pytest.approx(0.12)
    assert delayed(link="front->back", direction="from") == pytest.approx(0.06)
    assert delayed(link="*->back") == pytest.approx(0.06)
    assert delayed(link="web->*") == pytest.approx(0.06)
    assert delayed(service="back") == pytest.approx(0.06)
    assert delayed(**{"from": {"service": "front"}, "to": {"kind": "service"}}) == pytest.approx(0.06)
    assert delayed(instance="back-1") == pytest.approx(0.02, abs=0.0005)
    assert delayed(service="back", mode="fixed", value=2) == pytest.approx(0.04, abs=0.0005)
    assert delayed(**{"from": {"zone": "c"}, "direction": "both"}) == pytest.approx(0.04, abs=0.0005)
    assert delayed(link="front->db") == pytest.approx(0)


def test_a_one_way_partition_lets_the_work_be_done_and_loses_the_answers():
    """Requests arrive, answers do not: every caller times out, and all the work is for nothing. (The last ones get theirs: TCP repeats it.)"""
    result = ran({"kind": "network.partition", "target": {"link": "front->back", "direction": "from"}})
    assert measure(result, "success_ratio", "web", (4.25, 6.9)) == 0
    assert measure(result, "throughput", "back", DURING) == pytest.approx(100, abs=1)
    assert not result.summary["services"]["back"]["success_ratio"] < 1


@pytest.mark.parametrize(("match", "fits"), [
    ({}, True), ({"method": "POST"}, True), ({"method": "GET"}, False), ({"path": "/charges*"}, True), ({"path": "/charges/{id}"}, True),
    ({"path": "/refunds/*"}, False), ({"headers": {"X-User": "vip-*"}}, True), ({"headers": {"x-user": "x"}}, False),
    ({"headers": {"x-none": "*"}}, True), ({"method": "POST", "path": "/other"}, False),
])
def test_matches_of_requests(match, fits):
    """By method, path pattern and headers; names of headers in any case."""
    request = Request("POST", "/charges/17?dry=1", headers={"x-user": "vip-7"})
    assert Match.model_validate(match).fits(request) is fits


def test_an_outage_of_a_zone_names_it_also_where_only_users_are():
    """Their 20 requests of two seconds are lost."""
    result = run(Scenario.model_validate({
        "name": "users", "duration": "4s", "network": {"zones": {"a": {}, "b": {}}}, "services": {"api": {"zone": "a", "endpoints": {"GET /": []}}},
        "workloads": {"users": {"rate": "10/s", "arrivals": "uniform", "to": "api", "zone": "b", "timeout": "100ms", "mix": [{"send": "GET /"}]}},
        "faults": [{"kind": "zone.outage", "zone": "b", "schedule": {"at": "1s", "for": "2s"}}],
    }))
    assert result.summary["requests"]["ok"] == result.summary["requests"]["started"] - 20
    assert [fault.targets for fault in result.faults] == [("zone b",)]


def test_a_fault_of_requests_on_a_link_spares_other_callers():
    """Only what `front` sends to the database fails; the link names the caller."""
    result = ran({"kind": "http.abort", "target": {"link": "front->db", "match": {"path": "/write"}}})
    assert measure(result, "success_ratio", "data", DURING) == 0
    assert measure(result, "success_ratio", "reads", DURING) == 1
    none = ran({"kind": "http.abort", "target": {"link": "back->db"}})
    assert measure(none, "success_ratio", "data", DURING) == 1


@pytest.mark.parametrize(("fault", "why"), [
    ({"kind": "network.delay", "latency": "1s", "target": {"link": "back->db"}}, "no message went back->db"),
    ({"kind": "network.reset", "probability": "0%", "target": {"link": "front->back"}}, "its `probability` of 0 changes nothing"),
    ({"kind": "network.loss", "loss": "0.001%", "target": {"link": "front->back"}}, "chance hit none"),
    ({"kind": "http.abort", "target": {"service": "back", "match": {"path": "/none"}}}, "fitted `match`"),
    ({"kind": "instance.kill", "target": {"service": "back"}, "schedule": {"at": "100s"}}, "no time within the run's 12 s"),
    ({"kind": "instance.slow", "factor": 2, "target": {**BACK, "mode": "random-max-percent", "value": "1%"}}, "chance picked none of the 3"),
    ({"kind": "instance.kill", "target": BACK, "schedule": {"after": "other", "for": "1s"}}, "it follows the end of 'other'"),
    ({"kind": "db.slow", "factor": 2, "target": {"zone": "a"}}, "nothing in the system fits"),
    ({"kind": "network.delay", "latency": "0s", "target": {"link": "front->back"}}, "its `latency` of 0 changes nothing"),
    ({"kind": "network.reorder", "latency": "0s", "probability": "20%", "target": {"link": "front->back"}}, "its `latency` of 0"),
    ({"kind": "instance.slow", "factor": 1, "target": BACK}, "its `factor` of 1 changes nothing"),
    ({"kind": "resource.cpu", "load": "0%", "target": BACK}, "its `load` of 0 changes nothing"),
    ({"kind": "clock.skew", "offset": "0s", "target": BACK}, "its `offset` of 0 changes nothing"),
    ({"kind": "load.surge", "factor": 1}, "its `factor` of 1 changes nothing"),
    ({"kind": "http.delay", "delay": "0s", "target": BACK}, "its `delay` of 0 changes nothing"),
    ({"kind": "cache.limit", "share": "20%", "target": {"service": "cache"}}, "cache never held more than the room it was left"),
    ({"kind": "cache.flush", "target": {"service": "cache"}, "schedule": {"at": "0s"}}, "cache held nothing that it could have forgotten"),
    ({"kind": "instance.slow", "factor": 9, "target": {"service": "idle"}}, "nobody asked anything of idle-0 while it was on"),
    ({"kind": "db.slow", "factor": 9, "target": {"service": "db"}, "schedule": {"at": "0s", "for": "1ms"}}, "anything of db-0 while"),
])
def test_a_fault_that_changed_nothing_is_a_warning_that_names_why(fault, why):
    """In the summary and among the events."""
    idle = {"services__idle": {"endpoints": {"GET /": [{"work": "1ms"}]}}}
    result = ran({**fault, "name": "idle"}, {"kind": "instance.slow", "factor": 1.1, "target": BACK, "name": "other", "schedule": {"at": "1s"}},
                 **idle)
    (warning,) = result.summary["warnings"]
    assert warning["name"] == "idle" and why in warning["why"]
    assert [event["why"] for event in result.events if event["kind"] == "fault.missed"] == [warning["why"]]


def test_what_has_changed_something_once_is_no_warning():
    """A jitter without latency, a leak of a pool without a share, a latency of statements without a factor, the one of several times at
    which there was something to do."""
    result = ran({"kind": "network.delay", "latency": "0s", "jitter": "5ms", "target": {"link": "front->back"}},
                 {"kind": "resource.pool", "leak": "20/s", "target": BACK},
                 {"kind": "db.slow", "name": "late", "latency": "5ms", "target": {"service": "db"}},
                 {"kind": "db.slow", "factor": 2, "target": {"service": "db"}, "schedule": {"every": "999ms", "for": "2ms"}},
                 {"kind": "cache.limit", "share": "0%", "target": {"service": "cache"}})
    assert not result.summary["warnings"]


def test_a_kill_that_finds_nobody_alive_says_so():
    """There is somebody who fits, but all of them are down: for one that picks, and for one that means all and is over before they live."""
    result = ran({"kind": "instance.kill", "target": BACK, "name": "first", "schedule": {"at": "4s", "for": "4s"}},
                 {"kind": "instance.kill", "target": {**BACK, "mode": "one"}, "name": "one", "schedule": {"at": "5s", "for": "1s"}},
                 {"kind": "instance.kill", "target": BACK, "name": "all", "schedule": {"at": "5s", "for": "1s"}},
                 {"kind": "instance.kill", "target": BACK, "name": "longer", "schedule": {"at": "7s", "for": "2s"}})
    why = "all that fit its target were down already; let it come when they run, or aim at others"
    assert [(warning["name"], warning["why"]) for warning in result.summary["warnings"]] == [("all", why), ("one", why)]


def test_after_another_fault():
    """Each time that `first` has ended, `second` comes half a second later."""
    slow = {"kind": "instance.slow", "factor": 2, "target": {"service": "back"}}
    result = ran({**slow, "name": "first", "schedule": {"every": "4s", "for": "1s"}},
                 {**slow, "name": "second", "schedule": {"after": "first", "for": "1s", "delay": "500ms"}})
    assert [(fault.name, fault.start, fault.until) for fault in result.faults] == [
        ("first", 4.0, 5.0), ("second", 5.5, 6.5), ("first", 8.0, 9.0), ("second", 9.5, 10.5)]


def test_random_times_of_a_run_come_from_a_stream_of_the_faults_own():
    """They are those that the schedule draws from the stream of that name; other faults, and what happens meanwhile, move none of them."""
    schedule = {"random": {"rate": "60/min", "for": {"exponential": "400ms"}}, "from": "1s", "until": "10s"}
    gray = {"kind": "instance.slow", "name": "gray", "factor": 3, "target": {**BACK, "mode": "one"}, "schedule": schedule}
    drawn = [(window.start, window.start + (window.length or 0))
             for window in TypeAdapter(AnySchedule).validate_python(schedule).windows(Streams(7)["fault gray times"], 12.0)]
    others = [{**gray, "name": "other"}, {"kind": "instance.kill", "name": "kill", "target": BACK}, {"kind": "network.loss", "loss": "50%",
              "target": {"link": "front->back"}}]
    alone, beside = ran(gray), ran(*others, gray)
    for result in (alone, beside):
        mine = [fault for fault in result.faults if fault.name == "gray"]
        assert [fault.start for fault in mine] == [start for start, _ in drawn]
        assert [fault.until for fault in mine] == pytest.approx([until for _, until in drawn])
    assert [fault.targets for fault in alone.faults] == [fault.targets for fault in beside.faults if fault.name == "gray"]


def test_faults_without_a_schedule_last_for_the_whole_run():
    """From 0 s on, with no end."""
    result = ran({"kind": "network.delay", "latency": "1ms", "target": {"service": "back"}, "schedule": None})
    assert [(fault.start, fault.until) for fault in result.faults] == [(0.0, None)]
    assert result.summary["workloads"]["web"]["latency_s"]["mean"] == pytest.approx(0.016)


def test_requests_under_any_fault_come_to_an_account():
    """Calls that a killed instance had made end as cancelled at their edge, and nothing is counted twice."""
    result = ran({"kind": "instance.kill", "target": {"service": "front"}, "schedule": {"every": "1s", "for": "300ms"}})
    client = result.spans.of(SpanKind.CLIENT)
    assert len(set(client.id.tolist())) == len(client)
    requests = result.summary["requests"]
    assert requests["started"] == sum(requests[outcome] for outcome in ("ok", "degraded", "failed", "rejected", "unfinished"))
