"""Admission on the serving side: who is turned away at a node's door, with which answer, and what that is good for."""

from collections import Counter

import numpy as np
import pytest

from sim import loads, run
from sim.telemetry.codes import SpanKind

WORLD = """
name: door
duration: {duration}s
network: {{default: {{latency: 0ms}}}}
services:
  server:
    workers: 2
{server}
    endpoints: {{GET /: [{{work: {work}}}]}}
workloads:
  users: {{executor: constant-arrival-rate, rate: {rate}/s, to: server{users}, mix: {mix}}}
"""


def simulate(server, *, rate, work="{exponential: 20ms}", users="", mix="[{send: GET /}]", duration=30):
    """Users at *rate* before a server with two workers; its other fields are lines of YAML."""
    lines = "\n".join(f"    {line}" for line in server)
    return run(loads(WORLD.format(server=lines, work=work, rate=rate, users=users, mix=mix, duration=duration)))


def users(result):
    return result.summary["workloads"]["users"]


def server(result):
    return result.summary["services"]["server"]


def refusals(result):
    return Counter(event["by"] for event in result.events if event["kind"] == "admission.rejected")


def waits(result):
    """Seconds that served requests waited for a worker."""
    spans = result.spans.of(SpanKind.SERVER)
    return spans[spans.status == 200].queued


def test_beyond_the_rate_it_is_429_with_the_time_to_come_back():
    """150 a second for 100: a third is refused; users, summary and events count the same, and each refusal says when to come back."""
    result = simulate(["admission: {rate_limiter: {rate: 100/s, burst: 10}}"], rate=150, work="1ms")
    refused = users(result)["by_status"]["429"]
    assert refused == pytest.approx(50 * 30, rel=0.15)
    assert users(result)["rejected"] == server(result)["rejected"] == refused
    assert server(result)["admission"] == refusals(result) == {"rate_limiter": refused}
    assert all(0 < event["retry_after"] <= 0.01 + 1e-9 for event in result.events if event["kind"] == "admission.rejected")


def test_a_retry_waits_as_long_as_the_refusal_says():
    """One every 2 s, asked for twice at once: the second comes back after exactly 2 s and not after its own 10 ms."""
    policies = ", policies: [{retry: {max_attempts: 2, backoff: 10ms}}], arrivals: batch, batch_size: 2, batch_sizes: fixed"
    result = simulate(["admission: {rate_limiter: {rate: 0.5/s, burst: 1}}"], rate=0.001, work="1ms", users=policies, duration=4000)
    assert users(result)["by_status"] == {"200": users(result)["started"]}
    assert set(np.round(result.requests.latency, 6)) == {0.001, 2.001}


def test_the_important_get_in_under_overload():
    """Twice as much as can be served, half of it important: all of that is served, and hardly any of the rest."""
    mix = "[{send: GET /, priority: 400}, {send: GET /, priority: 0}]"
    result = simulate(["admission: {load_shedder: {priority: {target: 20ms}}}"], rate=190, mix=mix, duration=120)
    late = result.spans.of(SpanKind.SERVER)
    late = late[late.start > 60]  # by then the threshold has found its place
    assert server(result)["admission"].keys() == {"priority"}
    served = (late.status == 200).sum() / 60
    assert 75 < served < 100  # one class fills it; the lower one gets what is left
    shed = [event["at"] for event in result.events if event["kind"] == "admission.rejected"]
    assert 60 < sum(at > 60 for at in shed) / 60 < 115


def test_priorities_decide_who_is_shed():
    """Important users and others, together twice the capacity: the important lose nearly nothing, the others nearly everything."""
    text = WORLD.format(server="    admission: {load_shedder: priority}", work="{exponential: 20ms}", rate=60, users="", duration=120,
                        mix="[{send: GET /, priority: 400}]")
    text += "  batch: {executor: constant-arrival-rate, rate: 140/s, to: server, mix: [{send: GET /, priority: 100}]}\n"
    result = run(loads(text.replace("duration: 120s", "duration: 120s\nwarmup: 60s")))
    assert users(result)["success_ratio"] > 0.99
    assert result.summary["workloads"]["batch"]["success_ratio"] < 0.5


def test_codel_keeps_the_wait_short_where_a_plain_queue_stands():
    """At 1.5 times the capacity: a queue of 100 waits for about a second, CoDel's for some tens of ms; it serves nearly as many."""
    plain = simulate(["queue: {limit: 100}"], rate=150)
    codel = simulate(["queue: {limit: 100, order: codel}"], rate=150)
    assert np.median(waits(plain)) > 0.9
    assert np.median(waits(codel)) < 0.05 and waits(codel).max() < 0.3
    assert users(codel)["ok"] == pytest.approx(users(plain)["ok"], rel=0.1)
    assert server(codel)["admission"] == {"codel": users(codel)["rejected"]}


def test_codel_lets_a_burst_pass():
    """Twenty at once, 10 ms each, every other second: the last waits 90 ms, which a queue that does not stand may do."""
    burst = ", arrivals: batch, batch_size: 20, batch_sizes: fixed"
    result = simulate(["queue: {order: codel}"], rate=2, work="8ms", users=burst, duration=100)
    assert users(result)["started"] > 100
    assert users(result)["rejected"] < 0.05 * users(result)["started"]


def test_a_queue_in_the_order_codel_takes_its_settings_from_admission():
    """A target of ten seconds sheds nothing."""
    admission = "admission: {load_shedder: {codel: {target: 10s}}}"
    assert refusals(simulate(["queue: {limit: 100, order: codel}", admission], rate=150)) == {}


def test_what_nobody_waits_for_any_more_is_not_served():
    """Users with a deadline of 250 ms before a queue of a second: all work is for nobody. To drop what has expired is not enough, since
    what is served then has hardly any time left; to drop what has less left than the work takes is (reference, V65)."""
    good = {}
    for needed in (None, "0ms", "60ms"):
        admission = [] if needed is None else [f"admission: {{load_shedder: {{drop_expired: {{needed: {needed}}}}}}}"]
        result = simulate(["queue: {limit: 100}", *admission], rate=150, users=", policies: [{deadline: 250ms}]")
        good[needed] = users(result)["ok"] / (100 * 30)
    assert good[None] < 0.1 and 0.1 < good["0ms"] < 0.6 and good["60ms"] > 0.85


TIERS = """
name: tiers
duration: 20s
network: {{default: {{latency: 1ms}}}}
services:
  front: {{workers: 500, endpoints: {{GET /: [{{call: middle GET /}}]}}}}
  middle: {{kind: gateway, routes: [{{path: /*, to: back}}]}}
  back:
    workers: 1
    queue: {{limit: 1000}}
    admission: {{load_shedder: {{drop_expired: {{needed: {needed}}}}}}}
    endpoints: {{GET /: [{{work: 20ms}}]}}
workloads:
  users: {{executor: constant-arrival-rate, rate: 80/s, arrivals: uniform, to: front, policies: {policies}, mix: [{{send: GET /}}]}}
"""


@pytest.mark.parametrize(("policies", "shed"), [("[{deadline: 200ms}]", True), ("[{timeout: {duration: 200ms, hand_on: true}}]", True),
                                                ("[{timeout: 200ms}]", False)])
def test_the_deadline_crosses_two_services(policies, shed):
    """It is stated by the users and counts at the third; a plain timeout tells nobody, unless it hands its limit on."""
    result = run(loads(TIERS.format(policies=policies, needed="0ms")))
    assert (result.summary["services"]["back"]["rejected"] > 400) == shed


def test_what_cannot_be_answered_in_time_is_not_begun():
    """20 ms of work for those who have more than 25 ms left: nothing is done in vain, and half of the users are served."""
    result = run(loads(TIERS.format(policies="[{deadline: 200ms}]", needed="25ms")))
    back = result.summary["services"]["back"]
    assert back["wasted_work_ratio"] == 0 and back["utilisation"] > 0.98
    assert users(result)["ok"] == pytest.approx(50 * 20, rel=0.05)


@pytest.mark.parametrize(("kind", "step"), [
    ("gateway, routes: [{path: /*, to: behind}]", "call: node GET /"), ("database, query: 1ms", "query: node"),
    ("external, latency: 1ms", "call: node GET /"),
])
def test_every_kind_of_node_may_have_a_door(kind, step):
    """A gateway, a database, somebody else's service: one of two requests a second."""
    text = f"""
name: kinds
duration: 20.9s
services:
  front: {{endpoints: {{GET /: [{{{step}}}]}}}}
  node: {{kind: {kind}, admission: {{rate_limiter: {{rate: 1/s}}}}}}
  behind: {{}}
workloads: {{users: {{rate: 2/s, arrivals: uniform, to: front, mix: [{{send: GET /}}]}}}}
"""
    assert users(run(loads(text)))["by_status"] == {"200": 21, "429": 20}


def test_a_restarted_instance_has_a_new_door():
    """One token an hour; after the restart it is there again."""
    text = WORLD.format(server="    admission: {rate_limiter: {rate: 1/h}}", work="1ms", rate=2, users=", arrivals: uniform", duration=20,
                        mix="[{send: GET /}]")
    faults = "faults: [{kind: instance.kill, target: {service: server}, schedule: {at: 10s}, restart_after: 1s}]\n"
    assert users(run(loads(text)))["ok"] == 1
    assert users(run(loads(text + faults)))["ok"] == 2
