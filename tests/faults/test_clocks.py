"""Clocks that are wrong, and what that does to leases and to what a cache keeps."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario

from .small import BASE, measure, ran


def leases(*faults):
    """The share of good leases before, during and after faults from 4 s to 8 s."""
    result = run(Scenario.model_validate({
        "name": "leases", "duration": "12s",
        "services": {"giver": {"code": "tests.faults.leases:Giver"}, "checker": {"code": "tests.faults.leases:Checker", "instances": 2}},
        "workloads": {"users": {"rate": "50/s", "arrivals": "uniform", "to": "giver", "mix": [{"send": "GET /lease"}]}},
        "faults": [{"schedule": {"at": "4s", "for": "4s"}, "kind": "clock.skew", **fault} for fault in faults],
    }))
    return [measure(result, "success_ratio", "users", window) for window in ((1, 3.9), (4.1, 7.9), (8.1, 11.9))]


@pytest.mark.parametrize(("fault", "good"), [
    ({"target": {"service": "checker"}, "offset": "9s"}, 1.0),
    ({"target": {"service": "checker"}, "offset": "11s"}, 0.0),
    ({"target": {"instance": "checker-0"}, "offset": "11s"}, 0.5),
    ({"target": {"service": "giver"}, "offset": "11s"}, 1.0),
    ({"target": {"service": "giver"}, "offset": "11s", "direction": "behind"}, 0.0),
    ({"target": {"service": "checker"}, "offset": "20s", "ramp": {"up": "4s"}}, 0.5),
])
def test_leases_are_judged_by_the_clock_of_whoever_looks(fault, good):
    """A checker that is 11 s ahead finds leases of 10 s over, and so does one that gets them from a giver 11 s behind."""
    assert leases(fault) == [1.0, pytest.approx(good, abs=0.03), 1.0]


def test_skews_add_up_and_cancel_out():
    """6 and 5 s are 11; both clocks wrong by the same are right to each other."""
    ahead = [{"name": offset, "target": {"service": "checker"}, "offset": offset} for offset in ("6s", "5s")]
    assert leases(*ahead)[1] == 0
    assert leases(*ahead, {"name": "giver", "target": {"service": "giver"}, "offset": "11s"}) == [1, 1, 1]


def test_a_cache_that_is_ahead_forgets_what_it_has_and_keeps_what_comes():
    """A minute ahead with a time to live of half a minute: all is over at once, and is then loaded again; set right, that is kept."""
    skew = {"kind": "clock.skew", "target": {"service": "cache"}, "offset": "1m"}
    result = ran(skew, services__cache__ttl="30s")
    misses = [(measure(result, "offered", "front->db", window) - 100) * (window[1] - window[0]) for window in ((2, 3.9), (3.9, 6), (8, 10))]
    assert misses == pytest.approx([0, 20, 0], abs=1.5)
    assert measure(result, "latency.mean", "reads", (9, 11)) == pytest.approx(BASE["reads"], abs=1e-4)
