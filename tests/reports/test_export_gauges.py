"""Gauges of the metrics that show what is going on at the moment: requests that are open, and how a breaker judges."""

from __future__ import annotations

import numpy as np
import pytest

from reports import folder
from reports.export.counting import Grid
from tests.model.small_runs import ran, users
from tests.reports.test_export_metrics import samples, text_of


@pytest.mark.parametrize("order", ["fifo", "lifo", "priority"])
def test_requests_that_never_end_are_active_connections(order, tmp_path):
    """Ten a second, of which five are worked on for an hour and all others wait: all that have come are there, also when the run is read again."""
    api = {"workers": 5, "queue": {"limit": 1000, "order": order}, "endpoints": {"GET /": [{"sleep": "1h"}]}}
    result = ran({"api": api}, duration="6s", latency="0ms")
    for run in (result, folder.read(folder.write(result, tmp_path / "run"))):
        (active,) = samples(text_of(run), "active_connections").values()
        assert active == np.searchsorted(np.sort(run.requests.start), Grid(6.0).times, side="right").tolist()
        assert active[-1] >= 59


def test_requests_that_have_ended_and_those_that_have_not_add_up():
    """One second of work, ten a second, enough workers: ten are under way from the first second on, to the very end."""
    result = ran({"api": {"workers": 100, "endpoints": {"GET /": [{"sleep": "1s"}]}}}, duration="6s", latency="0ms")
    (active,) = samples(text_of(result), "active_connections").values()
    assert set(active[int(1.1 / Grid(6.0).step) :]) <= {9, 10, 11}
    assert active[-1] == 10


def breaking(**breaker):
    """Ten calls a second to somebody who always fails, over a breaker that wants to see four."""
    policy = {"circuit_breaker": {"sliding_window": {"calls": 4}, "minimum_number_of_calls": 4, **breaker}}
    services = {"front": {"instances": 2, "uses": {"back": {"policies": [policy]}}, "endpoints": {"GET /": [{"call": "back GET /"}]}},
                "back": {"endpoints": {"GET /": [{"fail": {"share": "100%", "status": 500}}]}}}
    return ran(services, {"users": users("front")}, duration="6s", latency="0ms")


def test_the_failure_rate_of_a_breaker_is_unknown_until_it_has_seen_enough():
    """-1 while it has seen fewer than four, then 100 percent, which stands while it is open; of each instance by itself."""
    rates = samples(text_of(breaking(wait_duration_in_open_state="1h")), "resilience4j_circuitbreaker_failure_rate")
    assert sorted(rates) == [f'{{job="front",instance="front-{number}",name="front->back"}}' for number in (0, 1)]
    times = Grid(6.0).times
    for values in rates.values():
        assert set(values) == {-1, 100}
        assert 0.6 <= times[values.index(100)] <= 0.9  # every other call of ten a second is its own
        assert values == sorted(values)


def test_slow_calls_have_a_rate_of_their_own():
    """Nothing fails and all calls are slow: 0 and 100 percent."""
    policy = {"circuit_breaker": {"sliding_window": {"calls": 4}, "minimum_number_of_calls": 2, "slow_call_duration_threshold": "10ms",
                                  "slow_call_rate_threshold": "100%", "wait_duration_in_open_state": "1h"}}
    services = {"front": {"uses": {"back": {"policies": [policy]}}, "endpoints": {"GET /": [{"call": "back GET /"}]}},
                "back": {"endpoints": {"GET /": [{"sleep": "20ms"}]}}}
    text = text_of(ran(services, {"users": users("front")}, duration="6s", latency="0ms"))
    for measure, rate in (("failure_rate", 0), ("slow_call_rate", 100)):
        (values,) = samples(text, f"resilience4j_circuitbreaker_{measure}").values()
        assert set(values) == {-1, rate}


def test_looking_at_a_breaker_changes_nothing():
    """Sampled or not, one that goes half-open by itself does the same at the same times."""
    found = breaking(wait_duration_in_open_state="1s", automatic_transition=True)
    moves = [(event["at"], event["caller"], event["target"]) for event in found.events if event["kind"] == "circuit_breaker.state_transition"]
    opened = {caller: next(at for at, who, target in moves if who == caller and target == "open") for _, caller, _ in moves}
    assert all(at == pytest.approx(opened[who] + 1) for at, who, target in moves if target == "half_open" and at < opened[who] + 1.5)


def test_a_gateways_breaker_is_sampled_too():
    """Under the name of its way, with NaN while nothing is known."""
    policy = {"circuit_breaker": {"sliding_window": {"calls": 4}, "minimum_number_of_calls": 4, "wait_duration_in_open_state": "1h"}}
    services = {"front": {"kind": "gateway", "routes": [{"path": "/", "to": "back", "policies": [policy]}]},
                "back": {"endpoints": {"GET /": [{"fail": {"share": "100%", "status": 500}}]}}}
    result = ran(services, {"users": users("front")}, duration="6s", latency="0ms")
    (values,) = samples(text_of(result), "mesocosm_failure_rate_back").values()
    assert np.isnan(values[0])
    assert values[-1] == 1
