"""Faults of brokers, of the registry and of names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.scenario.trial import check_faults
from sim.telemetry.codes import Reason, SpanKind

EVENTS = {"service": "events"}


def shop(*faults: dict[str, Any], delivery: str = "at_least_once", checks: Sequence[dict[str, Any]] = (), **broker: Any):
    """100 orders a second are published for 10 s; two mailers of 20 ms take them. A fault lasts from 4 s to 6 s."""
    if delivery == "at_least_once":
        broker = {"ack_wait": "500ms", "max_deliver": 4, "redelivery_delay": "100ms", **broker}
    return run(Scenario.model_validate({
        "name": "shop", "duration": "20s", "network": {"default": {"latency": "1ms"}},
        "services": {
            "orders": {"endpoints": {"POST /orders": [{"publish": "order.created"}]}},
            "mailer": {"instances": 2, "subscribe": {"order.*": [{"work": "20ms"}]}},
            "events": {"kind": "broker", "delivery": delivery, **broker},
        },
        "workloads": {"users": {"executor": "ramping-arrival-rate", "arrivals": "uniform", "start_rate": "100/s", "to": "orders",
                                "timeout": "1s", "stages": [{"duration": "10s", "target": "100/s"}, {"duration": "1ms", "target": "0/s"}],
                                "mix": [{"send": "POST /orders"}]}},
        "faults": [{"schedule": {"at": "4s", "for": "2s"}, **fault} for fault in faults], "checks": list(checks),
    }))


def group(result):
    """What became of the messages."""
    return result.summary["brokers"]["events"]["groups"]["mailer"]


def handled(result):
    return int((result.spans.of(SpanKind.CONSUMER).status > 0).sum())


def test_a_stream_that_was_down_keeps_what_it_has_and_publishers_are_told():
    """Two seconds of orders fail; everything that was stored is handled in the end."""
    result = shop({"kind": "broker.down", "target": EVENTS})
    failed = result.summary["requests"]["failed"]
    assert failed == pytest.approx(200, abs=3)
    assert group(result)["acked"] == group(result)["offered"] == result.summary["requests"]["ok"]
    assert group(result)["lag"] == 0
    assert not result.summary["warnings"]


def test_at_most_once_nobody_is_told_and_the_messages_are_gone():
    """The orders succeed, and two seconds of mails are never sent."""
    result = shop({"kind": "broker.down", "target": EVENTS}, delivery="at_most_once")
    assert result.summary["requests"]["failed"] == 0
    assert group(result)["handled"] == pytest.approx(result.summary["requests"]["ok"] - 200, abs=5)


def test_slow_consumers_let_the_lag_grow():
    """Deliveries that take 5 s longer, 32 at a time: nearly all of two seconds of messages waits, and drains afterwards."""
    calm, slow = shop(), shop({"kind": "broker.slow_consumer", "target": EVENTS, "delay": "5s"}, ack_wait="30s")
    assert group(calm)["lag_max"] < 10
    assert group(slow)["lag_max"] > 150
    assert group(slow)["lag"] == 0
    assert group(slow)["acked"] == group(slow)["offered"]


def test_who_subscribes_while_consumers_are_slow_is_slow_too():
    """At 20 messages a second and 300 ms for each, six are under way."""
    late = run(Scenario.model_validate({
        "name": "late", "duration": "3s",
        "services": {"orders": {"endpoints": {"POST /orders": [{"publish": "order.created"}]}},
                     "mailer": {"workers": 10, "subscribe": {"order.*": {"start_after": "1s", "do": [{"work": "1ms"}]}}},
                     "events": {"kind": "broker"}},
        "workloads": {"users": {"rate": "20/s", "arrivals": "uniform", "to": "orders", "mix": [{"send": "POST /orders"}]}},
        "faults": [{"kind": "broker.slow_consumer", "target": EVENTS, "consumer": "mailer", "delay": "300ms", "schedule": {"at": "500ms"}}],
    }))
    assert group(late)["lag_max"] == pytest.approx(6, abs=1)
    assert [fault.targets for fault in late.faults] == [("events->mailer",)]


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_slow_consumers_go_on_when_the_fault_ends(delivery):
    """However slow they were: what they were at is done, and all that has waited."""
    slow = {"kind": "broker.slow_consumer", "target": EVENTS, "delay": "1h", "schedule": {"at": "4s", "for": "1s"}}
    result = shop(slow, delivery=delivery)
    assert (group(result)["lag"], group(result)["lag_max"]) == (0, pytest.approx(100, abs=3))


def test_lost_acknowledgements_make_messages_be_handled_twice():
    """Of two seconds of acknowledgements all are lost: each message of that time goes out again when its time is over."""
    result = shop({"kind": "broker.redeliver", "target": EVENTS}, ack_wait="3s")
    assert group(result)["redeliveries"] == pytest.approx(200, abs=3)
    assert group(result)["acked"] == group(result)["offered"]


def test_poison_ends_as_dead_letters_after_max_deliver():
    """A tenth of two seconds of messages fails four times each; the others are not held up."""
    result = shop({"kind": "broker.poison", "target": EVENTS, "probability": "10%", "subject": "order.created"})
    dead = group(result)["dead_lettered"]
    assert dead == pytest.approx(20, abs=12)
    assert group(result)["deliveries"] == group(result)["offered"] + 3 * dead
    assert group(result)["acked"] == group(result)["offered"] - dead


def test_a_consumer_of_another_broker_is_a_mistake():
    """The mailer takes its messages elsewhere."""
    scenario = Scenario.model_validate({
        "name": "two", "duration": "1s",
        "services": {"mailer": {"subscribe": {"order.*": {"at": "events", "do": [{"work": "1ms"}]}}},
                     "events": {"kind": "broker"}, "other": {"kind": "broker"}},
        "faults": [{"kind": "broker.slow_consumer", "target": {"service": broker}, "consumer": "mailer", "delay": "1s"}
                   for broker in ("events", "other")],
    })
    (mistake,) = check_faults(scenario)
    assert (mistake.loc, mistake.what) == (("faults", 1, "consumer"), "'other' has no consumer 'mailer'")


def test_poison_on_a_subject_that_nobody_uses_is_a_warning():
    """It says so."""
    (warning,) = shop({"kind": "broker.poison", "target": EVENTS, "subject": "payment.*"}).summary["warnings"]
    assert "no message on payment.*" in warning["why"]


def test_two_poisons_and_their_healing():
    """They overlap, and after both everything is handled."""
    one = {"kind": "broker.poison", "name": "one", "target": EVENTS, "probability": "10%"}
    two = {"kind": "broker.poison", "name": "two", "target": EVENTS, "probability": "50%", "schedule": {"at": "5s", "for": "3s"}}
    result = shop(one, two)
    assert group(result)["dead_lettered"] == pytest.approx(0.1 * 100 + (1 - 0.9 * 0.5) * 100 + 0.5 * 200, abs=30)
    assert group(result)["lag"] == 0


def test_lag_and_losses_are_measures():
    """Of a broker: what is not settled, on average and at most, and what nobody will ever handle."""
    slow = {"kind": "broker.slow_consumer", "target": EVENTS, "delay": "5s"}
    down = {"kind": "broker.down", "target": EVENTS, "schedule": {"at": "12s", "for": "1s"}}
    checks = [{"name": "lag", "measure": "lag", "of": "events", "at_most": 5, "from": "4s", "until": "8s"},
              {"name": "most", "measure": "lag.max", "of": "events", "at_most": 5},
              {"name": "lost", "measure": "lost_messages", "of": "events", "at_most": 0}]
    found = {check["name"]: check["measured"] for check in shop(slow, ack_wait="30s", checks=checks).summary["checks"]}
    assert found["lag"] > 50
    assert found["most"] > 150
    assert found["lost"] == 0
    (lost,) = shop({**down, "schedule": {"at": "4s", "for": "2s"}}, delivery="at_most_once", checks=checks[2:]).summary["checks"]
    assert lost["measured"] == pytest.approx(200, abs=5)


def found(*faults: dict[str, Any], **registry: Any):
    """100 requests a second to three instances of a service that a registry checks each second; a fault lasts from 4 s to 8 s."""
    return run(Scenario.model_validate({
        "name": "found", "duration": "16s", "network": {"default": {"latency": "1ms"}},
        "registry": {"check": {"interval": "1s", "timeout": "500ms", "failures_before_critical": 2}, **registry},
        "services": {"front": {"workers": 100, "endpoints": {"GET /": [{"call": "back GET /"}]},
                               "uses": {"back": {"policies": [{"timeout": "300ms"}]}}},
                     "back": {"instances": 3, "endpoints": {"GET /": [{"work": "5ms"}]}}},
        "workloads": {"users": {"rate": "100/s", "arrivals": "uniform", "to": "front", "timeout": "1s", "mix": [{"send": "GET /"}]}},
        "faults": [{"schedule": {"at": "4s", "for": "4s"}, **fault} for fault in faults],
    }))


def success(result, start, until):
    rows = result.requests[(result.requests.intended >= start) & (result.requests.intended < until)]
    return float((rows.outcome == 0).mean())


KILL = {"kind": "instance.kill", "name": "kill", "target": {"instance": "back-1"}}


def test_without_a_fault_of_the_registry_a_dead_instance_is_found_out():
    """A third of the calls fails for one to two seconds, the time of two failed checks."""
    result = found(KILL)
    assert success(result, 4.1, 4.9) == pytest.approx(2 / 3, abs=0.02)
    assert success(result, 6.2, 7.9) == 1


def test_one_that_is_told_before_it_is_killed_signs_off():
    """The registry and its watchers know at once, where a kill without warning is found out by two failed checks."""
    result = found({**KILL, "grace": "1s"})
    assert success(result, 4.0, 7.9) > 0.99
    assert success(result, 9.0, 15.9) == 1


@pytest.mark.parametrize("fault", [{"kind": "registry.down"}, {"kind": "registry.stale"}, {"kind": "registry.stale", "lag": "30s"}])
def test_callers_of_a_registry_that_is_gone_or_behind_go_on_with_what_they_knew(fault):
    """The dead instance is called until it is back."""
    result = found(KILL, {**fault, "schedule": {"at": "3500ms", "for": "4500ms"}})
    assert success(result, 4.1, 7.8) == pytest.approx(2 / 3, abs=0.02)
    assert success(result, 12, 15.9) == 1
    assert not result.summary["warnings"]


def test_a_lag_delays_what_is_seen_by_itself():
    """One second more until the dead instance is left out."""
    result = found(KILL, {"kind": "registry.stale", "lag": "1s", "schedule": {"at": "3s", "for": "5s"}})
    assert success(result, 4.1, 6.4) == pytest.approx(2 / 3, abs=0.02)
    assert success(result, 7.5, 7.9) == 1


def test_what_a_lag_holds_back_is_seen_when_the_fault_ends():
    """However long the lag: callers leave out the instance that is still dead."""
    dead = {**KILL, "schedule": {"at": "4s", "for": "8s"}}
    result = found(dead, {"kind": "registry.stale", "lag": "1h", "schedule": {"at": "3s", "for": "5s"}})
    assert success(result, 4.1, 7.9) == pytest.approx(2 / 3, abs=0.02)
    assert success(result, 8.1, 11.9) == 1


def test_names_that_do_not_resolve():
    """Half of the calls fails at once as one that was never sent; nothing reaches the service."""
    result = found({"kind": "dns.error", "target": {"link": "front->back"}, "probability": "50%", "after": "20ms"})
    assert success(result, 4.1, 7.9) == pytest.approx(0.5, abs=0.06)
    failed = result.spans.of(SpanKind.CLIENT)
    failed = failed[failed.status == Reason.CONNECT]
    assert len(failed) == pytest.approx(200, abs=25)
    assert failed.duration.max() == pytest.approx(0.02)
    assert success(result, 8.1, 15.9) == 1


@pytest.mark.parametrize("target", [{"link": "registry->back", "direction": "both"},
                                    {"from": {"service": "registry"}, "to": {"service": "back"}, "direction": "both"}])
def test_a_registry_that_is_cut_off_from_all_takes_them_for_dead(target):
    """It can be named as one end like any service: all are critical after two checks, and there is nobody left to call."""
    result = found({"kind": "network.partition", "target": target, "how": "reject"})
    assert success(result, 4.1, 4.9) == 1
    assert success(result, 6.2, 7.9) == 0
    assert success(result, 10, 15.9) == 1


def test_one_of_three_registries_may_die_and_two_go_on():
    """The next one runs the checks and answers queries: the dead instance is found out as ever, once a broken query is made again."""
    first = {"kind": "instance.kill", "target": {"instance": "registry-0"}, "schedule": {"at": "500ms", "for": "8s"}}
    another = {"kind": "instance.pause", "target": {"service": "registry", "mode": "one"}, "schedule": {"at": "10s", "for": "2s"}}
    result = found(first, another, KILL, instances=3)
    assert success(result, 4.1, 4.9) == pytest.approx(2 / 3, abs=0.02)
    assert success(result, 6.5, 7.9) == 1
    assert not result.summary["warnings"]


def test_a_registry_fault_needs_a_registry():
    """Else it is a mistake, with the cure."""
    from sim.errors import InvalidInput

    with pytest.raises(InvalidInput, match="no registry"):
        shop({"kind": "registry.down"})
