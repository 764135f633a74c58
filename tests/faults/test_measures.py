"""Measures that only faults can move, asked for in a scenario's own words: breakers, sagas, projections, detection and recovery."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario

FROM, UNTIL = "4s", "8s"


def measured(services, send, faults, checks, *, rate="20/s", duration="16s", **more):
    """What each check came to; faults last from 4 to 8 s."""
    loads = {"users": {"rate": rate, "arrivals": "uniform", "to": "api", "timeout": "3s", "mix": [{"send": send}]}}
    result = run(Scenario.model_validate({
        "name": "measures", "duration": duration, "network": {"default": {"latency": "1ms"}}, "services": services, "workloads": loads,
        "faults": [{"schedule": {"at": FROM, "for": "4s"}, **fault} for fault in faults],
        "checks": [{"name": name, "at_least": bound, **check} for name, (bound, check) in checks.items()], **more,
    }))
    return {check["name"]: check["measured"] for check in result.summary["checks"] if check["phase"] == "window"}, result


def test_the_share_of_time_that_breakers_are_open():
    """Two callers' breakers open a tenth of a second into the fault and stay so for 2 s, twice."""
    breaker = {"circuit_breaker": {"sliding_window": {"calls": 4}, "minimum_number_of_calls": 2, "wait_duration_in_open_state": "2s",
                                   "permitted_number_of_calls_in_half_open_state": 1}}
    services = {"api": {"instances": 2, "endpoints": {"GET /": [{"call": "back GET /"}]}, "uses": {"back": {"policies": [breaker]}}},
                "back": {"endpoints": {"GET /": [{"work": "1ms"}]}}}
    found, _ = measured(services, "GET /", [{"kind": "http.abort", "target": {"service": "back"}}], {
        "during": ("1%", {"measure": "breaker_open_share", "of": "api->back", "from": FROM, "until": UNTIL}),
        "before": ("1%", {"measure": "breaker_open_share", "of": "api->back", "until": FROM}),
    })
    assert found["during"] == pytest.approx((4 - 0.15 - 0.1) / 4, abs=0.04)
    assert found["before"] == 0


def test_sagas_that_can_be_neither_completed_nor_undone():
    """While payments are down shipping fails too, so that refunds are asked for and cannot be had."""
    saga = {"steps": [{"name": "charge", "do": "POST payments/charges", "undo": "POST payments/refunds"},
                      {"name": "ship", "do": "POST shipping/parcels"}]}
    services = {"api": {"workers": 500, "endpoints": {"POST /": [{"saga": saga}]}},
                "payments": {"endpoints": {f"POST /{what}": [{"work": "1ms"}] for what in ("charges", "refunds")}},
                "shipping": {"endpoints": {"POST /parcels": [{"work": "1ms"}]}}}
    faults = [{"kind": "http.abort", "name": "no-refunds", "target": {"service": "payments", "match": {"path": "/refunds"}},
               "schedule": {"at": FROM, "for": "10s"}},
              {"kind": "http.abort", "name": "no-parcels", "target": {"service": "shipping"}}]
    found, result = measured(services, "POST /", faults, {"stuck": (0, {"measure": "stuck_sagas"})}, rate="5/s")
    assert found["stuck"] == result.summary["sagas"]["saga"]["stuck"] == pytest.approx(20, abs=1)
    assert result.summary["sagas"]["saga"]["completed"] > 0


def test_a_projection_falls_behind_while_its_source_is_slow():
    """Events of four seconds wait while the projector is paused, and are worked off afterwards."""
    services = {"api": {"endpoints": {"POST /": [{"append": {"to": "db", "stream": {"uniform": 1000}, "expect_version": False}}]}},
                "projector": {"endpoints": {"POST /": [{"project": {"name": "views", "from": "db", "batch": 1000}}]}},
                "db": {"kind": "database"}}
    tick = {"rate": "10/s", "arrivals": "uniform", "to": "projector", "timeout": "9s", "mix": [{"send": "POST /"}]}
    faults = [{"kind": "instance.pause", "target": {"service": "projector"}}]
    window = {"measure": "lag.max", "of": "db"}
    found, _ = measured(services, "POST /", faults, {
        "before": (0, {**window, "from": "1s", "until": FROM}), "during": (0, {**window, "from": FROM, "until": UNTIL}),
        "after": (0, {**window, "from": "10s"}),
    }, workloads={"users": {"rate": "20/s", "arrivals": "uniform", "to": "api", "mix": [{"send": "POST /"}]}, "tick": tick})
    assert found["before"] <= 3
    assert found["during"] == pytest.approx(80, abs=4)
    assert found["after"] <= 3


@pytest.mark.parametrize(("threshold", "interval"), [(2, 1), (3, 1), (2, 0.5)])
def test_a_dead_instance_is_found_out_after_so_many_failed_checks(threshold, interval):
    """Detection takes (failures - 1) to failures intervals and a timeout at most; a failed check of a dead instance is refused at once."""
    services = {"api": {"endpoints": {"GET /": [{"call": "back GET /"}]}}, "back": {"instances": 2, "endpoints": {"GET /": [{"work": "1ms"}]}}}
    registry = {"check": {"interval": f"{int(interval * 1000)}ms", "timeout": "300ms", "failures_before_critical": threshold}}
    _, result = measured(services, "GET /", [{"kind": "instance.kill", "target": {"instance": "back-1"}}],
                         {"ok": ("1%", {"measure": "success_ratio", "of": "users"})}, rate="100/s", registry=registry)
    failed = result.requests[(result.requests.outcome != 0) & (result.requests.intended < 15)]
    assert failed.intended.min() == pytest.approx(4, abs=0.03)
    assert (threshold - 1) * interval - 0.03 <= failed.intended.max() - 4 <= threshold * interval + 0.33


def test_recovery_is_the_time_that_a_backlog_takes_to_drain():
    """A consumer of 4 s of pause with 80 requests/s at a capacity of 100/s works off 320 in 16 s."""
    services = {"api": {"workers": 1, "queue": {"limit": 10_000}, "endpoints": {"GET /": [{"work": "10ms"}]}}}
    loads = {"users": {"rate": "80/s", "arrivals": "uniform", "to": "api", "mix": [{"send": "GET /"}]}}
    found, _ = measured(services, "GET /", [{"kind": "instance.pause", "target": {"service": "api"}}], {
        "recovery": ("0s", {"measure": "recovery_time"}), "metastable": (0, {"measure": "metastable"}),
    }, duration="40s", workloads=loads, steady_state=[{"measure": "latency.max", "of": "users", "at_most": "50ms"}])
    assert found["recovery"] == pytest.approx(4 * 80 / (100 - 80), abs=0.3)
    assert found["metastable"] == 0
