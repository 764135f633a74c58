"""Bad versions and bad configurations: what they do, how they overlap, and how they are taken back."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sim.errors import InvalidInput

from .small import AFTER, BASE, DURING, measure, ran

BACK = {"service": "back"}
RARE = {f"workloads__{load}__rate": "10/s" for load in BASE}


def bad(kind="deploy.bad_version", **fields):
    return {"kind": kind, "target": BACK, **fields}


def web(result, what="success_ratio", window=DURING):
    return measure(result, what, "web", window)


@pytest.mark.parametrize("kind", ["deploy.bad_version", "config.bad"])
def test_errors_and_slowness_while_it_is_out(kind):
    """A quarter fails; at half the speed 10 ms of work take 20; afterwards all is as before."""
    result = ran(bad(kind, error_rate="25%", speed=0.5))
    assert web(result) == pytest.approx(0.75, abs=0.08)
    slow = ran(bad(kind, speed=0.5))
    assert web(slow, "latency.mean") == pytest.approx(BASE["web"] + 0.01, abs=1e-6)
    for healed in (result, slow):
        assert web(healed, window=AFTER) == 1
        assert web(healed, "latency.mean", AFTER) == pytest.approx(BASE["web"])


def test_two_times_of_one_fault_that_lie_close_together_are_two():
    """Ten microseconds apart, each makes it half as fast, and each is taken back by itself."""
    result = ran(bad(speed=0.5, schedule={"every": "10us", "from": "10s", "for": "1s", "max": 2}), **RARE)
    assert web(result, "latency.mean", (10.1, 10.9)) == pytest.approx(BASE["web"] + 0.03)
    assert web(result, "latency.mean", (11.1, 11.9)) == pytest.approx(BASE["web"])


def test_a_canary_hits_its_share():
    """One instance of three has the bad version, and with it a third of the calls."""
    result = ran({**bad(error_rate="100%", error_status=502), "target": {**BACK, "mode": "fixed-percent", "value": "34%"}})
    assert web(result) == pytest.approx(2 / 3, abs=0.02)
    assert len(result.faults[0].targets) == 1


@pytest.mark.parametrize("kind", ["deploy.bad_version", "config.bad"])
def test_a_version_that_crashes_is_down_until_it_is_taken_back(kind):
    """All three crash; nobody answers."""
    result = ran(bad(kind, crashes=True), duration="24s")
    assert web(result, window=(4.2, 7.9)) == 0
    assert [event["node"] for event in result.events if event["kind"] == "instance.crash"][:3] == ["back"] * 3
    assert web(result, window=(8.1, 12.0) if kind == "deploy.bad_version" else (15.0, 23.9)) == 1  # a restart may take 10 s to come


@pytest.mark.parametrize("kind", ["deploy.bad_version", "config.bad"])
def test_what_has_crashed_and_is_held_down_does_not_come_back_by_itself(kind):
    """It crashes at 1 s and would be started again at 11 s, but a kill holds it down from 2 s to 20 s."""
    kill = {"kind": "instance.kill", "target": {"service": "back"}, "schedule": {"at": "2s", "for": "18s"}}
    result = ran(bad(kind, crashes=True, schedule={"at": "1s", "for": "2s"}), kill, duration="24s")
    assert web(result, window=(3.1, 19.9)) == 0
    assert web(result, window=(20.1, 23.9)) == 1


def test_bad_configurations_stack_and_unstack_in_any_order():
    """Two of them multiply; whichever ends first, the other goes on alone, and in the end there is none."""
    slow, slower = (bad("config.bad", name=name, speed=speed, schedule={"at": at, "for": length})
                    for name, speed, at, length in (("slow", 0.5, "3s", "4s"), ("slower", 0.25, "5s", "4s")))
    for faults in ((slow, slower), (slower, slow)):
        result = ran(*faults)
        times = [web(result, "latency.mean", window) - BASE["web"] for window in ((3.2, 4.9), (5.2, 6.8), (7.2, 8.8), (9.2, 11.0))]
        assert times == pytest.approx([0.01, 0.07, 0.03, 0.0], abs=1e-6)


def test_a_change_that_comes_while_a_bad_configuration_is_out_holds_when_it_is_gone():
    """At 5 s half the speed is planned; the bad quarter of 4 to 8 s goes on beside it, and the half is what is left."""
    result = ran(bad("config.bad", speed=0.25), services__back__config_updates={"changes": [{"at": "5s", "speed": 0.5}]}, **RARE)
    times = [web(result, "latency.mean", window) - BASE["web"] for window in ((4.1, 4.9), (5.1, 7.9), (8.1, 11.9))]
    assert times == pytest.approx([0.03, 0.07, 0.01], abs=1e-6)


def test_a_configuration_travels_as_the_service_says():
    """Asked for once in two seconds, it reaches each of the three instances at its own time, and so does the good one."""
    result = ran(bad("config.bad", error_rate="100%"), services__back__config_updates={"poll": "2s"})
    applied = [event["at"] for event in result.events if event["kind"] == "config.applied"]
    assert len(applied) == 6
    assert all(4 <= at <= 6 for at in applied[:3])
    assert all(8 <= at <= 10 for at in applied[3:])
    assert web(result, window=(6.1, 7.9)) == 0
    assert web(result, window=(10.1, 11.9)) == 1


ROLLING = {"rolling": {"max_surge": 1, "max_unavailable": 0}}
LATER = {"at": "1h", "version": {"name": "v2"}, "strategy": ROLLING}  # the service's own deployment, which never comes


def deployed(*faults, **deployment):
    """The small world for 30 s; `back` takes half a second to start and is deployed one by one. What happened to it, by time."""
    result = ran(*faults, duration="30s", services__back__startup="500ms", services__back__deployment={**LATER, **deployment})
    told = [(round(event["at"], 1), event["kind"].partition(".")[2], event["version"])
            for event in result.events if event["kind"].startswith("deployment.")]
    return result, told


def out(name="bad", at="4s", length="10s", **fields):
    return bad(name=name, schedule={"at": at, "for": length}, **{"error_rate": "50%", **fields})


def test_a_service_with_a_deployment_gets_its_bad_version_that_way():
    """One instance each half second, so that the share of failures grows; when the fault ends the version before comes the same way."""
    result, told = deployed(out())
    assert told == [(4.0, "started", "bad"), (5.5, "done", "bad"), (14.0, "started", ""), (15.5, "done", "")]
    assert 0.6 < web(result, window=(4.5, 5.5)) < 1
    assert web(result, window=(6, 14)) == pytest.approx(0.5, abs=0.06)
    assert 0.5 < web(result, window=(14, 15.5)) < 1
    assert web(result, window=(17, 29)) == 1
    assert web(result, "latency.mean", (17, 29)) == pytest.approx(BASE["web"])
    assert result.faults[0].targets == ("back",)
    assert not result.summary["warnings"]
    assert [(event["seen"], event["hits"]) for event in result.events if event["kind"] == "fault.off"] == [(1, 1)]


def test_it_is_rolled_back_if_the_fault_ends_before_it_is_done():
    """0.7 s after the start one instance of three is new."""
    result, told = deployed(out(length="700ms"))
    assert [(what, version) for _, what, version in told] == [("started", "bad"), ("rolling_back", "bad"), ("rolled_back", "bad")]
    assert told[1][0] == 4.7
    assert web(result, window=(6, 29)) == 1


def test_an_analysis_takes_it_back_while_the_fault_is_on():
    """A canary of a quarter of the calls shows a half of them failing, and is gone before the others are touched."""
    result, told = deployed(out(length="20s"), strategy={"canary": {"steps": ["25%", "50%"], "interval": "5s"}}, analysis={"error_rate": "5%"})
    assert [what for _, what, _ in told] == ["started", "shifted", "rolling_back", "shifted", "rolled_back"]
    assert web(result, window=(4, 8)) > 0.9
    assert web(result, window=(8, 29)) == 1


def test_strategy_and_analysis_of_the_fault_go_before_those_of_the_service():
    """Also where the service has none."""
    for own in ({}, {"services__back__deployment": None}):
        result = ran(out(strategy={"blue_green": {"keep": "10s"}}, analysis={"error_rate": "5%"}), duration="30s", **own)
        assert [event["strategy"] for event in result.events if event["kind"] == "deployment.started"] == ["BlueGreen"]
        assert [event["kind"] for event in result.events if "roll" in event["kind"]] == ["deployment.rolling_back", "deployment.rolled_back"]
        assert web(result, window=(8, 29)) == 1


def test_an_instance_that_a_fault_deploys_can_be_hit_by_another():
    """`back` has three of its own, and no deployment; the first new one is back-3."""
    new = {"kind": "instance.slow", "target": {"instance": "back-3"}, "factor": 2, "schedule": {"at": "6s", "for": "1s"}}
    result = ran(out(strategy=ROLLING), new, duration="8s", **RARE)
    assert [fault.targets for fault in result.faults if fault.kind == "instance.slow"] == [("back-3",)]
    assert not result.summary["warnings"]
    with pytest.raises(InvalidInput, match="no instance 'back-3'"):
        ran(out(), new, **RARE)


@pytest.mark.parametrize(("windows", "wanted"), [
    ((("4s", "10s"), ("7s", "3s")), [1, 0.5, 0.0, 0.5, 1]),  # the second within the first
    ((("4s", "6s"), ("7s", "7s")), [1, 0.5, 0.0, 0.0, 1]),  # one after the other
    ((("4s", "3200ms"), ("7s", "7s")), [1, 0.5, 0.0, 0.0, 1]),  # the first ends while the second comes
])
def test_deployed_versions_stack_and_unstack_in_any_order(windows, wanted):
    """The last of those that are on counts, one half of whose requests fail, or all; in the end there is none."""
    one, two = (out(name=name, at=at, length=length, error_rate=share)
                for name, share, (at, length) in zip(("one", "two"), ("50%", "100%"), windows, strict=True))
    result, told = deployed(one, two)
    found = [web(result, window=window) for window in ((2, 4), (6, 7), (9.5, 10), (12.5, 14), (18, 29))]
    assert found == pytest.approx(wanted, abs=0.12)
    assert told[-1][1] in ("done", "rolled_back")
    assert {event["version"] for event in result.events if event["kind"] == "deployment.done"} <= {"one", "two", ""}


def test_a_version_that_crashes_is_stuck_in_a_rolling_deployment():
    """No old instance goes for it, nobody notices, and it is taken back."""
    result, told = deployed(out(error_rate="0%", crashes=True))
    assert [what for _, what, _ in told] == ["started", "rolling_back", "rolled_back"]
    assert web(result, window=(4, 29)) == 1


def test_while_the_service_deploys_something_else_it_waits():
    """The service's own deployment takes from 4 to 10 s; the bad version comes then, and goes back to the new one."""
    own = {"at": "3s", "strategy": {"blue_green": {"preview": "6s", "keep": "100ms"}}}
    _, told = deployed(out(at="4s", length="10s", strategy=ROLLING), **own)
    assert [(what, version) for _, what, version in told if what in ("started", "done")] == [
        ("started", "v2"), ("done", "v2"), ("started", "bad"), ("done", "bad"), ("started", "v2"), ("done", "v2")]
    (warning,) = deployed(out(at="4s", length="2s"), **own)[0].summary["warnings"]
    assert "another deployment" in warning["why"]


@pytest.mark.parametrize("at", ["4100ms", "8s", "10100ms"])  # while the bad one is on its way, there, or on its way back
def test_a_deployment_that_was_planned_for_that_time_comes_all_the_same(at):
    """In the end the service has the version that it would have without the fault."""
    result = ran(out(length="6s"), duration="18s", services__back__startup="500ms", services__back__deployment={**LATER, "at": at}, **RARE)
    told = [(event["kind"], event["version"]) for event in result.events if event["kind"] in ("deployment.done", "deployment.refused")]
    assert told[0] == ("deployment.done", "bad") and told[-1] == ("deployment.done", "v2")
    assert web(result, window=(16, 17.9)) == 1


def test_on_to_the_end_of_the_run_it_stays():
    """Nothing is taken back after the end."""
    _, told = deployed(bad(name="bad", error_rate="50%", schedule={"at": "4s"}))
    assert [what for _, what, _ in told] == ["started", "done"]


def test_instances_that_are_picked_are_changed_in_place_whatever_the_service_has():
    """As before: at once, and back at once."""
    result, told = deployed({**out(error_rate="100%"), "target": {**BACK, "mode": "one"}})
    assert told == []
    assert web(result, window=(4.1, 13.9)) == pytest.approx(2 / 3, abs=0.02)
    assert web(result, window=(14.1, 29)) == 1


@pytest.mark.parametrize(("fault", "what"), [
    (bad(error_rate="5%", strategy=ROLLING) | {"target": {**BACK, "mode": "one"}}, "only a whole service can be deployed"),
    (bad(error_rate="5%", analysis={"error_rate": "5%"}), "what nobody deploys, nobody judges"),
    (bad(error_rate="5%", strategy=ROLLING) | {"target": {"service": "db"}}, "a database is not deployed"),
])
def test_what_cannot_be_deployed_is_a_mistake(fault, what):
    """With place and cure."""
    with pytest.raises((InvalidInput, ValidationError), match=what):
        ran(fault)
