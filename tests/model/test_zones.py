"""Balancers and what they know of instances: zones that spill over, panic, who counts as missing, and weights."""

from __future__ import annotations

import pytest

from sim.scenario.checks import check_files
from sim.telemetry.codes import SpanKind
from tests.model.small_runs import of_users, ran, users

ZONES = {"default": {"latency": "1ms"}, "zones": {"a": {}, "b": {}}}


def run_with(dead=(), instances=8, balancer="zone_aware", rate="200/s", faults=(), sleep="1ms", **more):
    """A caller in zone a, *instances* that take turns in a and b; those that are *dead* die after 5 s."""
    back = {"instances": instances, "zone": "spread", "workers": 100, "startup": "30s", "endpoints": {"GET /": [{"sleep": sleep}]}, **more}
    front = {"zone": "a", "workers": 1000, "uses": {"back": {"balancer": balancer}}, "endpoints": {"GET /": [{"call": {"to": "back GET /", "key": {"uniform": 10_000}}}]}}
    kills = [{"kind": "instance.kill", "target": {"instance": f"back-{number}"}, "schedule": {"at": "5s"}} for number in dead]
    return ran({"front": front, "back": back}, {"users": users("front", rate=rate)}, duration="20s", network=ZONES,
               faults=[*kills, *faults])


def shares(result, after=10.0):
    """The share of the calls that each instance gets."""
    rows = result.spans.of(SpanKind.SERVER).rows
    rows = rows[(rows["node"] == result.names.nodes.index("back")) & (rows["start"] > after)]
    return {name: float((rows["instance"] == index).mean()) for index, name in enumerate(result.names.instances)
            if (rows["instance"] == index).any()}


@pytest.mark.parametrize(("dead", "kept"), [((), 1.0), ((0,), 1.0), ((0, 2), 0.7), ((0, 2, 4), 0.35), ((0, 2, 4, 6), 0.0)])
def test_a_zone_keeps_140_percent_of_what_is_left_of_it(dead, kept):
    """Of four in the caller's zone none, one, two, three or all are dead: 100, 105, 70, 35 and 0 percent of the calls stay (Envoy)."""
    result = run_with(dead)
    found = shares(result)
    assert sum(found.get(f"back-{number}", 0.0) for number in (0, 2, 4, 6)) == pytest.approx(kept, abs=0.03)
    assert of_users(result)["success_ratio"] == 1.0


def test_the_loss_of_the_other_zone_is_nothing():
    """An outage of zone b: all calls stay in a, where they were before."""
    result = run_with(faults=[{"kind": "zone.outage", "zone": "b", "schedule": {"at": "5s"}}])
    assert shares(result, after=1.0) == {f"back-{number}": pytest.approx(0.25, abs=0.01) for number in (0, 2, 4, 6)}
    assert of_users(result)["success_ratio"] == 1.0


def test_instances_that_have_not_started_yet_are_not_missing():
    """Four more that take half a minute to start do not make the two that are there give calls away."""
    result = run_with(instances=4, deployment={"at": "5s", "version": {"name": "v2"}, "strategy": {"rolling": {"max_surge": 4, "max_unavailable": 0}}})
    assert shares(result) == {"back-0": pytest.approx(0.5, abs=0.01), "back-2": pytest.approx(0.5, abs=0.01)}


@pytest.mark.parametrize(("panic", "failed"), [("0%", 0.0), ("50%", 0.75), ("20%", 0.0)])
def test_in_panic_the_dead_are_called_too(panic, failed):
    """Six of eight are dead. Below the threshold their state is not believed any more, and three calls of four are refused."""
    result = run_with(dead=range(6), balancer={"round_robin": {"panic": panic}})
    requests = result.requests
    late = requests.status[requests.start > 6]
    assert (late != 200).mean() == pytest.approx(failed, abs=0.01)


def test_a_lone_instance_that_is_dead_is_nobody():
    """No healthy instance, whatever the balancer does in panic."""
    result = run_with(dead=(0,), instances=1)
    requests = result.requests
    assert set(requests.status[requests.start > 6]) == {503}


@pytest.mark.parametrize(("balancer", "share"), [
    ("weighted", 0.75), ("least_request", 0.75), ("ring_hash", 0.75), ("maglev", 0.75), ("round_robin", 0.5)])
def test_calls_follow_the_weights_of_instances(balancer, share):
    """Weights of 3 and 1 in turn: the heavy ones get three quarters of the calls or of the keys, from who goes by weights."""
    result = run_with(instances=4, balancer=balancer, rate="400/s", weights=[3, 1], sleep="50ms")
    found = shares(result, after=0.0)
    assert found["back-0"] + found["back-2"] == pytest.approx(share, abs=0.04)


def test_weights_that_nobody_goes_by_are_doubtful(tmp_path):
    """Round robin gives each the same."""
    file = tmp_path / "weights.yaml"
    text = """
name: weights
duration: 10s
services:
  front: {uses: {back: {balancer: %s}}, endpoints: {GET /: [{call: back GET /}]}}
  back: {instances: 2, weights: [3, 1], endpoints: {GET /: []}}
"""
    for balancer, doubtful in (("round_robin", True), ("weighted", False), ("{round_robin: {slow_start: {window: 30s}}}", False)):
        file.write_text(text % balancer)
        assert ["goes by weights" in problem.what for problem in check_files([str(file)]).problems] == [True] * doubtful
