"""Overlapping faults: they stack and unstack in any order, and where they commute the order makes no difference."""

from __future__ import annotations

import math
from itertools import permutations

import pytest

from sim.faults.injection import Holds, Layers
from sim.lab.run import run

from .small import AFTER, BASE, DURING, measure, ran, scenario

BACK = {"service": "back"}
CACHE = {"service": "cache"}
LINK = {"link": "front->back"}
PAIRS = [  # of one kind, with other severities or other targets that overlap; pairs of the same are in test_kinds
    ({"kind": "network.partition", "target": LINK}, {"kind": "network.partition", "target": {"link": "*->back"}}),
    ({"kind": "instance.kill", "target": BACK}, {"kind": "instance.kill", "target": {"instance": "back-1"}}),
    ({"kind": "instance.unavailable", "target": BACK}, {"kind": "instance.unavailable", "target": {"instance": "back-1"}}),
    ({"kind": "instance.pause", "target": BACK}, {"kind": "instance.pause", "target": {"zone": "b"}}),
    ({"kind": "instance.slow", "factor": 3, "target": BACK}, {"kind": "instance.slow", "factor": 1.1, "target": BACK}),
    ({"kind": "resource.cpu", "load": "30%", "target": BACK}, {"kind": "resource.cpu", "load": "60%", "target": BACK}),
    ({"kind": "cache.limit", "share": "0.5%", "target": CACHE}, {"kind": "cache.limit", "share": "1%", "target": CACHE}),
    ({"kind": "network.duplicate", "target": LINK}, {"kind": "network.duplicate", "probability": "30%", "target": BACK}),
]
SHADOWS = {"network.partition", "instance.kill", "instance.unavailable"}  # the one takes all that the other could have hit, which is warned of
TIMES = [("2s", "6s"), ("4s", "4s"), ("3s", "2s")]  # (at, for): nested in each other, ending together, one within the other


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[pair[0]["kind"] for pair in PAIRS])
def test_two_on_one_target_unstack_in_any_order(first, second):
    """Whichever ends first, the other goes on alone, and after both every figure is the baseline."""
    for mine, other in ((0, 1), (0, 2), (2, 1)):
        one = {**first, "name": "one", "schedule": dict(zip(("at", "for"), TIMES[mine], strict=True))}
        two = {**second, "name": "two", "schedule": dict(zip(("at", "for"), TIMES[other], strict=True))}
        result = ran(one, two)
        for workload, base in BASE.items():
            assert measure(result, "success_ratio", workload, AFTER) == 1
            assert measure(result, "latency.mean", workload, AFTER) == pytest.approx(base, abs=1e-9 if workload != "reads" else 0.0015)
            assert measure(result, "offered", workload, AFTER) == pytest.approx(100, abs=1)
        assert not result.summary["warnings"] or first["kind"] in SHADOWS


def test_delays_add_and_survival_multiplies():
    """20 and 70 ms are 90 ms; of what a loss of 20 % lets through, another of 25 % lets three quarters through."""
    delays = [{"kind": "network.delay", "name": latency, "latency": latency, "target": LINK} for latency in ("20ms", "70ms")]
    assert measure(ran(*delays), "latency.mean", "web", DURING) - BASE["web"] == pytest.approx(0.09, abs=1e-9)
    losses = [{"kind": "network.loss", "name": name, "loss": loss, "transport": "datagram", "target": LINK}
              for name, loss in (("a", "20%"), ("b", "25%"))]
    assert measure(ran(*losses), "success_ratio", "web", DURING) == pytest.approx(0.6, abs=0.08)


def test_pools_that_are_taken_from_add_up():
    """30 % and 50 % of 20 workers are gone, each counted from all of them: 4 of 20 are left, whoever came first."""
    one, two = ({"kind": "resource.pool", "name": taken, "taken": taken, "target": BACK, "schedule": {"at": at, "for": "4s"}}
                for taken, at in (("30%", "3s"), ("50%", "4s")))
    slow = {"kind": "instance.slow", "factor": 100, "target": BACK, "schedule": {"at": "4500ms", "for": "2s"}}
    for faults in ((one, two, slow), (two, one, slow)):
        busy = ran(*faults).series("back", "busy")
        assert busy.mean[(busy.at > 5.5) & (busy.at < 6.4)].max() == pytest.approx(3 * 4)


@pytest.mark.parametrize("cpu", [{}, {"services__back__cpu": {"cores": 2}}], ids=["workers", "cpu"])
@pytest.mark.parametrize("factor", [1e6, 1e-6, 1e-300])
def test_any_number_of_slow_downs_is_survived(factor, cpu):
    """Sixty at once, whose product is no number any more, end nothing but the work of their time."""
    many = [{"kind": "instance.slow", "factor": factor, "name": f"s{number}", "target": BACK} for number in range(60)]
    result = run(scenario(*many, duration="10s", **cpu))
    assert measure(result, "success_ratio", "web", (4.25, 6.75)) == (0 if factor > 1 else 1)
    assert measure(result, "success_ratio", "data", AFTER) == 1


def test_a_killed_instance_stays_down_until_the_last_fault_lets_it_go():
    """Killed from 2 to 8 s and from 3 to 5 s: it is down until 8 s."""
    long, short = ({"kind": "instance.kill", "name": name, "target": BACK, "schedule": {"at": at, "for": length}}
                   for name, at, length in (("long", "2s", "6s"), ("short", "3s", "2s")))
    for faults in permutations((long, short)):
        result = ran(*faults)
        assert measure(result, "success_ratio", "web", (5.5, 7.9)) == 0
        assert measure(result, "success_ratio", "web", (8.1, 11.0)) == 1


def test_a_new_process_stands_still_for_the_pauses_that_are_laid_on_it():
    """Paused from 2 to 11 s, started anew at 3.5 s: only a pause from 5 to 7 s is felt by the new process, and all of it."""
    one = {"instance": "back-0"}
    plan = [("instance.pause", "long", "2s", "9s"), ("instance.kill", "restart", "3s", "500ms"), ("instance.pause", "short", "5s", "2s")]
    result = ran(*({"kind": kind, "name": name, "target": one, "schedule": {"at": at, "for": length}} for kind, name, at, length in plan))
    assert measure(result, "latency.max", "web", (4.0, 4.9)) == pytest.approx(BASE["web"])
    assert measure(result, "latency.max", "web", (5.0, 6.0)) == pytest.approx(1.003)  # the caller's patience
    assert measure(result, "latency.max", "web", (7.5, 10.5)) == pytest.approx(BASE["web"])


def test_the_order_in_a_plan_makes_no_difference_where_faults_commute():
    """Three faults in all six orders: the same requests to the byte."""
    faults = [
        {"kind": "network.delay", "name": "slow", "latency": "20ms", "jitter": "5ms", "target": LINK},
        {"kind": "instance.slow", "name": "gray", "factor": 3.3, "target": {**BACK, "mode": "one"}, "schedule": {"at": "3s", "for": "3s"}},
        {"kind": "http.abort", "name": "bad", "probability": "20%", "target": {"service": "db"}},
    ]
    assert len({ran(*order).requests.rows.tobytes() for order in permutations(faults)}) == 1


def test_every_random_fault_has_dice_of_its_own():
    """Another fault, on other messages, moves none of its draws."""
    bad = {"kind": "http.abort", "name": "bad", "probability": "20%", "target": {"service": "db"}}
    alone, beside = ran(bad), ran(bad, {"kind": "network.loss", "name": "loss", "loss": "20%", "target": LINK})
    data = alone.names.workloads.index("data")
    rows = [sorted((row[3], row[6]) for row in result.requests.rows.tolist() if row[1] == data) for result in (alone, beside)]
    assert rows[0] == rows[1]
    assert any(status != 200 for _, status in rows[0])


def test_a_fault_that_never_comes_changes_nothing():
    """With a plan whose time is after the end of the run, requests and spans are those of the run without it."""
    with_it = run(scenario({"kind": "instance.kill", "target": BACK, "schedule": {"at": "100s", "for": "1s"}}))
    without = run(scenario())
    assert with_it.requests.rows.tobytes() == without.requests.rows.tobytes()
    assert with_it.spans.rows.tobytes() == without.spans.rows.tobytes()


def test_layers_leave_the_number_exactly_as_it_was():
    """Multiplied by factors that come and go in any order, it is never a rounding error off, nor different by who came first."""
    together = set()
    for order in permutations((1.1, 3.3, 0.7, 1.3)):
        value = [0.1]
        layers = Layers(0.1, math.prod, lambda new, value=value: value.__setitem__(0, new))
        for factor in order:
            layers.lay(factor, factor)
        together.add(value[0])
        for factor in order[1:] + order[:1]:
            layers.lift(factor)
        assert value == [0.1]
    assert len(together) == 1


def test_the_first_hold_begins_and_the_last_one_ends():
    """Between them nothing happens."""
    log: list[str] = []
    holds = Holds(lambda: log.append("down"), lambda: log.append("up"))
    holds.hold("a")
    holds.hold("b")
    holds.release("a")
    assert log == ["down"]
    holds.release("b")
    assert log == ["down", "up"]
