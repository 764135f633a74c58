"""The registry: what is registered, what is believed, who is told, and how all of that can be wrong."""

from __future__ import annotations

from statistics import mean

import pytest
from pydantic import ValidationError

from sim import loads, run
from sim.mistakes import mistakes
from sim.model.messages import Response
from sim.model.network import Drop
from sim.model.registry_spec import RegistrySpec
from sim.telemetry.codes import Reason
from tests.model.platform_world import Platform, platform

SHOP = {"front": {"workers": 100, "endpoints": {"GET /": [{"call": "back GET /"}]}},
        "back": {"instances": 3, "workers": 100, "startup": "1s", "endpoints": {"GET /": [{"sleep": "10ms"}]}}}
FAST = {"check": {"interval": "10s", "timeout": "2s", "failures_before_critical": 3}}


def listed(lab: Platform, node: str = "back") -> list[str]:
    """Who the registry says is healthy."""
    return [instance.name for instance in lab.world.registry.listings[node].instances]


def believed(lab: Platform, caller: str = "front-0", node: str = "back") -> list[str]:
    """Who a caller believes to be there."""
    return [instance.name for instance in lab.world.registry.views[caller, node, None].reachable]


# finding out

def detection(hang: bool, seed: int, interval: float = 10.0, timeout: float = 2.0) -> list[float]:
    """Kill (or hang) 40 instances; for each, the seconds until the registry believes it."""
    fault = "instance.pause" if hang else "instance.kill"
    result = run(loads(f"""
name: detection
duration: 80s
network: {{default: {{latency: 0ms}}}}
registry: {{latency: 0ms, check: {{interval: {interval:g}s, timeout: {timeout:g}s, failures_before_critical: 3}}}}
services: {{back: {{instances: 40, endpoints: {{GET /: []}}}}}}
faults: [{{kind: {fault}, target: {{service: back, mode: all}}, schedule: {{at: 20s}}}}]
"""), seed)
    return [event["at"] - 20 for event in result.events if event["kind"] == "registry.status"]


@pytest.mark.parametrize("hang", [False, True])
def test_a_death_is_found_after_two_and_a_half_intervals_on_average_and_three_at_most(hang):
    """V55: interval 10 s, three failures: mean (F - 1/2) I = 25 s, at most 30 s; a timeout more for who hangs."""
    extra = 2.0 if hang else 0.0
    times = [time for seed in range(10) for time in detection(hang, seed)]
    assert len(times) == 400
    assert mean(times) == pytest.approx(25 + extra, rel=0.03)
    assert 20 + extra <= min(times)
    assert max(times) <= 30 + extra + 1e-6


def test_a_cache_adds_up_to_its_age_to_what_callers_notice():
    """V55: with a cache of 8 s a caller learns of it between 0 and 8 s after the registry; a watch learns within milliseconds."""
    delays: dict[str, list[float]] = {"8s": [], "": []}
    for cache, found in delays.items():
        result = run(loads(f"""
name: caches
duration: 70s
registry: {{check: {{interval: 2s, timeout: 1s}} {f', client_cache: {cache}' if cache else ''}}}
services:
  front: {{instances: 100, endpoints: {{GET /: [{{call: back GET /}}]}}}}
  back: {{instances: 2, endpoints: {{GET /: []}}}}
faults: [{{kind: instance.kill, target: {{instance: back-0}}, schedule: {{at: 20s}}}}]
"""), 1)
        views = [event for event in result.events if event["kind"] == "registry.view" and event["node"] == "back" and event["at"] > 20]
        (known,) = [event["at"] for event in views if "caller" not in event]
        found += [event["at"] - known for event in views if "caller" in event]
    assert [len(found) for found in delays.values()] == [100, 100]
    assert mean(delays["8s"]) == pytest.approx(4.0, abs=0.7)
    assert min(delays["8s"]) > 0
    assert max(delays["8s"]) <= 8.01
    assert max(delays[""]) < 0.01


def test_until_it_is_found_out_calls_to_the_dead_are_refused():
    """One of three is killed: a third of the calls fail until the third check, and none after it."""
    with platform(SHOP, registry=FAST) as lab:
        front = lab.client("front")
        lab.instance("back-1").kill()
        assert sorted(lab.ask(front).status for _ in range(30)) == [200] * 20 + [502] * 10
        lab.run(35)
        assert believed(lab) == ["back-0", "back-2"]
        assert {lab.ask(front).status for _ in range(30)} == {200}


def test_without_a_registry_the_dead_are_known_at_once():
    """Perfect discovery, as long as nobody asks for more."""
    with platform(SHOP) as lab:
        lab.instance("back-1").kill()
        assert {lab.ask(lab.client("front")).status for _ in range(30)} == {200}


def test_nobody_healthy_is_an_error_of_its_own():
    """All are dead, and known to be: 503, and the reason is said."""
    with platform(SHOP, registry=FAST) as lab:
        for number in range(3):
            lab.instance(f"back-{number}").kill()
        lab.run(40)
        assert believed(lab) == []
        assert lab.ask(lab.client("front")).status == 503
        last = lab.world.recorder.spans.array()
        assert int(Reason.UNAVAILABLE) in last["status"]


def test_a_check_can_be_wrong():
    """The link from the registry is cut: a service that works well is taken out; and one with a broken endpoint stays in."""
    with platform(SHOP, registry=FAST) as lab:
        with lab.world.link("registry", "back").rule(lambda message: Drop()):
            lab.run(45)
        assert (listed(lab), lab.ask(lab.client("front")).status) == ([], 503)
        lab.run(15)
        assert (sorted(listed(lab)), lab.ask(lab.client("front")).status) == (["back-0", "back-1", "back-2"], 200)


def test_flapping_needs_so_many_successes_before_it_ends():
    """Two successes in a row are asked for: one good check after the third bad one is not enough."""
    check = {"interval": "10s", "timeout": "2s", "failures_before_critical": 1, "success_before_passing": 2}
    with platform(SHOP, registry={"check": check}) as lab:
        back = lab.instance("back-0")
        with back.intercepted(lambda exchange, proceed: back.reply(exchange, Response(500))):
            lab.run(12)
        assert "back-0" not in listed(lab)
        lab.run(8)
        assert "back-0" not in listed(lab)
        lab.run(12)
        assert "back-0" in listed(lab)


# coming and going

def test_a_new_process_registers_and_is_used_after_its_first_good_check():
    """Killed, found out, started again: registered still, and passing with the next check."""
    with platform(SHOP, registry=FAST) as lab:
        back = lab.instance("back-1")
        back.kill()
        lab.run(40)
        back.start()
        lab.run(15)
        assert "back-1" in believed(lab)


def test_who_stops_in_good_order_is_struck_off_at_once():
    """A draining instance says so: no check has to fail, and callers know within two messages and a propagation."""
    with platform(SHOP, registry=FAST) as lab:
        back = lab.instance("back-1")
        back.draining = True
        back.node.changed()
        lab.run(0.1)
        assert believed(lab) == ["back-0", "back-2"]
        assert [event["why"] for event in lab.events("registry.deregistered")] == ["it said so"]


def test_who_is_critical_for_too_long_is_struck_off_by_the_reaper():
    """Critical for a minute, and then the next look: registered anew when it comes back, and passing with its first check."""
    with platform(SHOP, registry={**FAST, "deregister_critical_after": "1m"}) as lab:
        back = lab.instance("back-1")
        back.kill()
        lab.run(150)
        (event,) = lab.events("registry.deregistered")
        assert (event["instance"], event["at"]) in [("back-1", 90.0), ("back-1", 120.0)]
        assert back not in lab.world.registry.catalogue
        back.start()
        lab.run(2)
        assert lab.world.registry.catalogue[back].status.value == "critical"
        (event,) = lab.events("registry.registered")
        assert event["address"].endswith(":8080")
        lab.run(12)
        assert "back-1" in believed(lab)


def test_heartbeats_keep_an_instance_and_their_absence_ends_it():
    """TTL 15 s: alive it stays; killed it is critical within 15 s of its last heartbeat; a paused one too, though its host is up."""
    with platform(SHOP, registry={"check": {"ttl": "15s"}}) as lab:
        lab.run(60)
        assert len(listed(lab)) == 3
        lab.instance("back-0").kill()
        lab.instance("back-1").pause()
        lab.run(9)
        assert len(listed(lab)) == 3
        lab.run(7)
        assert listed(lab) == ["back-2"]
        lab.instance("back-1").resume()
        lab.run(6)
        assert sorted(listed(lab)) == ["back-1", "back-2"]


def test_with_a_time_to_live_nobody_passes_before_a_heartbeat():
    """It starts anew after it was struck off: a heartbeat follows its registration; one that stands still in between stays critical."""
    with platform(SHOP, registry={"check": {"ttl": "15s"}, "deregister_critical_after": "10s", "reap_interval": "2s"}) as lab:
        backs = [lab.instance("back-0"), lab.instance("back-1")]
        for back in backs:
            back.kill()
        lab.run(40)
        assert len(lab.events("registry.deregistered")) == 2
        for back in backs:
            back.start()
        lab.run(1.015)  # start-up, and the registration has come, but not yet its answer
        backs[1].pause()
        lab.run(0.1)
        assert len(lab.events("registry.registered")) == 2
        assert listed(lab) == ["back-2", "back-0"]


# the registry itself

def test_views_live_on_while_the_registry_is_down():
    """It refuses connections; callers go on with what they know. What happens meanwhile is noticed when it is back."""
    with platform(SHOP, registry=FAST) as lab:
        lab.world.registry.down()
        lab.run(1)
        lab.instance("back-1").kill()
        lab.run(60)
        assert believed(lab) == ["back-0", "back-1", "back-2"]
        assert {lab.ask(lab.client("front")).status for _ in range(9)} == {200, 502}
        lab.world.registry.recover()
        lab.run(40)
        assert believed(lab) == ["back-0", "back-2"]


@pytest.mark.parametrize(("cache", "again"), [({}, 5.0), ({"client_cache": "3s"}, 3.0)])
def test_who_comes_while_the_registry_is_down_knows_nobody(cache, again):
    """A new instance asks at once, in vain, and then again; the old one goes on with what it knew. One that comes later is told."""
    shop = {**SHOP, "front": {**SHOP["front"], "startup": "1s"}}
    with platform(shop, registry={**FAST, **cache}) as lab:
        front = lab.world.node("front")
        lab.world.registry.down()
        front.add_instance()
        lab.run(2)
        assert (len(believed(lab)), believed(lab, "front-1")) == (3, [])
        lab.world.registry.recover()
        lab.run(again)
        assert len(believed(lab, "front-1")) == 3
        front.add_instance()
        assert len(believed(lab, "front-2")) == 3


def test_a_view_that_is_too_old_is_given_up():
    """stale_if_error 20 s: after that the caller would rather have nobody than somebody who may be gone."""
    with platform(SHOP, registry={**FAST, "client_cache": "5s", "stale_if_error": "20s"}) as lab:
        lab.world.registry.down()
        lab.run(19)
        assert len(believed(lab)) == 3
        lab.run(7)
        assert believed(lab) == []
        assert lab.ask(lab.client("front")).status == 503
        lab.world.registry.recover()
        lab.run(10)
        assert len(believed(lab)) == 3


def test_a_stale_registry_answers_what_it_knew():
    """Frozen, it goes on checking but tells nobody; thawed, all is told at once."""
    with platform(SHOP, registry=FAST) as lab:
        lab.world.registry.freeze()
        lab.instance("back-1").kill()
        lab.run(60)
        assert len(believed(lab)) == 3
        lab.world.registry.thaw()
        lab.run(0.1)
        assert believed(lab) == ["back-0", "back-2"]


def test_news_takes_as_long_as_it_spreads():
    """A propagation of 3 s, and 2 s of lag on top: the caller learns 5 s after the check."""
    with platform(SHOP, registry={**FAST, "propagation": "3s"}) as lab:
        lab.world.registry.set_lag(2.0)
        lab.instance("back-1").kill()
        lab.run(60)
        (status,) = [event["at"] for event in lab.events("registry.status")]
        (view,) = [event["at"] for event in lab.events("registry.view") if event.get("caller") == "front-0" and event["at"] > 0]
        assert view - status == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize(("propagation", "lag"), [("0s", 20.0), ("20s", 0.0), ("15s", 5.0)])
def test_each_change_takes_all_of_the_time_that_it_spreads(propagation, lag):
    """Two die 5 s apart, and news take 20 s: the second is not seen with the first, but 5 s after it."""
    with platform(SHOP, registry={**FAST, "propagation": propagation}) as lab:
        lab.world.registry.set_lag(lag)
        lab.instance("back-1").kill()
        lab.run(5)
        lab.instance("back-2").kill()
        lab.run(60)
        turned = [event["at"] for event in lab.events("registry.status")]
        views = [event for event in lab.events("registry.view") if event.get("caller") == "front-0" and event["at"] > 0]
        assert [event["at"] - at for event, at in zip(views, turned, strict=True)] == pytest.approx([20, 20], abs=0.1)
        assert [len(event["instances"]) for event in views] == [2, 1]


def test_the_registrys_view_is_a_gauge_beside_the_truth():
    """Of each instance whether it is listed, of each service how many: sampled like every other level."""
    result = run(loads("""
name: gauges
duration: 60s
registry: {check: {interval: 2s, timeout: 1s}}
services: {back: {instances: 2, endpoints: {GET /: []}}}
faults: [{kind: instance.kill, target: {instance: back-0}, schedule: {at: 20s}}]
"""), 1)
    assert [result.series("back", "registry_view").max[index] for index in (0, -1)] == [2, 1]
    gone = result.series("back", "registry_view", "back-0")
    assert 24 <= gone.at[gone.max == 1].max() <= 27
    assert [event["kind"] for event in result.events if event.get("instance") == "back-0"][:2] == ["instance.down", "registry.status"]


WRONG = [
    ({"check": {"ttl": "15s", "interval": "7s"}}, "`interval` is of checks that ask", "leave one"),
    ({"check": {"path": "health"}}, "should be a path that begins with '/', not 'health'", "'/health'"),
    ({"client_cache": 5}, "a duration needs a unit", "'5s'"),
    ({"deregister_critical_after": "0s"}, "more than 0", ""),
]


@pytest.mark.parametrize(("spec", "what", "cure"), WRONG, ids=[what for _, what, _ in WRONG])
def test_mistakes_are_told_with_their_cure(spec, what, cure):
    """Before anything runs."""
    with pytest.raises(ValidationError) as caught:
        RegistrySpec.model_validate(spec)
    (mistake,) = mistakes(caught.value)
    assert what in mistake.what
    assert cure in mistake.cure


# /health

def test_health_runs_all_named_checks_and_says_what_is_wrong():
    """The database answers, the other service does not: unhealthy, with a message for each."""
    services = {"orders": {"endpoints": {"GET /": []}, "health": {"timeout": "1s", "checks": {
        "database": [{"query": "orders-db"}], "payments": [{"call": "payments GET /health"}]}}},
        "payments": {"endpoints": {"GET /": []}}, "orders-db": {"kind": "database"}}
    with platform(services) as lab:
        client = lab.client("orders")
        well = lab.ask(client, path="/health")
        assert (well.status, well.json["status"]) == (200, "healthy")
        lab.instance("payments-0").kill()
        ill = lab.ask(client, path="/health")
        assert ill.status == 503
        assert ill.json["checks"] == {"database": {"status": "healthy", "message": "ok"},
                                      "payments": {"status": "unhealthy", "message": "status 503"}}
        lab.instance("orders-db-0").pause()
        assert lab.ask(client, path="/health").json["checks"]["database"]["message"] == "no answer within 1 s"


def test_every_service_answers_for_its_health():
    """Services with and without endpoints, and gateways: 200, unless they say otherwise."""
    services = {"plain": {"endpoints": {"GET /": []}}, "open": {}, "gate": {"kind": "gateway", "routes": [{"path": "/x", "to": "plain"}]}}
    with platform(services) as lab:
        assert [lab.ask(lab.client(name), path="/health").status for name in services] == [200, 200, 200]


def test_deep_checks_take_out_one_service_after_the_other():
    """Each health asks the next: one database that hangs makes the registry empty from the back to the front."""
    services = {
        "front": {"endpoints": {"GET /": []}, "health": {"checks": {"middle": [{"call": "middle GET /health"}]}}},
        "middle": {"endpoints": {"GET /": []}, "health": {"checks": {"back": [{"call": "back GET /health"}]}}},
        "back": {"endpoints": {"GET /": []}, "health": {"checks": {"database": [{"query": "db"}]}}},
        "db": {"kind": "database"},
    }
    with platform(services, registry={"check": {"interval": "5s", "timeout": "2s"}}) as lab:
        lab.run(20)
        assert [len(listed(lab, name)) for name in ("front", "middle", "back")] == [1, 1, 1]
        lab.instance("db-0").pause()
        lab.run(40)
        assert [len(listed(lab, name)) for name in ("front", "middle", "back")] == [0, 0, 0]
