"""Bad versions and bad configurations: what they do, how they overlap, and how they are taken back."""

from __future__ import annotations

import pytest

from .small import AFTER, BASE, DURING, measure, ran

BACK = {"service": "back"}


def bad(kind="deploy.bad_version", **fields):
    return {"kind": kind, "target": BACK, **fields}


def web(result, what="success_ratio", window=DURING):
    return measure(result, what, "web", window)


@pytest.mark.parametrize("kind", ["deploy.bad_version", "config.bad"])
def test_errors_and_slowness_while_it_is_out(kind):
    """A quarter fails; at half the speed 10 ms of work take 20; afterwards all is as before."""
    result = ran(bad(kind, error_rate="25%", speed=0.5))
    assert web(result) == pytest.approx(0.75, abs=0.08)
    slow = ran(bad(kind, speed=0.5))
    assert web(slow, "latency.mean") == pytest.approx(BASE["web"] + 0.01, abs=1e-6)
    for healed in (result, slow):
        assert web(healed, window=AFTER) == 1
        assert web(healed, "latency.mean", AFTER) == pytest.approx(BASE["web"])


def test_a_canary_hits_its_share():
    """One instance of three has the bad version, and with it a third of the calls."""
    result = ran({**bad(error_rate="100%", error_status=502), "target": {**BACK, "mode": "fixed-percent", "value": "34%"}})
    assert web(result) == pytest.approx(2 / 3, abs=0.02)
    assert len(result.faults[0].targets) == 1


@pytest.mark.parametrize("kind", ["deploy.bad_version", "config.bad"])
def test_a_version_that_crashes_is_down_until_it_is_taken_back(kind):
    """All three crash; nobody answers."""
    result = ran(bad(kind, crashes=True), duration="24s")
    assert web(result, window=(4.2, 7.9)) == 0
    assert [event["node"] for event in result.events if event["kind"] == "instance.crash"][:3] == ["back"] * 3
    assert web(result, window=(8.1, 12.0) if kind == "deploy.bad_version" else (15.0, 23.9)) == 1  # a restart may take 10 s to come


def test_bad_configurations_stack_and_unstack_in_any_order():
    """Two of them multiply; whichever ends first, the other goes on alone, and in the end there is none."""
    slow, slower = (bad("config.bad", name=name, speed=speed, schedule={"at": at, "for": length})
                    for name, speed, at, length in (("slow", 0.5, "3s", "4s"), ("slower", 0.25, "5s", "4s")))
    for faults in ((slow, slower), (slower, slow)):
        result = ran(*faults)
        times = [web(result, "latency.mean", window) - BASE["web"] for window in ((3.2, 4.9), (5.2, 6.8), (7.2, 8.8), (9.2, 11.0))]
        assert times == pytest.approx([0.01, 0.07, 0.03, 0.0], abs=1e-6)


def test_a_configuration_travels_as_the_service_says():
    """Asked for once in two seconds, it reaches each of the three instances at its own time, and so does the good one."""
    result = ran(bad("config.bad", error_rate="100%"), services__back__config_updates={"poll": "2s"})
    applied = [event["at"] for event in result.events if event["kind"] == "config.applied"]
    assert len(applied) == 6
    assert all(4 <= at <= 6 for at in applied[:3])
    assert all(8 <= at <= 10 for at in applied[3:])
    assert web(result, window=(6.1, 7.9)) == 0
    assert web(result, window=(10.1, 11.9)) == 1
