"""How much is lost while something is down: alone, in series, one of several, and until somebody notices (V52, V54, V60)."""

import math

import pytest

from .runs import of, simulate


def asked(services: str, faults: str = "", *, rate: float = 200, duration: float = 20, more: str = "") -> str:
    """A front with *services* behind it, and users."""
    return f"""
name: availability
duration: {duration}s
network: {{default: {{latency: 0ms}}}}
{more}
services:
{services}
workloads: {{users: {{rate: {rate}/s, arrivals: uniform, to: front, mix: [{{send: GET /}}]}}}}
faults: [{faults}]
"""


FAILING = "\n".join(f"  d{number}: {{workers: 1000, endpoints: {{GET /: [{{fail: 10%}}]}}}}" for number in range(3))


@pytest.mark.parametrize(("steps", "expected"), [
    ("{call: d0 GET /}, {call: d1 GET /}, {call: d2 GET /}", 0.9**3),
    ("{parallel: [[{call: d0 GET /}], [{call: d1 GET /}], [{call: d2 GET /}]], quorum: 2}", 0.9**3 + 3 * 0.9**2 * 0.1),
    ("{parallel: [[{call: d0 GET /}], [{call: d1 GET /}], [{call: d2 GET /}]], quorum: 1}", 1 - 0.1**3),
    ("{call: d0 GET /, optional: true}, {call: d1 GET /}", 0.9),
])
def test_v60_series_multiply_and_a_quorum_forgives(steps, expected):
    """Three dependencies of 90 % each: all of them 72.9 %, two of three 97.2 %, any of them 99.9 %; one that is optional costs nothing."""
    text = asked(f"  front: {{workers: 1000, endpoints: {{GET /: [{steps}]}}}}\n{FAILING}", duration=8)
    assert of(simulate(text), "workloads", "users", "success_ratio") == pytest.approx(expected, abs=0.02)


def outages(name: str) -> str:
    """One a minute, of 10 s on average, of any length and at any time: also while the last one is not over."""
    return (f"{{name: {name}, kind: instance.kill, target: {{instance: {name}}}, "
            "schedule: {random: {rate: 1/min, for: {exponential: 10s}}}}")


@pytest.mark.validate
def test_v60_two_that_fail_by_themselves_are_hardly_ever_down_together():
    """One is up for exp(-10/60) of the time, as an M/G/inf is empty; of two, one is for 1 - (1 - exp(-10/60))²."""
    up = math.exp(-10 / 60)
    front = "  front: {workers: 1000, endpoints: {GET /: [{call: back GET /}]}}\n"
    for instances, expected, tolerance in ((1, up, 0.015), (2, 1 - (1 - up) ** 2, 0.008)):
        back = f"  back: {{instances: {instances}, workers: 1000, endpoints: {{GET /: []}}}}"
        faults = ", ".join(outages(f"back-{number}") for number in range(instances))
        results = [simulate(asked(front + back, faults, rate=1, duration=20_000), seed) for seed in (1, 2, 3)]
        found = sum(of(result, "workloads", "users", "success_ratio") for result in results) / 3
        assert found == pytest.approx(expected, abs=tolerance)


FOUR = """
  front: {{workers: 1000, uses: {{back: {{policies: [{policies}]{more}}}}}, endpoints: {{GET /: [{{call: back GET /}}]}}}}
  back: {{instances: 4, workers: 1000, endpoints: {{GET /: [{{work: 1ms}}]}}}}"""
REGISTRY = "registry: {check: {interval: 10s, timeout: 5s, failures_before_critical: 3}}"


@pytest.mark.parametrize(("policies", "lost"), [("", 1 / 4), ("retry: {max_attempts: 2, backoff: 0ms}", 0.0)])
def test_v54_until_it_is_noticed_a_dead_instance_gets_its_share(policies, lost):
    """One of four, dead at 20 s and found out between 20 and 30 s later; to try again elsewhere hides it."""
    fault = "{kind: instance.kill, target: {instance: back-0}, schedule: {at: 20s}}"
    requests = simulate(asked(FOUR.format(policies=policies, more=""), fault, rate=20, duration=52, more=REGISTRY)).requests
    unnoticed, after = (requests.outcome[(requests.intended >= start) & (requests.intended < end)] == 2 for start, end in ((20, 40), (50, 52)))
    assert float(unnoticed.mean()) == pytest.approx(lost, abs=0.01)
    assert not after.any()


def test_v56_an_ejection_costs_five_errors_each_time():
    """Five in a row eject it, for 30, 60 and 90 s: so many more fail each time it is back, and nothing does in between."""
    fault = "{kind: http.abort, target: {instance: back-0}, schedule: {at: 5s}, status: 500}"
    detection = ", outlier_detection: {consecutive_5xx: 5, interval: 10s, base_ejection_time: 30s, max_ejection: 50%}"
    requests = simulate(asked(FOUR.format(policies="", more=detection), fault, rate=20, duration=230)).requests
    failed = requests.intended[requests.outcome == 2]
    assert len(failed) == 4 * 5
    assert failed[::5] == pytest.approx([5, 36, 97, 189], abs=3)
    assert (failed[4::5] - failed[::5]).max() < 1


@pytest.mark.parametrize(("policies", "good"), [
    ("", 2 / 3), ("circuit_breaker: {sliding_window: {calls: 20}, minimum_number_of_calls: 20, failure_rate_threshold: 25%}", 0.02),
])
def test_v52_one_breaker_before_all_shards_makes_a_total_outage_of_a_partial_one(policies, good):
    """One of three shards is down. Source: Brooker, Will circuit breakers solve my problems?, 2022."""
    services = f"""
  front: {{workers: 1000, uses: {{store: {{balancer: ring_hash, policies: [{policies}]}}}}, endpoints: {{GET /: [{{call: store, key: {{uniform: 1000}}}}]}}}}
  store: {{instances: 3, workers: 1000, endpoints: {{GET /: [{{work: 1ms}}]}}}}"""
    fault = "{kind: http.abort, target: {instance: store-0}, schedule: {at: 1s}, status: 503}"
    requests = simulate(asked(services, fault, rate=100, duration=16)).requests
    assert float((requests.outcome[requests.intended > 3] == 0).mean()) == pytest.approx(good, abs=0.06)
