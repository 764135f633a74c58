"""What holds for every kind of fault alike: they stack and unstack, heal, commute, ramp, repeat, and say so if they changed nothing."""

from __future__ import annotations

import functools

import pytest
from pydantic import ValidationError

from sim.faults.faults import FAULTS
from sim.lab.run import run

from .kinds import KINDS, LINK, fault
from .small import measure
from .test_plans import small

LATE = (9.5, 11.9)  # the faults are over by 4 s, and a caller's watch of the registry may take 5 s to try again
NESTINGS = [(("1s", "3s"), ("2s", "1s")), (("1s", "2s"), ("2s", "2s")), (("2s", "1s"), ("1s", "2s"))]  # of (at, for) in each other


def ran(*plan, duration="12s"):
    """The small world, whose connections are kept, so that every time in it is a constant."""
    return run(small(list(plan), duration, connection_age="1h"))


@functools.cache
def calm():
    """The world without a fault."""
    return figures(ran())


def healed(result):
    """At the end every figure is that of the world without a fault."""
    assert figures(result) == {name: pytest.approx(values, abs=1e-6) for name, values in calm().items()}


def figures(result):
    """Of each workload at the end of the run: rate, share of good answers, mean latency."""
    return {name: [measure(result, what, name, LATE) for what in ("offered", "success_ratio", "latency.mean")]
            for name in ("web", "data", "reads", "news")}


def test_every_kind_is_here():
    """A new kind needs a line in `kinds.py`."""
    assert set(KINDS) == set(FAULTS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_two_of_a_kind_on_one_target_stack_and_unstack_in_any_order_and_heal(kind):
    """However they are nested, each is on for its own time, and afterwards every figure is the one of a world without faults."""
    for windows in NESTINGS:
        result = ran(*(fault(kind, name, *window) for name, window in zip("ab", windows, strict=True)))
        healed(result)
        assert sorted(interval.name for interval in result.faults) == ["a", "b"]
        assert all(interval.until is not None for interval in result.faults)


@pytest.mark.parametrize("kind", list(KINDS))
def test_neither_the_order_in_the_plan_nor_another_fault_beside_it_moves_it(kind):
    """With another of its kind, and with each of two others, in both orders: the same run to the byte, though they begin in one instant."""
    kinds = list(KINDS)
    others = [kinds[(kinds.index(kind) + step) % len(kinds)] for step in (0, 1, 5)]
    for other in others:
        plan = [fault(kind, "a", "1s", "1s"), fault(other, "b", "1s", "1s")]
        assert ran(*plan, duration="3s").digest == ran(*plan[::-1], duration="3s").digest, other


BESIDE = {"registry.stale": [fault("instance.kill", "news", "1200ms", "1s", grace="1ms")]}  # without any nothing is stale


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_hits_something_and_says_so(kind):
    """No warning; its event when it ends counts what it hit."""
    result = ran(fault(kind, "a", "1s", "1s"), *BESIDE.get(kind, []), duration="3s")
    assert result.summary["warnings"] == []
    (off,) = [event for event in result.events if event["kind"] == "fault.off" and event["name"] == "a"]
    assert off["hits"] > 0
    assert off["targets"]


NO_LOAD = {"kind": "load.surge", "name": "nobody", "target": {}, "factor": 0.0}
OF_MESSAGES = [kind for kind in KINDS if kind.partition(".")[0] in ("network", "http", "dns")]
OF_MESSAGES += ["db.error", "db.lock", "broker.redeliver", "broker.poison"]


@pytest.mark.parametrize("kind", OF_MESSAGES)
def test_what_met_nothing_is_a_warning_that_says_so(kind):
    """Nobody asks for anything: no message, no statement, no acknowledgement is there to be hit."""
    of_a_link = {"target": LINK} if kind.startswith("http.") else {}  # health checks are requests too
    result = ran(NO_LOAD, fault(kind, "a", "1s", "1s", **of_a_link), duration="3s")
    (warning,) = result.summary["warnings"]
    assert (warning["name"], warning["fault"]) == ("a", kind)
    assert any(word in warning["why"] for word in ("no message", "no request", "no statement", "nobody acknowledged"))
    assert [event["why"] for event in result.events if event["kind"] == "fault.missed"] == [warning["why"]]


RAMPED = [kind for kind, cls in FAULTS.items() if cls.severity is not None]


def left(result):
    """All that a run leaves, but for how long it took and when its faults were on."""
    apart = {"wall_s", "events", "faults", "digest"}
    return result.requests.rows.tobytes(), result.spans.rows.tobytes(), {key: value for key, value in result.summary.items() if key not in apart}


@pytest.mark.parametrize("kind", RAMPED)
def test_a_ramp_of_its_one_severity_changes_the_run_and_heals(kind):
    """Rising and falling, beside the death of an instance, it does something else than at its full height, and leaves nothing behind."""
    kill = {"kind": "instance.kill", "name": "kill", "target": {"instance": "back-2"}, "schedule": {"at": "1200ms", "for": "1s"}}
    flat, ramped = (ran(fault(kind, "a", "1s", "3s", **ramp), kill) for ramp in ({}, {"ramp": {"up": "1500ms", "down": "1500ms"}}))
    assert left(flat) != left(ramped)
    healed(ramped)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind not in RAMPED])
def test_what_has_no_severity_takes_no_ramp(kind):
    """It is refused, with the cure."""
    with pytest.raises(ValidationError, match="no severity"):
        small([fault(kind, "a", "1s", "1s", ramp={"up": "1s"})])


def test_all_kinds_at_once_heal_and_their_order_in_the_plan_is_nothing():
    """Each for a second, a new one each 50 ms, so that twenty are on at a time. In the end nothing is left of any."""
    plan = [fault(kind, kind, f"{1000 + 50 * number}ms", "1s") for number, kind in enumerate(KINDS)]
    result = ran(*plan)
    assert len(result.faults) == len(KINDS)
    healed(result)
    assert ran(*plan[::-1]).digest == result.digest
