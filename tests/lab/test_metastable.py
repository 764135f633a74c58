"""Metastable failures as experiments: V61 to V67 of the validation cases, with the right verdict.

30 servers of 100 ms (300/s), an unbounded queue, callers with 1 s of patience, a stop of 10 s in which requests queue up
(Bronson et al., HotOS 2021). Load comes back to normal; the question is whether the system does.
"""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario

STOP = {"name": "stop", "kind": "instance.pause", "target": {"service": "api"}, "schedule": {"at": "20s", "for": "10s"}}
RETRY = {"retry": {"max_attempts": 2, "backoff": {"initial": "1us", "max": "1us", "jitter": "none"}}}
TIMEOUT = {"timeout": "1s"}


def experiment(rate, *policies, duration=100, **service):
    """(verdict, goodput at 40 to 70 s after the stop as a share of what was offered, recovery time, metastable)."""
    after = {"of": "users", "from": "70s", "until": f"{min(duration - 2, 100)}s"}
    result = run(Scenario.model_validate({
        "name": "metastable", "duration": f"{duration}s", "warmup": "5s", "network": {"default": {"latency": "0ms"}},
        "services": {"api": {"workers": 30, "queue": {"limit": 10_000_000}, **service,
                             "endpoints": {"GET /": [{"work": {"exponential": "100ms"}}]}}},
        "workloads": {"users": {"rate": f"{rate}/s", "to": "api", "policies": list(policies), "mix": [{"send": "GET /"}]}},
        "steady_state": [{"name": "well", "measure": "success_ratio", "of": "users", "at_least": "95%"}],
        "checks": [{"measure": "metastable", "at_most": 0}, {"measure": "recovery_time", "at_most": "5m"},
                   {"name": "goodput", "measure": "goodput", "at_least": f"{rate * 0.9}/s", **after}],
        "faults": [STOP],
    }))
    found = {check["name"]: check["measured"] for check in result.summary["checks"]}
    return result.summary["verdict"], found["goodput"] / rate, found["recovery_time"], found["metastable"]


@pytest.mark.validate
def test_one_retry_keeps_the_failure_alive_above_half_the_capacity():
    """V61: at 280/s the load becomes 560/s and the goodput stays at nothing; at 110/s, below half of 300/s, it comes back."""
    assert experiment(280, RETRY, TIMEOUT, duration=80) == ("fail", pytest.approx(0, abs=0.02), None, 1.0)
    verdict, goodput, recovery, metastable = experiment(110, RETRY, TIMEOUT)
    assert (verdict, metastable) == ("fail", 0.0)  # the steady state did not hold during the stop
    assert goodput == pytest.approx(1, abs=0.02)
    assert recovery < 50


@pytest.mark.parametrize("rate", [150, pytest.param(200, marks=pytest.mark.validate), pytest.param(240, marks=pytest.mark.validate)])
def test_without_retries_it_is_slow_and_not_metastable(rate):
    """V63: the queue drains by itself: (10 lambda - 300) / (300 - lambda) seconds."""
    verdict, _, recovery, metastable = experiment(rate, TIMEOUT)
    assert (verdict, metastable) == ("fail", 0.0)
    assert recovery == pytest.approx((10 * rate - 300) / (300 - rate), rel=0.2)


def test_a_queue_that_still_drains_at_the_end_is_not_metastable():
    """V63 at 280/s takes 125 s to recover; after 50 s nobody is served in time, and yet it is on its way."""
    verdict, goodput, recovery, metastable = experiment(280, TIMEOUT, duration=80)
    assert (verdict, recovery, metastable) == ("fail", None, 0.0)
    assert goodput < 0.05


@pytest.mark.parametrize(("cure", "back"), [
    ({"queue": {"limit": 150}}, True),
    pytest.param({"queue": {"limit": 250}}, True, marks=pytest.mark.validate),
    pytest.param({"queue": {"limit": 600}}, False, marks=pytest.mark.validate),
    pytest.param({"queue": {"limit": 10_000_000, "order": "lifo"}}, True, marks=pytest.mark.validate),
])
def test_what_ends_it(cure, back):
    """V65, at 280/s with one retry: a queue that is short enough for the callers' patience does, one of 600 does not; newest first does."""
    _, goodput, recovery, metastable = experiment(280, RETRY, TIMEOUT, **cure)
    assert goodput == pytest.approx(1 if back else 0, abs=0.06)
    assert metastable == (0.0 if back else 1.0)
    assert (recovery is not None) == back


@pytest.mark.validate
def test_a_retry_budget_alone_does_not_end_it():
    """V65: 10 % more than 280/s is 308/s, and the capacity is 300/s."""
    budget = {"retry": {**RETRY["retry"], "budget": {"share": "10%", "min_per_second": 0}}}
    _, goodput, recovery, metastable = experiment(280, budget, TIMEOUT)
    assert goodput == pytest.approx(0, abs=0.02)
    assert (recovery, metastable) == (None, 1.0)


def crowded(backoff):
    """V67: 40/s with three attempts of 3 s each at a service whose latency is 1 + 0.01 N; a spike of twice the load for 5 s."""
    retry = {"retry": {"max_attempts": 3, "backoff": backoff}}
    result = run(Scenario.model_validate({
        "name": "collapse", "duration": "90s", "warmup": "8s", "network": {"default": {"latency": {"exponential": "100ms"}}},
        "services": {"api": {"code": "tests.lab.collapse:Crowded", "workers": 1_000_000}},
        "workloads": {"users": {"rate": "40/s", "to": "api", "policies": [retry, {"timeout": "3s"}], "mix": [{"send": "GET /"}]}},
        "faults": [{"name": "spike", "kind": "load.surge", "factor": 2, "schedule": {"at": "20s", "for": "5s"}}],
        "checks": [{"name": "goodput", "measure": "goodput", "of": "users", "at_least": "38/s", "from": "60s", "until": "80s"},
                   {"measure": "metastable", "at_most": 0}],
    }))
    return result.summary["verdict"], {check["name"]: check["measured"] for check in result.summary["checks"]}


@pytest.mark.validate
def test_a_simple_collapse_and_what_backing_off_does():
    """V67: without waits before retries the spike never ends, 12/s of 40/s succeed; with waits that grow from 10 s on it passes."""
    verdict, found = crowded({"initial": "1us", "max": "1us", "jitter": "none"})
    assert verdict == "fail"
    assert found["metastable"] == 1.0
    assert found["goodput"] < 20
    verdict, found = crowded({"initial": "10s", "multiplier": 2, "max": "60s", "jitter": "full"})
    assert (verdict, found["metastable"]) == ("pass", 0.0)
    assert found["goodput"] == pytest.approx(39.7, abs=1.5)
