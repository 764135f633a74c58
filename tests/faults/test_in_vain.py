"""Faults that change nothing of a system that goes on as before: each is told, with the reason and a cure."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario

BACK, IDLE, DB, CACHE = ({"service": name} for name in ("back", "idle", "db", "cache"))
BAD = {"kind": "deploy.bad_version", "target": IDLE, "error_rate": "50%"}
FOR_A_SECOND = {"at": "1s", "for": "1s"}
TO_THE_END = {"at": "1s"}
IN_VAIN = {  # by name: the fault, and why it changed nothing
    "certificates": ({"kind": "cert.expire", "target": BACK}, "back-0, back-1 made no new connection while it was on"),
    "calendar": ({"kind": "clock.skew", "target": BACK, "offset": "5m"}, "back-0, back-1 did nothing by the calendar"),
    "replicas": ({"kind": "db.replica_lag", "target": DB, "lag": "5s"}, "nobody wrote to db"),
    "stale": ({"kind": "registry.stale"}, "nothing changed in the registry"),
    "late": ({"kind": "registry.stale", "lag": "5s"}, "nothing changed in the registry"),
    "consumer": ({"kind": "broker.slow_consumer", "target": {"service": "events"}, "delay": "1s"}, "no message went events->mailer"),
    "slow": ({"kind": "instance.slow", "target": IDLE, "factor": 9}, "nobody asked anything of idle-0"),
    "slow to the end": ({"kind": "instance.slow", "target": IDLE, "factor": 9, "schedule": TO_THE_END}, "nobody asked anything of idle-0"),
    "room to the end": ({"kind": "cache.limit", "target": CACHE, "share": "50%", "schedule": TO_THE_END}, "cache never held more"),
    "still": ({"kind": "instance.pause", "target": IDLE}, "nobody asked anything of idle-0"),
    "version": (BAD, "nobody asked anything of idle-0"),
    "pool": ({"kind": "resource.pool", "target": BACK, "taken": "10%"}, "nobody at back-0, back-1 had to wait"),
    "memory": ({"kind": "resource.memory", "target": BACK, "leak": "1KB"}, "was neither collected nor full"),
    "throttle": ({"kind": "http.throttle", "target": {"link": "front->back"}, "rate": "1000/s"}, "the 20 requests to front->back stayed below"),
    "throttle of some": ({"kind": "http.throttle", "target": {"link": "front->back"}, "rate": "1000/s", "probability": "50%"},
                         "requests to front->back stayed below"),
    "bandwidth": ({"kind": "network.bandwidth", "target": {"link": "front->back"}, "rate": "1Mbit", "burst": "1MB"}, "within its `burst`"),
    "surge": ({"kind": "load.surge", "target": {"workload": "late"}, "factor": 5}, "late sent nothing while it was on"),
    "configuration": ({"kind": "config.bad", "target": BACK, "speed": 0.5}, "no instance of back heard of it"),
}


def ran(*faults):
    """20 requests a second go from front to back, and nobody asks anything of anyone else."""
    mesh = {"mtls": {"max_connection_age": "1h"}}
    return run(Scenario.model_validate({
        "name": "calm", "duration": "3s", "registry": {"check": {"interval": "1h"}},
        "services": {
            "front": {"mesh": mesh, "endpoints": {"GET /": [{"call": "back GET /"}]}},
            "back": {"mesh": mesh, "instances": 2, "config_updates": {"poll": "1h"}, "endpoints": {"GET /": [{"work": "1ms"}]}},
            "idle": {"endpoints": {"GET /": [{"work": "1ms"}]}},
            "mailer": {"subscribe": {"order.*": [{"work": "1ms"}]}}, "events": {"kind": "broker"},
            "db": {"kind": "database", "replicas": 1}, "cache": {"kind": "cache"},
        },
        "workloads": {name: {"rate": "20/s", "arrivals": "uniform", "to": "front", "mix": [{"send": "GET /"}], **more}
                      for name, more in (("users", {}), ("late", {"start_after": "2500ms"}))},
        "faults": [{"schedule": FOR_A_SECOND, **fault} for fault in faults],
    }))


@pytest.fixture(scope="module")
def told():
    """All of them in one run: why each changed nothing."""
    result = ran(*({**fault, "name": name} for name, (fault, _) in IN_VAIN.items()))
    assert result.summary["workloads"]["users"]["success_ratio"] == 1
    return {warning["name"]: warning["why"] for warning in result.summary["warnings"]}


@pytest.mark.parametrize("name", IN_VAIN)
def test_what_changed_nothing_is_told_with_the_reason_and_a_cure(told, name):
    """Also of what is still on as the run ends."""
    reason, _, cure = told[name].partition("; ")
    assert IN_VAIN[name][1] in reason
    assert cure


def test_what_is_laid_on_an_instance_that_is_down_is_told():
    """A pause is of a process, and there is none; what is out of service cannot be taken out of it, unless it comes back meanwhile."""
    kill = {"kind": "instance.kill", "name": "kill", "target": IDLE, "schedule": {"at": "500ms", "for": "2s"}}
    pause, out = ({"kind": kind, "name": kind, "target": IDLE} for kind in ("instance.pause", "instance.unavailable"))
    longer = {**out, "name": "longer", "schedule": {"at": "1s", "for": "1900ms"}}
    why = {warning["name"]: warning["why"].partition("; ")[0] for warning in ran(kill, pause, out, longer).summary["warnings"]}
    assert why == {"instance.pause": "idle-0 was down as it began, and what is down cannot stand still",
                   "instance.unavailable": "idle-0 took no requests anyhow"}


@pytest.mark.parametrize(("at", "length", "missed"), [
    ("1200ms", "1s", True),  # it was told to end, works on, and is gone before the fault is over
    ("3500ms", "2s", False),  # it has begun to start, and would take requests a second later
    ("1200ms", "5s", False),  # it comes back meanwhile
])
def test_out_of_service_is_taken_what_would_be_in_it_but_for_the_fault(at, length, missed):
    """Told to end at 1 s, gone a second later, begun anew at 3 s and ready at 4.5 s."""
    kill = {"kind": "instance.kill", "target": BACK, "schedule": {"at": "1s"}, "grace": "1s", "restart_after": "1s"}
    out = {"kind": "instance.unavailable", "target": BACK, "schedule": {"at": at, "for": length}}
    result = run(Scenario.model_validate({
        "name": "ends", "duration": "8s", "services": {"back": {"startup": "1500ms", "endpoints": {"GET /": [{"sleep": "5s"}]}}},
        "workloads": {"users": {"rate": "10/s", "to": "back", "mix": [{"send": "GET /"}]}}, "faults": [kill, out],
    }))
    assert [warning["reason"] for warning in result.summary["warnings"]] == ["took no requests"] * missed


def test_what_is_felt_at_the_end_of_the_run_is_no_warning():
    """It is still on then."""
    slow = {"kind": "instance.slow", "target": BACK, "factor": 9, "schedule": TO_THE_END}
    throttle = {"kind": "http.throttle", "target": BACK, "rate": "1/s", "schedule": TO_THE_END}
    assert ran(slow, throttle).summary["warnings"] == []
