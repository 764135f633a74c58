"""Deployments: what users notice of one, what a bad version does, and what stops it."""

import pytest

from sim import loads
from sim.kernel import SimLoop
from sim.model.deployment import Deployment, DeploymentSpec
from sim.model.world import World

from .platform_runs import events, latency, shop, simulate, statuses
from .small_world import SmallWorld


def deployed(strategy, version="{name: v2}", instances=4, duration=180, rate=100, more="", at="30s", work="10ms", extra="", startup="5s"):
    """A service that goes over to another version after 30 s."""
    deployment = f"deployment: {{at: {at}, version: {version}, strategy: {strategy}{more}}}"
    of_shop = f"instances: {instances}\n    startup: {startup}\n    {deployment}\n    {extra}"
    return simulate(shop({"GET /": f"[{{work: {work}}}]"}, "", rate=rate, duration=duration, of_shop=of_shop))


def shares(result, start, until):
    """The part of the requests that each instance had, by name."""
    server = result.spans.of(2)
    some = server[(server.start >= start) & (server.start < until)]
    return {result.names.instances[one]: float((some.instance == one).mean()) for one in sorted(set(some.instance.tolist()))}


def reachable(result):
    """(time, instances that take calls) at each change."""
    return [(event["at"], event["reachable"]) for event in events(result, "instances") if event["node"] == "shop"]


@pytest.mark.parametrize("strategy", ["{rolling: {max_surge: 1, max_unavailable: 0}}", "{canary: {steps: [10%, 50%], interval: 10s}}", "{blue_green: {keep: 5s}}"])
def test_a_sound_version_comes_in_without_one_failed_request(strategy):
    """New instances take calls when they have started, old ones finish what they have: nobody notices anything."""
    result = deployed(strategy)
    assert set(statuses(result)) == {"200"} and latency(result, figure="max") < 0.02
    assert [event["kind"] for event in events(result, "deployment.done")] == ["deployment.done"]
    assert set(shares(result, 120, 180)) == {f"shop-{number}" for number in range(4, 8)}
    assert result.description["shop"]["instances"] == [f"shop-{number}" for number in (4, 5, 6, 7, 0, 1, 2, 3)]


def test_max_surge_and_max_unavailable_are_kept():
    """Never fewer than four ready with a surge of one; never more than four altogether with one unavailable; it takes as long as that takes."""
    surging, missing = deployed("{rolling: {max_surge: 1, max_unavailable: 0}}"), deployed("{rolling: {max_surge: 0, max_unavailable: 1}}")
    during = [(at, number) for at, number in reachable(surging) if at >= 30]
    assert min(number for _, number in during) == 4 and max(number for _, number in during) == 5
    during = [(at, number) for at, number in reachable(missing) if at >= 30]
    assert min(number for _, number in during) == 3 and max(number for _, number in during) == 4
    for result in (surging, missing):
        assert events(result, "deployment.done")[0]["at"] == pytest.approx(30 + 4 * 5, abs=5)
    assert events(deployed("{rolling: {max_surge: 100%, max_unavailable: 0}}"), "deployment.done")[0]["at"] == pytest.approx(35, abs=2)


def test_old_instances_that_callers_cannot_find_are_no_available_ones():
    """The registry cannot reach the last of four and lists three: from the first new one on there are four, and the lost one goes first."""
    registry = "registry: {check: {interval: 500ms, timeout: 200ms, failures_before_critical: 2}}\nservices:"
    cut_off = "{kind: network.partition, target: {from: {service: registry}, to: {instance: shop-3}}, how: reject, schedule: {at: 1s}}"
    deployment = "{at: 5s, version: {name: v2}, strategy: {rolling: {max_surge: 1, max_unavailable: 0}}}"
    result = simulate(shop({"GET /": "[{work: 1ms}]"}, "", rate=5, duration=15, faults=cut_off,
                           of_shop=f"instances: 4\n    startup: 1s\n    deployment: {deployment}").replace("services:", registry))
    views = [(event["at"], event["instances"]) for event in events(result, "registry.view") if "caller" not in event]
    first = next(at for at, listed in views if at > 5 and "shop-4" in listed)
    assert [listed for at, listed in views if at < first][-1] == ["shop-0", "shop-1", "shop-2"]
    assert min(len(listed) for at, listed in views if at >= first) == 4
    gone = [event["instance"] for event in events(result, "registry.deregistered")]
    assert (gone[0], sorted(gone)) == ("shop-3", [f"shop-{number}" for number in range(4)])


def test_instances_that_do_not_linger_are_missed_by_who_has_not_heard():
    """An instance that ends at once refuses the calls that are on their way to it; a second of patience is enough for them."""
    def refused(linger):
        deployment = f"{{at: 5s, version: {{name: v2}}, strategy: {{rolling: {{}}}}, linger: {linger}}}"
        text = shop({"GET /": "[{work: 1ms}]"}, "", rate=2000, duration=12, network="latency: 20ms",
                    of_shop=f"instances: 4\n    startup: 1s\n    deployment: {deployment}")
        return {status: count for status, count in statuses(simulate(text)).items() if status != "200"}

    assert refused("1s") == {}
    assert sum(refused("0s").values()) > 20


def test_drain_timeout_ends_who_does_not_come_to_an_end():
    """A request that takes longer than the drain is cut off."""
    result = deployed("{rolling: {}}", work="20s", rate=1, more=", drain_timeout: 5s", duration=100)
    assert statuses(result)["reset"] > 0


BAD = "{name: v2, error_rate: 30%}"
CHECKED = ", analysis: {error_rate: 5%}"


def test_a_rolling_deployment_of_a_bad_version_hurts_everybody():
    """Nothing looks: in the end a third of all requests fail."""
    result = deployed("{rolling: {}}", BAD)
    ends = result.requests.finished
    assert (ends.status[ends.start > 100] == 500).mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("strategy", "most"), [("{canary: {steps: [5%, 25%, 50%], interval: 20s}}", 60), ("{blue_green: {}}", 130), ("{rolling: {}}", 450)])
def test_an_analysis_takes_a_bad_version_back(strategy, most):
    """It is noticed by its errors and rolled back; a canary has let it have few calls by then, a change of all at once many more."""
    result = deployed(strategy, BAD, more=CHECKED)
    assert statuses(result)["500"] < most
    assert [event["node"] for event in events(result, "deployment.rolled_back")] == ["shop"]
    ends = result.requests.finished
    assert (ends.status[ends.start > 90] == 200).all()


def test_an_analysis_takes_a_slow_version_back():
    """By its 99th percentile; no request has failed."""
    result = deployed("{canary: {steps: [10%, 50%], interval: 20s}}", "{name: v2, speed: 0.05}", more=", analysis: {p99: 100ms}")
    assert set(statuses(result)) == {"200"} and "p99 was 200ms" in events(result, "deployment.rolling_back")[0]["reason"]
    assert latency(result, figure="p50") < 0.02


def test_few_requests_tell_nothing():
    """Below `min_requests` no version is judged, so that a canary that gets hardly any calls passes."""
    result = deployed("{canary: {steps: [5%], interval: 20s}}", BAD, more=", analysis: {error_rate: 5%, min_requests: 100000}")
    assert len(events(result, "deployment.done")) == 1


def test_a_canary_gets_its_share_of_the_calls_whatever_the_instances():
    """Ten percent of the calls go to one canary beside four others, and half of them to two."""
    result = deployed("{canary: {steps: [10%, 50%], interval: 60s}}", rate=200, duration=150)
    first, second = shares(result, 37, 94), shares(result, 103, 148)
    assert first["shop-4"] == pytest.approx(0.10, abs=0.015) and set(first) == {f"shop-{number}" for number in range(5)}
    assert second["shop-4"] + second["shop-5"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("balancer", ["p2c", "least_request", "ring_hash", "peak_ewma", "zone_aware", "random"])
def test_a_canary_works_with_every_balancer(balancer):
    """The versions are chosen first, and the caller's balancer chooses among the instances of one."""
    deployment = "{at: 10s, version: {name: v2}, strategy: {canary: {steps: [20%], interval: 30s}}}"
    text = f"""
name: chain
duration: 60s
network: {{zones: {{a: {{}}, b: {{}}}}}}
services:
  front:
    zone: spread
    uses: {{back: {{balancer: {balancer}}}}}
    endpoints: {{GET /: [{{call: {{to: back GET /, key: {{uniform: 1000}}}}}}]}}
  back: {{instances: 4, zone: spread, startup: 1s, deployment: {deployment}, endpoints: {{GET /: [{{work: 5ms}}]}}}}
workloads:
  users: {{executor: constant-arrival-rate, rate: 100/s, to: front, mix: [{{send: GET /}}]}}
"""
    result = simulate(text)
    server = result.spans.of(2)
    back = server[(server.node == result.names.nodes.index("back")) & (server.start > 12) & (server.start < 40)]
    assert (back.instance == result.names.instances.index("back-4")).mean() == pytest.approx(0.2, abs=0.03)
    assert set(statuses(result)) == {"200"} and len(events(result, "deployment.done")) == 1


def test_blue_green_changes_over_at_once_and_can_go_back_at_once():
    """Before the change no call reaches the new instances; after it no old one gets any."""
    result = deployed("{blue_green: {preview: 10s, keep: 20s}}", duration=90)
    changed = events(result, "deployment.shifted")[-1]["at"]
    assert changed == pytest.approx(30 + 5 + 10)
    assert set(shares(result, 0, changed - 0.1)) == {f"shop-{number}" for number in range(4)}
    assert set(shares(result, changed + 0.1, 90)) == {f"shop-{number}" for number in range(4, 8)}
    rolled = deployed("{blue_green: {keep: 20s}}", BAD, more=CHECKED)
    back = events(rolled, "deployment.rolled_back")[0]["at"]
    assert set(shares(rolled, back + 0.1, 180)) == {f"shop-{number}" for number in range(4)}


def test_a_version_that_never_starts_stops_a_rolling_deployment():
    """Its instances crash as they start, none becomes ready, and the old ones that may not go stay and serve."""
    result = deployed("{rolling: {max_surge: 1, max_unavailable: 0}}", "{name: v2, crashes: true}", duration=300)
    assert not events(result, "deployment.done") and len(events(result, "instance.crash")) > 2
    assert set(statuses(result)) == {"200"} and set(shares(result, 200, 300)) == {f"shop-{number}" for number in range(4)}


DEADLINE = ", progress_deadline: 1m"
LAME = "{rolling: {max_surge: 1, max_unavailable: 0}}"


def test_without_progress_it_has_failed_and_scaling_goes_on():
    """One new instance never becomes ready: told a minute after the last progress, and a load that is too much gets more of the old version."""
    scaled = "autoscale: {in_flight: 0.5, min: 2, max: 8, every: 5s}"
    result = deployed(LAME, "{name: v2, crashes: true}", 2, 150, 200, DEADLINE, at="1s", extra=scaled)
    (failed,) = events(result, "deployment.failed")
    assert failed["at"] == pytest.approx(61) and "no progress for 60 s: 0 of 1 new instances are ready" in failed["reason"]
    assert min(event["at"] for event in events(result, "autoscale")) > 61
    assert set(statuses(result)) == {"200"}


def test_each_instance_that_becomes_ready_is_progress():
    """Four of them, 40 s each, take longer than a minute altogether."""
    result = deployed(LAME, startup="40s", duration=250, more=DEADLINE)
    assert [event["kind"] for event in events(result, "deployment.done")] and not events(result, "deployment.failed")


def test_without_progress_a_deployment_with_an_analysis_is_rolled_back():
    """As where the version does badly; the one that never became ready is gone."""
    result = deployed(LAME, "{name: v2, crashes: true}", more=DEADLINE + CHECKED)
    assert "no progress" in events(result, "deployment.rolling_back")[0]["reason"]
    assert events(result, "deployment.rolled_back")[0]["at"] == pytest.approx(90, abs=1)


@pytest.mark.parametrize("strategy", ["rolling", "canary", "blue_green"])
def test_a_failed_deployment_can_be_rolled_back_or_followed_by_another(strategy):
    """Either way there are as many instances as before, all of them good."""
    scenario = loads(shop({"GET /": "[{work: 1ms}]"}, "", of_shop="instances: 4\n    startup: 5s"))

    def version(**about):
        return DeploymentSpec.model_validate({"version": about, "strategy": strategy, "progress_deadline": "20s"})

    with SimLoop(1) as loop:
        world = World(loop, 1, scenario.nodes(), scenario.network)
        node = world.node("shop")
        for back in (True, False):
            bad, good = Deployment(node, version(name="v2", crashes=True)), Deployment(node, version(name="v3"))
            bad.begin()
            loop.run_until(loop.time() + 60)
            assert bad.state == "failed"
            bad.roll_back() if back else good.begin()
            loop.run_until(loop.time() + 300)
            assert {instance.version for instance in node.staying()} == {"" if back else "v3"} and len(node.staying()) == 4


def test_a_version_has_its_own_speed():
    """Half the speed is twice the time."""
    result = deployed("{rolling: {}}", "{name: v2, speed: 0.5}")
    ends = result.requests.finished
    assert ends.latency[ends.start > 100].mean() == pytest.approx(0.02, rel=0.05)


def test_a_version_has_its_own_configuration():
    """Its `config` lies over that of the service, for its own instances alone."""
    spec = {"code": "tests.model.config_service:Priced", "instances": 1, "config": {"price": 5, "other": 1},
            "deployment": {"at": "10s", "version": {"name": "v2", "config": {"price": 7}}, "strategy": {"rolling": {"max_unavailable": 0}}}}
    with SimLoop(seed=3) as loop:
        small = SmallWorld(loop, {"shop": spec})
        assert small.send("shop", "GET", "/price").json == 5
        loop.run_until(20)
        assert small.send("shop", "GET", "/price").json == 7
        assert small.world.node("shop").instances[0].config == {"price": 7, "other": 1}


def test_a_second_deployment_waits_for_no_one():
    """While one is under way another one is refused, and says so."""
    scenario = loads(shop({"GET /": "[{work: 1ms}]"}, "", of_shop="instances: 2\n    startup: 5s"))
    with SimLoop(1) as loop:
        world = World(loop, 1, scenario.nodes(), scenario.network)
        node = world.node("shop")
        first, second = (Deployment(node, DeploymentSpec.model_validate({"version": {"name": name}})) for name in ("v2", "v3"))
        first.begin()
        second.begin()
        loop.run_until(1)
        assert (first.state, second.state) == ("running", "refused")
        first.roll_back("somebody asked")
        loop.run_until(60)
        assert first.state == "rolled_back" and {instance.version for instance in node.instances} == {""}
