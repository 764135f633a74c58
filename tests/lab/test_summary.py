"""summary.json: its fields, what they cover, and that its numbers add up."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from sim.telemetry.codes import SpanKind
from tests.model.small_runs import at, of_users, ran, users

LATENCY = {"mean", "p50", "p90", "p95", "p99", "p999", "max"}
OUTCOMES = {"ok", "degraded", "failed", "rejected", "unfinished"}
WORKLOAD = {"started", *OUTCOMES, "success_ratio", "offered_rps", "throughput_rps", "goodput_rps", "latency_s", "by_status"}
SERVICE = {
    "requests", "success_ratio", "latency_s", "utilisation", "queue_mean", "queue_max", "in_system_mean", "rejected", "wasted_work_ratio",
}
CALLS = {"calls", "attempts", "amplification", "success_ratio", "timeouts", "retries", "rejected", "latency_s", "breaker"}
TO_BACK = {"policies": [
    {"retry": {"max_attempts": 2, "backoff": {"initial": "5ms"}}}, {"circuit_breaker": {"minimum_number_of_calls": 5}}, {"timeout": "60ms"},
]}
SHOP: dict[str, Any] = {
    "front": {
        "instances": 2, "workers": 4, "queue": {"limit": 3}, "uses": {"back": TO_BACK},
        "endpoints": {
            "GET /": [{"work": {"exponential": "10ms"}}, {"call": "back"}],
            "POST /": [{"call": {"to": "spare", "optional": True}}],
        },
    },
    "back": {"workers": 3, "endpoints": {"GET /": [{"work": {"exponential": "30ms"}}, {"fail": "10%"}]}},
    "spare": {"instances": 0, "endpoints": {"GET /": []}},
    "idle": {"endpoints": {"GET /": []}},
}
MIX = [{"send": "GET /", "weight": 3}, {"send": "POST /"}, {"send": "PUT /", "weight": 0.5}]


@pytest.fixture(scope="module")
def busy():
    """A run in which requests end in every way, with 2 s of warm-up."""
    return ran(SHOP, {"users": users("front", rate="150/s", arrivals="poisson", mix=MIX, timeout="150ms", max_in_flight=5),
                      "other": users("front", timeout="150ms")}, "10s", warmup="2s")


def no_value_is_infinite(value: Any) -> None:
    """null for what has no value; never NaN, which is no JSON."""
    if isinstance(value, dict):
        for inner in value.values():
            no_value_is_infinite(inner)
    elif isinstance(value, list):
        for inner in value:
            no_value_is_infinite(inner)
    elif isinstance(value, float):
        assert math.isfinite(value)
    else:
        assert value is None or type(value) in (str, int, bool), f"{value!r} is no plain value"


def test_every_promised_field_is_there(busy):
    """As the contract lists them; all plain values that JSON can hold."""
    summary = busy.summary
    assert summary["schema"] == "mesocosm/summary/1" and summary["digest"].startswith("sha256:")
    assert summary.keys() >= {
        "scenario", "variant", "seed", "verdict", "simulated_s", "warmup_s", "wall_s", "events", "databases", "caches", "brokers", "sagas",
        "checks", "faults",
    }
    assert set(summary["requests"]) == {"started", *OUTCOMES}
    for load in summary["workloads"].values():
        assert load.keys() >= WORKLOAD | {"dropped", "by_request"} and set(load["latency_s"]) == LATENCY
        assert all(set(part) >= WORKLOAD for part in load["by_request"].values())
    assert all(service.keys() >= SERVICE and set(service["latency_s"]) == LATENCY for service in summary["services"].values())
    for edge in summary["calls"].values():
        assert edge.keys() >= CALLS and set(edge["breaker"]) == {"opened", "open_s"}
        assert edge["rejected"].keys() >= {"circuit_breaker", "bulkhead", "rate_limiter"}
    no_value_is_infinite(summary)
    json.dumps(summary, allow_nan=False)


def test_every_way_to_end_is_in_the_busy_run(busy):
    """The fixture is worth its name: the other tests would mean nothing if one were missing."""
    figures = of_users(busy)
    assert all(figures[outcome] for outcome in OUTCOMES) and figures["dropped"]
    assert figures["by_status"].keys() >= {"200", "405", "502", "503", "timeout"}


def test_outcomes_add_up(busy):
    """started = ok + degraded + failed + rejected + unfinished: in all, of each workload, and of each kind of request."""
    summary = busy.summary
    parts = [summary["requests"], *summary["workloads"].values()]
    parts += [part for load in summary["workloads"].values() for part in load["by_request"].values()]
    for part in parts:
        assert part["started"] == sum(part[outcome] for outcome in OUTCOMES)


def test_parts_add_up_to_wholes(busy):
    """Statuses of what has finished; kinds of request; and the whole run is what was recorded."""
    summary = busy.summary
    for load in summary["workloads"].values():
        assert sum(load["by_status"].values()) == load["started"] - load["unfinished"]
        for field in ("started", *OUTCOMES):
            assert sum(part[field] for part in load["by_request"].values()) == load[field]
    assert summary["requests"]["started"] == len(busy.requests)


def test_only_the_totals_cover_the_warm_up(busy):
    """`requests` is of the whole run; all others count what began after two seconds."""
    late = busy.requests[busy.requests.intended >= 2.0]
    assert busy.summary["requests"]["started"] == len(busy.requests) > len(late)
    assert sum(load["started"] for load in busy.summary["workloads"].values()) == len(late)
    served, called = busy.spans.of(SpanKind.SERVER), busy.spans.of(SpanKind.CLIENT)
    names = busy.names.nodes
    for name, service in busy.summary["services"].items():
        assert service["requests"] == int(((served.node == names.index(name)) & (served.start >= 2.0)).sum())
    calls = called[(called.node == names.index("front")) & (called.peer == names.index("back")) & (called.start >= 2.0)]
    assert busy.summary["calls"]["front->back"]["calls"] == len(calls)
    assert busy.summary["calls"]["front->back"]["attempts"] == int(calls.attempt.sum())


def test_rates_are_over_the_measured_time(busy):
    """Eight seconds; what was dropped was offered; what was degraded is throughput but no goodput, and what was refused is neither."""
    figures = of_users(busy)
    assert figures["offered_rps"] == pytest.approx((figures["started"] + figures["dropped"]) / 8)
    assert figures["throughput_rps"] == pytest.approx((figures["started"] - figures["unfinished"] - figures["rejected"]) / 8)
    assert figures["goodput_rps"] == pytest.approx(figures["ok"] / 8)
    assert figures["success_ratio"] == pytest.approx((figures["ok"] + figures["degraded"]) / (figures["started"] - figures["unfinished"]))


def test_latencies_are_of_what_was_not_refused(busy):
    """From the intended start, as the recorded rows have it."""
    rows = busy.requests[(busy.requests.workload == 0) & (busy.requests.intended >= 2.0) & (busy.requests.outcome <= 2)]
    figures = of_users(busy)["latency_s"]
    assert figures["mean"] == pytest.approx(rows.latency.mean()) and figures["max"] == pytest.approx(rows.latency.max())
    assert figures["p99"] == pytest.approx(np.quantile(rows.latency, 0.99))


def test_what_policies_did_in_the_warm_up_does_not_count():
    """A service that fails for its first second only: breaker, retries and timeouts were all before the end of the warm-up."""
    bad = {"kind": "http.abort", "target": {"service": "back"}, "schedule": {"at": "0s", "for": "1s"}, "status": 503}
    breaker = {"circuit_breaker": {"minimum_number_of_calls": 4, "wait_duration_in_open_state": "500ms"}}
    policies = [{"retry": {"max_attempts": 2, "backoff": {"initial": "1ms"}}}, breaker, {"timeout": "1s"}]
    front = {"uses": {"back": {"policies": policies}}, "endpoints": {"GET /": [{"call": "back"}]}}
    services = {"front": front, "back": {"endpoints": {"GET /": []}}}
    warm, cold = (ran(services, duration="10s", faults=[bad], warmup=warmup).summary["calls"]["front->back"] for warmup in ("3s", "0ms"))
    assert cold["breaker"]["opened"] >= 1 and cold["breaker"]["open_s"] > 0.4
    assert cold["retries"] > 0 and cold["rejected"]["circuit_breaker"] > 0
    assert warm["breaker"] == {"opened": 0, "open_s": 0.0} and warm["retries"] == 0 and not any(warm["rejected"].values())
    assert warm["success_ratio"] == 1.0 and not warm["policies"]


def test_queues_and_drops_of_the_warm_up_do_not_count():
    """A crowd at the beginning makes a queue and is dropped in part; afterwards nobody waits."""
    crowd = at(*["150ms"] * 50, to="api", max_in_flight=20)
    api = {"api": {"workers": 2, "endpoints": {"GET /": [{"work": "10ms"}]}}}
    warm, cold = (ran(api, {"users": crowd, "others": users("api")}, "5s", **more).summary for more in ({"warmup": "2s"}, {}))
    assert cold["services"]["api"]["queue_max"] == 18 and cold["workloads"]["users"]["dropped"] == 30
    assert warm["services"]["api"]["queue_max"] == 0 and warm["workloads"]["users"]["dropped"] == 0
    assert warm["services"]["api"]["queue_mean"] == 0.0 and warm["workloads"]["users"]["offered_rps"] == 0.0


def test_calls_without_an_end_are_told():
    """Three callers hang on a service that never answers: none of their calls has ended, and none is lost."""
    services = {"front": {"endpoints": {"GET /": [{"call": "deaf"}]}}, "deaf": {"endpoints": {"GET /": [{"sleep": "1h"}]}}}
    summary = ran(services, {"users": at("1s", "2s", "3s", to="front")}, "5s").summary
    assert [(call["calls"], call["unfinished"]) for call in (summary["calls"]["front->deaf"], summary["calls"]["users->front"])] == [(0, 3)] * 2
    assert summary["requests"]["unfinished"] == 3


def test_what_never_happened_has_no_value():
    """A service that is never called, a workload that never sends: zeros where something is counted, null where something is averaged."""
    result = ran({"api": {"endpoints": {"GET /": [{"call": "never"}]}}, "never": {"endpoints": {"GET /": []}}},
                 {"users": at("9s"), "nobody": users("api", rate=None, arrivals=None, executor="constant-vus", vus=0)}, "1s")
    nobody, never = result.summary["workloads"]["nobody"], result.summary["services"]["never"]
    assert nobody["started"] == nobody["dropped"] == 0 and nobody["success_ratio"] is None and set(nobody["latency_s"].values()) == {None}
    assert nobody["offered_rps"] == 0.0 and nobody["by_status"] == {} and nobody["by_request"] == {}
    assert never["requests"] == never["rejected"] == 0 and never["success_ratio"] is None and never["wasted_work_ratio"] is None
    assert never["utilisation"] == never["queue_mean"] == 0.0
    assert result.summary["calls"]["api->never"]["amplification"] is None
    no_value_is_infinite(result.summary)


@pytest.mark.parametrize("until", ["1.1s", "1.3s", "1.7s"])
def test_of_work_that_has_not_ended_nobody_can_say_whether_it_is_wasted(until):
    """Five requests are at work over the warm-up, and more begin after it; that the integrals of these are sums of fractions is no work."""
    times = [f"{ms}ms" for ms in (13, 101, 307, 477, 499, 703, 899, 1001)]
    result = ran({"api": {"workers": 9, "endpoints": {"GET /": [{"work": "1000s"}]}}}, {"users": at(*times)}, until, warmup="0.5s")
    assert result.summary["services"]["api"]["wasted_work_ratio"] is None


@pytest.mark.parametrize("warmup", ["1s", "5s"])
def test_a_run_that_is_all_warm_up_has_no_figures(warmup):
    """Nothing was measured: no rates, no utilisation; the totals are there."""
    result = ran({"api": {"workers": 1, "endpoints": {"GET /": [{"work": "10ms"}]}}}, warmup=warmup)
    figures, api = of_users(result), result.summary["services"]["api"]
    assert result.summary["requests"]["started"] == 10
    assert {figures[field] for field in ("offered_rps", "throughput_rps", "goodput_rps", "success_ratio")} == {None}
    assert {api[field] for field in ("utilisation", "queue_mean", "in_system_mean", "wasted_work_ratio")} == {None} and api["requests"] == 0
    no_value_is_infinite(result.summary)


@pytest.mark.parametrize("duration", ["1ns", "1us", "9000h"])
def test_runs_of_any_length(duration):
    """A nanosecond or a year: samples, and every field."""
    result = ran({"api": {"endpoints": {"GET /": []}}}, {"users": users("api", rate="1/h")}, duration)
    assert result.summary["simulated_s"] == pytest.approx({"1ns": 1e-9, "1us": 1e-6, "9000h": 3.24e7}[duration])
    assert len(result.series("api", "busy").at) == 600 and result.series("api", "busy").at[-1] == result.duration
    no_value_is_infinite(result.summary)


def test_nothing_to_do_at_all():
    """No workload."""
    summary = ran({"api": {"endpoints": {"GET /": []}}}, {}).summary
    assert summary["requests"] == {"started": 0, **dict.fromkeys(OUTCOMES, 0)} and summary["workloads"] == {}


def test_what_is_under_way_at_the_end_is_unfinished():
    """A request that takes longer than the run has no latency, and is no failure."""
    figures = of_users(ran({"api": {"endpoints": {"GET /": [{"work": "10s"}]}}}, {"users": at("0s", "500ms")}))
    assert (figures["started"], figures["unfinished"], figures["success_ratio"]) == (2, 2, None)
    assert set(figures["latency_s"].values()) == {None} and figures["throughput_rps"] == 0.0


def test_levels_obey_littles_law():
    """The integrals are those of the rows, to the nanosecond: what is inside, and what waits."""
    result = ran({"api": {"workers": 2, "endpoints": {"GET /": [{"work": {"exponential": "15ms"}}]}}},
                 {"users": at(*(f"{millisecond}ms" for millisecond in range(0, 9000, 8)))}, "12s", warmup="2s")
    rows = result.spans.of(SpanKind.SERVER).rows
    assert len(rows) == 1125, "all are answered before the end"
    inside, begun = np.array(rows["end"]), np.array(rows["start"]) + np.array(rows["queued"], dtype=float)
    def since_warmup(until):
        return np.clip(until - np.maximum(rows["start"], 2.0), 0, None).sum()
    api = result.summary["services"]["api"]
    assert api["in_system_mean"] == pytest.approx(since_warmup(inside) / 10, rel=1e-12)
    assert api["queue_mean"] == pytest.approx(since_warmup(begun) / 10, rel=1e-6) and api["queue_mean"] > 0.5


def test_levels_are_exact():
    """Two requests of 300 ms for one worker in a second: busy for 0.6 s, one waiting for 0.3 s."""
    service = {"api": {"workers": 1, "endpoints": {"GET /": [{"work": "300ms"}]}}}
    api = ran(service, {"users": at("0s", "0s")}, latency="0ms").summary["services"]["api"]
    assert (api["utilisation"], api["queue_mean"], api["in_system_mean"]) == pytest.approx((0.6, 0.3, 0.9))
    assert api["queue_max"] == 1 and api["latency_s"]["max"] == pytest.approx(0.6)


def test_the_use_of_cores_is_told_beside_that_of_workers():
    """Two requests of 100 ms of CPU on two cores, and one of 200 ms: 0.4 core seconds of 2, and as much of 8 workers' time."""
    api = {"workers": 8, "cpu": {"cores": 2}, "endpoints": {"GET /": [{"work": "100ms"}], "POST /": [{"work": "200ms"}]}}
    loads = {"users": at("0s", "0s"), "others": at("500ms", send="POST /")}
    figures = ran({"api": api}, loads, latency="0ms").summary["services"]["api"]
    assert figures["cpu_utilisation"] == pytest.approx(0.2) and figures["utilisation"] == pytest.approx(0.4 / 8)


def test_three_hundred_instances():
    """Too many for gauges of their own: the node as a whole has them, and the summary its figures."""
    api = {"instances": 300, "workers": 1, "endpoints": {"GET /": [{"work": "155ms"}]}}
    result = ran({"api": api}, {"users": users("api", rate="100/s")})
    assert result.summary["services"]["api"]["requests"] > 80 and result.series("api", "busy", "api-7") is None
    assert result.series("api", "busy").max.max() == 16.0


def test_throughput_is_what_was_served():
    """One worker, no line and two requests at a time: half of them are refused at once, and are no throughput, of users or of the service."""
    served = {"name": "served", "measure": "throughput", "of": "api", "at_least": "1/s"}
    result = ran({"api": {"workers": 1, "queue": {"limit": 0}, "endpoints": {"GET /": [{"work": "10ms"}]}}},
                 {"users": at(*(f"{tenth}00ms" for tenth in range(10) for _ in "ab"))}, "1s", checks=[served])
    figures = of_users(result)
    assert (figures["offered_rps"], figures["throughput_rps"], figures["goodput_rps"]) == (20, 10, 10)
    assert figures["rejected"] == 10 and figures["success_ratio"] == 0.5 and result.summary["checks"][0]["measured"] == 10


def test_work_that_its_caller_has_called_off_is_neither_good_nor_bad():
    """The slower of two copies is cancelled: a service that has made no mistake has no failures."""
    api = {"instances": 2, "on_caller_gone": "cancel", "endpoints": {"GET /": [{"work": {"exponential": "50ms"}}]}}
    result = ran({"api": api}, {"users": users("api", policies=[{"hedge": {"delay": "0ms"}}])}, "10s")
    service = result.summary["services"]["api"]
    assert service["success_ratio"] == 1.0 and service["requests"] > 180 and result.summary["calls"]["users->api"]["hedges"] > 90
