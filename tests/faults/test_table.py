"""Every kind of fault against its own arithmetic, in a world of constants; healed, every figure is back where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sim.faults.faults import FAULTS
from sim.telemetry.result import RunResult

from .small import AFTER, BASE, BEFORE, DURING, measure, ran

Figure = Callable[[RunResult], float]


def latency(of: str = "web") -> Figure:
    """Mean latency under the fault beyond the usual one, in seconds."""
    return lambda result: measure(result, "latency.mean", of, DURING) - BASE[of]


def success(of: str = "web", window: tuple[float, float] = DURING) -> Figure:
    """Share of good answers."""
    return lambda result: measure(result, "success_ratio", of, window)


def rate(what: str, of: str, window: tuple[float, float] = DURING) -> Figure:
    """Per second, under the fault."""
    return lambda result: measure(result, what, of, window)


def misses(start: float, until: float) -> Figure:
    """Reads that went on to the database."""
    return lambda result: (measure(result, "offered", "front->db", (start, until)) - 100) * (until - start)


LINK = {"link": "front->back"}
BACK = {"service": "back"}
LATE = (4.1, 7.9)  # without what was under way as the fault began
ROWS: list[tuple[dict[str, Any], Figure, float, float]] = [  # fault, what it does, how much, give or take
    ({"kind": "network.delay", "target": LINK, "latency": "100ms"}, latency(), 0.1, 0.001),
    ({"kind": "network.delay", "target": {**LINK, "direction": "both"}, "latency": "100ms"}, latency(), 0.2, 0.001),
    ({"kind": "network.delay", "target": LINK, "latency": "100ms", "ramp": {"up": "2s", "down": "2s"}}, latency(), 0.05625, 0.001),
    ({"kind": "network.loss", "target": LINK, "loss": "10%"}, latency(), 0.2 * 0.1 / (1 - 2 * 0.1), 0.012),  # 0.2 s, doubling
    ({"kind": "network.loss", "target": LINK, "loss": "10%", "transport": "datagram"}, success(), 0.9, 0.05),
    ({"kind": "network.corrupt", "target": LINK, "corrupt": "10%"}, latency(), 0.025, 0.012),
    ({"kind": "network.partition", "target": LINK}, success(window=(4.1, 6.9)), 0.0, 0.0),
    ({"kind": "network.partition", "target": LINK}, rate("latency.mean", "front->back", (4.1, 6.9)), 1.0, 0.01),  # the caller's patience
    ({"kind": "network.partition", "target": LINK, "how": "reject"}, rate("latency.mean", "front->back"), 0.0, 0.001),
    ({"kind": "network.reset", "target": LINK, "probability": "30%"}, success(), 0.7, 0.08),
    ({"kind": "network.reset", "target": LINK, "after": "40ms"}, rate("latency.mean", "front->back"), 0.04, 0.001),
    ({"kind": "network.bandwidth", "target": LINK, "rate": "819.2kbit"}, latency(), 512 * 8 / 819.2e3, 0.0005),
    ({"kind": "network.duplicate", "target": BACK}, rate("offered", "back"), 200.0, 2.0),
    ({"kind": "network.reorder", "target": LINK, "latency": "100ms", "probability": "25%"}, latency(), 0.075, 0.009),
    ({"kind": "instance.kill", "target": BACK}, success(window=LATE), 0.0, 0.0),
    ({"kind": "instance.unavailable", "target": BACK}, success(window=LATE), 0.0, 0.0),
    ({"kind": "instance.pause", "target": BACK}, success(window=(4.1, 6.9)), 0.0, 0.0),
    ({"kind": "instance.slow", "target": BACK, "factor": 5}, latency(), 0.04, 0.001),
    ({"kind": "instance.slow", "target": BACK, "factor": 5, "ramp": {"up": "2s", "down": "2s"}}, latency(), 0.0225, 0.002),
    ({"kind": "instance.slow", "target": {**BACK, "mode": "one"}, "factor": 4}, latency(), 0.03 / 3, 0.0005),
    ({"kind": "zone.outage", "zone": "b"}, rate("offered", "back"), 100.0, 1.0),  # by the two that are left
    ({"kind": "zone.outage", "target": {"zone": "c"}}, rate("offered", "back"), 100.0, 1.0),
    ({"kind": "resource.cpu", "target": BACK, "load": "75%"}, latency(), 0.03, 0.001),
    ({"kind": "resource.pool", "target": BACK, "taken": "100%"}, success(window=(4.1, 6.9)), 0.0, 0.0),
    ({"kind": "http.abort", "target": BACK, "ramp": {"up": "4s"}}, success(), 0.5, 0.08),
    ({"kind": "http.delay", "target": BACK, "delay": "50ms"}, latency(), 0.05, 0.001),
    ({"kind": "http.abort", "target": BACK, "probability": "25%"}, success(), 0.75, 0.08),
    ({"kind": "http.throttle", "target": BACK, "rate": "25/s"}, success(), 0.25, 0.005),
    ({"kind": "db.slow", "target": {"service": "db"}, "factor": 5}, latency("data"), 0.008, 0.0005),
    ({"kind": "db.error", "target": {"service": "db"}, "probability": "25%"}, success("data"), 0.75, 0.08),
    ({"kind": "db.lock", "target": {"service": "db"}}, success("data", (4.1, 6.9)), 0.0, 0.0),
    ({"kind": "cache.flush", "target": {"service": "cache"}, "schedule": {"at": "4s"}}, misses(3.9, 8.0), 20, 1.0),  # each key once
    ({"kind": "cache.down", "target": {"service": "cache"}}, rate("offered", "front->db"), 200.0, 1.0),
    ({"kind": "cache.limit", "target": {"service": "cache"}, "share": "1%"}, rate("offered", "front->db"), 100 + 50, 10),  # 10 of 20 keys
    ({"kind": "load.surge", "factor": 3}, rate("offered", "web"), 300.0, 2.0),
    ({"kind": "load.surge", "factor": 3, "ramp": {"up": "4s"}}, rate("offered", "web"), 200.0, 8.0),
]


@pytest.mark.parametrize(("fault", "figure", "wanted", "tolerance"), ROWS, ids=[f"{row[0]['kind']}-{n}" for n, row in enumerate(ROWS)])
def test_does_what_its_arithmetic_says_and_heals(fault, figure, wanted, tolerance):
    """While it lasts the figure is what can be computed; before and after it every figure is the baseline."""
    result = ran(fault)
    assert figure(result) == pytest.approx(wanted, abs=tolerance + 1e-9)
    for workload, base in BASE.items():
        for window in (BEFORE, AFTER):
            assert measure(result, "success_ratio", workload, window) == 1
            assert measure(result, "latency.mean", workload, window) == pytest.approx(base, abs=1e-9 if workload != "reads" else 0.0015)
    assert not result.summary["warnings"]


Windowed = Callable[[RunResult, tuple[float, float]], float]


def longer(of: str = "web") -> Windowed:
    """Mean latency beyond the usual one, in seconds."""
    return lambda result, window: measure(result, "latency.mean", of, window) - BASE[of]


def lost(of: str = "web") -> Windowed:
    """Share of bad answers."""
    return lambda result, window: 1 - measure(result, "success_ratio", of, window)


def more(of: str) -> Windowed:
    """Requests a second beyond the usual 100."""
    return lambda result, window: measure(result, "offered", of, window) - 100


RISING = {"ramp": {"up": "4s"}}  # from 4 to 8 s
RAMPS: list[tuple[dict[str, Any], Windowed, Callable[[float], float], float]] = [  # fault, what it does, how much at a strength of 0..1, +-
    ({"kind": "network.delay", "target": LINK, "latency": "100ms"}, longer(), lambda s: 0.1 * s, 0.002),
    ({"kind": "network.loss", "target": LINK, "loss": "20%"}, longer(), lambda s: 0.2 * 0.2 * s / (1 - 0.4 * s), 0.03),
    ({"kind": "network.loss", "target": LINK, "loss": "80%", "transport": "datagram"}, lost(), lambda s: 0.8 * s, 0.1),
    ({"kind": "network.corrupt", "target": LINK, "corrupt": "20%"}, longer(), lambda s: 0.2 * 0.2 * s / (1 - 0.4 * s), 0.03),
    ({"kind": "network.reset", "target": LINK}, lost(), lambda s: s, 0.1),
    ({"kind": "network.bandwidth", "target": LINK, "rate": "819.2kbit"}, longer(), lambda s: 0.005 * s, 0.0003),
    ({"kind": "network.duplicate", "target": LINK}, more("back"), lambda s: 100 * s, 10),
    ({"kind": "network.reorder", "target": LINK, "latency": "100ms", "probability": "0%"}, longer(), lambda s: 0.1 * s, 0.002),
    ({"kind": "instance.slow", "target": BACK, "factor": 5}, longer(), lambda s: 0.04 * s, 0.002),
    ({"kind": "resource.cpu", "target": BACK, "load": "75%"}, longer(), lambda s: 0.01 / (1 - 0.75 * s) - 0.01, 0.002),
    ({"kind": "http.delay", "target": BACK, "delay": "50ms"}, longer(), lambda s: 0.05 * s, 0.006),
    ({"kind": "http.abort", "target": BACK}, lost(), lambda s: s, 0.1),
    ({"kind": "http.throttle", "target": BACK, "rate": "1/h"}, lost(), lambda s: s, 0.1),
    ({"kind": "db.slow", "target": {"service": "db"}, "factor": 5}, longer("data"), lambda s: 0.008 * s, 0.0005),
    ({"kind": "db.error", "target": {"service": "db"}}, lost("data"), lambda s: s, 0.1),
    ({"kind": "dns.error", "target": LINK}, lost(), lambda s: s, 0.1),
    ({"kind": "load.surge", "factor": 3}, more("web"), lambda s: 200 * s, 10),
]


@pytest.mark.parametrize(("fault", "figure", "wanted", "tolerance"), RAMPS, ids=[f"{row[0]['kind']}-{n}" for n, row in enumerate(RAMPS)])
def test_a_ramp_raises_the_severity_in_a_straight_line(fault, figure, wanted, tolerance):
    """In the first of four seconds it is an eighth of its height on average, in the last one seven."""
    result = ran({**fault, **RISING})
    for start in (4, 7):
        strengths = [(start - 4 + n / 50) / 4 for n in range(50)]
        assert figure(result, (start, start + 1)) == pytest.approx(sum(map(wanted, strengths)) / 50, abs=tolerance), start


def test_a_share_of_a_cache_is_so_many_whole_places():
    """10 % of 1,000 are 100, however shares are stored."""
    result = ran({"kind": "cache.limit", "target": {"service": "cache"}, "share": "10%", "schedule": {"at": "100ms"}}, duration="200ms")
    assert result.summary["caches"]["cache"]["capacity"] == 100


def test_every_kind_is_in_the_table():
    """Kinds with a test of their own are named here."""
    elsewhere = {kind for kind in FAULTS if kind.partition(".")[0] in ("broker", "registry", "dns", "clock", "config", "deploy", "cert")}
    elsewhere |= {"resource.memory", "db.failover", "db.replica_lag"}
    assert {row[0]["kind"] for row in ROWS} | elsewhere == set(FAULTS)
