"""Balancers: whom they pick, and what they leave out."""

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from sim.resilience.balancers import (
    BALANCERS,
    LeastRequest,
    Maglev,
    PeakEwma,
    PowerOfTwoChoices,
    Random,
    RingHash,
    RoundRobin,
    SlowStart,
    Weighted,
    ZoneAware,
)
from sim.resilience.outcomes import Outcome
from sim.spec import OneKey

ALL = [RoundRobin, Random, Weighted, LeastRequest, PowerOfTwoChoices, PeakEwma, RingHash, lambda **kw: Maglev(499, **kw),
       lambda **kw: ZoneAware(zone="a", **{"panic": 0.0, **kw})]
HASHING = [RingHash, lambda: Maglev(499)]


@dataclass(eq=False)
class Host:
    name: str
    weight: float = 1.0
    zone: str | None = None
    healthy: bool = True


def hosts(count, **fields):
    return [Host(f"h{number}", **fields) for number in range(count)]


def picks(balancer, pool, count, seed=1, now=0.0, **options):
    rng = random.Random(seed)
    return [getattr(balancer.pick(pool, now, rng, **options), "name", None) for _ in range(count)]


@pytest.mark.parametrize("balancer", ALL)
def test_an_unhealthy_host_gets_nothing_and_everybody_else_something(balancer):
    """Four hosts, one of them ill: the other three share 300 calls with different keys."""
    pool = hosts(4)
    pool[2].healthy = False
    one, rng = balancer(), random.Random(1)
    counted = Counter(one.pick(pool, 0.0, rng, key=number).name for number in range(300))
    assert set(counted) == {"h0", "h1", "h3"}


@pytest.mark.parametrize("balancer", ALL)
def test_whoever_is_excluded_is_not_picked(balancer):
    """A retry goes elsewhere, whether the host or its name is excluded; with all excluded there is nobody."""
    pool = hosts(3)
    for excluded in (pool[0], pool[1].name):
        assert getattr(excluded, "name", excluded) not in picks(balancer(), pool, 30, exclude=[excluded])
        assert getattr(excluded, "name", excluded) not in picks(balancer(), pool, 30, exclude={excluded})
    assert picks(balancer(), pool, 1, exclude=pool) == [None]


@pytest.mark.parametrize("balancer", ALL)
def test_where_nobody_is_there_nobody_is_picked(balancer):
    """No hosts, or no healthy one: None."""
    assert picks(balancer(), [], 1) == [None]
    assert picks(balancer(), hosts(3, healthy=False), 1) == [None]


@pytest.mark.parametrize("balancer", ALL)
def test_a_single_host_gets_everything(balancer):
    """One host, twenty calls."""
    assert picks(balancer(), hosts(1), 20) == ["h0"] * 20


@pytest.mark.parametrize("balancer", ALL)
def test_below_the_panic_threshold_health_is_ignored(balancer):
    """One of four healthy, panic below a half: the others get calls too; two of four: they do not."""
    pool = hosts(4)
    for host in pool[1:]:
        host.healthy = False
    one, rng = balancer(panic=0.5), random.Random(1)
    assert len({one.pick(pool, 0.0, rng, key=number).name for number in range(100)}) == 4
    pool[1].healthy = True
    assert {one.pick(pool, 0.0, rng, key=number).name for number in range(100)} == {"h0", "h1"}


def test_round_robin_takes_one_after_the_other():
    """a, b, c, a, b, c; and when one has gone, the others in turn."""
    pool = hosts(3)
    balancer = RoundRobin()
    assert picks(balancer, pool, 6) == ["h0", "h1", "h2"] * 2
    assert picks(balancer, pool[:2], 4) == ["h0", "h1"] * 2


@pytest.mark.parametrize("written", ["round_robin", "weighted", {"round_robin": {"slow_start": "30s"}}])
def test_callers_of_a_scenario_do_not_start_at_the_same_host(written):
    """In turn or by weight, those of a scenario start anywhere, drawn from the caller's own generator, and then keep their order."""
    spec = OneKey("balancer", lambda: BALANCERS).validate(written)
    seen = [picks(spec.build(), hosts(5), 10, seed=seed) for seed in range(40)]
    assert {one[0] for one in seen} == {f"h{number}" for number in range(5)}
    assert all(one[:5] == one[5:] and len(set(one[:5])) == 5 for one in seen)


def test_weights_are_kept_when_a_host_comes_back():
    """Who was ill for a while is not owed what it missed: no burst when it returns."""
    pool = hosts(2)
    balancer = Weighted()
    pool[0].healthy = False
    picks(balancer, pool, 50)
    pool[0].healthy = True
    assert Counter(picks(balancer, pool, 10)) == {"h0": 5, "h1": 5}


def test_the_least_busy_for_its_weight_is_picked():
    """Two calls on a host of weight 3 are less than one call on a host of weight 1."""
    pool = [Host("small"), Host("big", weight=3.0)]
    balancer = LeastRequest()
    for host in (pool[0], pool[1], pool[1]):
        balancer.started(host, 0.0)
    assert set(picks(balancer, pool, 10)) == {"big"}
    balancer.started(pool[1], 1.0)
    assert set(picks(balancer, pool, 50)) == {"small", "big"}, "1 / 1 and 3 / 3 are a tie"
    for host in (*pool, pool[1], pool[1]):
        balancer.finished(host, 2.0, 1.0, Outcome.CANCELLED)
    assert Counter(picks(balancer, pool, 2000))["small"] == pytest.approx(500, abs=60), "idle hosts share by weight, none goes without"


def test_two_choices_are_two_different_hosts():
    """Of two hosts the idle one is always found."""
    pool = hosts(2)
    balancer = PowerOfTwoChoices()
    balancer.started(pool[0], 0.0)
    assert set(picks(balancer, pool, 100)) == {"h1"}


def test_calls_that_ended_leave_no_trace():
    """After as many ends as starts nothing is counted any more."""
    pool = hosts(3)
    for balancer in (LeastRequest(), PowerOfTwoChoices(), PeakEwma()):
        for host in pool * 3:
            balancer.started(host, 0.0)
        for host in pool * 3:
            balancer.finished(host, 1.0, 1.0, Outcome.SUCCESS)
        assert balancer.active == {}


def test_a_peak_counts_at_once_and_is_forgotten_slowly():
    """One slow answer of 1 s among answers of 10 ms: left at once, and after some tens of seconds tried again."""
    pool = hosts(2)
    balancer = PeakEwma(tau=10)
    for host, latency in zip(pool, (1.0, 0.01), strict=True):
        balancer.started(host, 0.0)
        balancer.finished(host, 0.0, latency, Outcome.SUCCESS)
    assert balancer.estimate(pool[0], 0.0) == 1.0
    assert set(picks(balancer, pool, 50)) == {"h1"}
    assert balancer.estimate(pool[0], 10.0) == pytest.approx(0.3679, abs=1e-4)
    balancer.started(pool[1], 50.0)
    balancer.finished(pool[1], 50.0, 0.01, Outcome.SUCCESS)
    assert set(picks(balancer, pool, 50, now=50.0)) == {"h0"}


def test_a_host_that_fails_fast_does_not_look_fast():
    """Errors after 1 ms do not lower an estimate of 100 ms."""
    (host,) = hosts(1)
    balancer = PeakEwma()
    for latency, outcome in ((0.1, Outcome.SUCCESS), (0.001, Outcome.FAILURE)):
        balancer.started(host, 0.0)
        balancer.finished(host, 0.0, latency, outcome)
    assert balancer.estimate(host, 0.0) == 0.1


def test_a_host_that_owes_its_first_answer_is_not_asked_again():
    """Unknown and busy counts as very slow; unknown and idle is tried."""
    pool = hosts(2)
    balancer = PeakEwma()
    balancer.started(pool[0], 0.0)
    balancer.finished(pool[0], 0.0, 0.5, Outcome.SUCCESS)
    assert set(picks(balancer, pool, 20)) == {"h1"}
    balancer.started(pool[1], 0.0)
    assert set(picks(balancer, pool, 20)) == {"h0"}


@pytest.mark.parametrize("balancer", HASHING)
def test_the_same_key_goes_to_the_same_host(balancer):
    """Whatever the generator says, and for another caller's balancer too."""
    pool = hosts(5)
    one, other = balancer(), balancer()
    for key in range(50):
        assert len({one.pick(pool, 0.0, random.Random(seed), key=key) for seed in range(3)}) == 1
        assert one.pick(pool, 0.0, random.Random(1), key=key) is other.pick(pool, 0.0, random.Random(2), key=key)


@pytest.mark.parametrize(("balancer", "moved"), [(RingHash, 0.0), (lambda: Maglev(4999), 0.1)])
def test_a_host_that_leaves_moves_little_more_than_its_own_keys(balancer, moved):
    """Of ten hosts one goes: its tenth of the keys moves; on a ring not one other, in a Maglev table a few."""
    pool, rng, one = hosts(10), random.Random(1), balancer()
    before = {key: one.pick(pool, 0.0, rng, key=key).name for key in range(2000)}
    fewer = [host for host in pool if host.name != "h3"]
    after = {key: one.pick(fewer, 0.0, rng, key=key).name for key in before}
    assert 0.06 < sum(name == "h3" for name in before.values()) / 2000 < 0.14
    assert sum(before[key] != after[key] for key in before if before[key] != "h3") / 2000 <= moved


@pytest.mark.parametrize("balancer", HASHING)
def test_an_ill_host_moves_no_key_of_the_others(balancer):
    """While it is ill its keys go elsewhere, and come back to it afterwards."""
    pool, rng, one = hosts(5), random.Random(1), balancer()
    before = {key: one.pick(pool, 0.0, rng, key=key) for key in range(500)}
    pool[2].healthy = False
    for key, host in before.items():
        now_at = one.pick(pool, 0.0, rng, key=key)
        assert now_at.healthy
        assert host is pool[2] or now_at is host
    pool[2].healthy = True
    assert {key: one.pick(pool, 0.0, rng, key=key) for key in before} == before


def test_a_ring_follows_the_weights():
    """Weights 1 : 3 within a few percent."""
    counted = Counter(picks(RingHash(1000), [Host("a"), Host("b", weight=3.0)], 4000))
    assert counted["b"] / 4000 == pytest.approx(0.75, abs=0.04)


def test_calls_stay_in_their_zone_and_spill_over_as_it_sinks():
    """Zone a with 4 hosts: with one ill all stays (3/4 * 140 % > 100 %), with two ill 30 % goes to zone b."""
    pool = hosts(4, zone="a") + [Host(f"far{number}", zone="b") for number in range(4)]
    balancer = ZoneAware(zone="a")
    pool[0].healthy = False
    assert not any(name.startswith("far") for name in picks(balancer, pool, 200))
    pool[1].healthy = False
    counted = Counter(name[:3] for name in picks(balancer, pool, 4000))
    assert counted["far"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert set(picks(balancer, pool, 400)) == {"h2", "h3", "far0", "far1", "far2", "far3"}


def test_a_caller_without_a_zone_uses_all_hosts():
    """And so does one whose zone has no host."""
    pool = [Host("a", zone="a"), Host("b", zone="b")]
    assert set(picks(ZoneAware(), pool, 10)) == {"a", "b"}
    assert set(picks(ZoneAware(zone="c"), pool, 10)) == {"a", "b"}


def test_a_new_host_starts_slowly():
    """Window 100 s: at 10 s a tenth of its weight, at 50 s half, from 100 s on all of it; who was there at first is warm."""
    old, new = hosts(2)
    slow = SlowStart(window=100)
    slow.look([old], now=0)
    slow.look([old, new], now=1000)
    assert slow.weight(old, 1000) == 1.0
    assert [slow.weight(new, 1000 + age) for age in (0, 10, 50, 99, 100)] == pytest.approx([0.1, 0.1, 0.5, 0.99, 1.0])
    new.healthy = False
    slow.look([old, new], now=2000)
    new.healthy = True
    slow.look([old, new], now=2010)
    assert slow.weight(new, 2010) == pytest.approx(0.1)


@pytest.mark.parametrize("balancer", [Weighted, LeastRequest])
def test_a_balancer_with_slow_start_spares_the_new_host(balancer):
    """Half-way through the window the newcomer gets a third of what two equal hosts share (1 : 2), afterwards a half."""
    pool = hosts(1)
    one = balancer(slow_start=SlowStart(window=100))
    picks(one, pool, 1)
    pool = [*pool, Host("new")]
    picks(one, pool, 1, now=100)
    if balancer is Weighted:
        assert Counter(picks(one, pool, 300, now=150))["new"] == pytest.approx(100, abs=2)
        assert Counter(picks(one, pool, 300, now=250))["new"] == pytest.approx(150, abs=2)
    else:
        assert Counter(picks(one, pool, 3000, now=150))["new"] == pytest.approx(1000, abs=80), "also while both are idle"
        for host in (pool[0], pool[0], pool[1]):
            one.started(host, 150)
        assert set(picks(one, pool, 50, now=150)) == {"h0", "new"}, "two in flight at weight 1 are as many as one at weight 1/2"
        assert set(picks(one, pool, 50, now=250)) == {"new"}


@pytest.mark.parametrize("written", [
    *BALANCERS, {"peak_ewma": {"tau": "2s"}}, {"weighted": {"slow_start": "30s"}}, {"p2c": {"choices": 3}}, {"maglev": {"table_size": 499}},
    {"round_robin": {"slow_start": {"window": "30s", "minimum": "20%"}}}, {"zone_aware": {"inner": "p2c", "panic": "30%"}},
])
def test_every_balancer_can_be_named_in_a_scenario(written):
    """By its word, or as a mapping with its settings; what it builds picks somebody."""
    spec = OneKey("balancer", lambda: BALANCERS).validate(written)
    assert picks(spec.build("a"), hosts(3), 1)[0] is not None
