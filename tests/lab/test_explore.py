"""The search for the smallest fault: where it strikes first, what it finds, how small it makes it, and that it replays."""

from statistics import mean

import pytest

from sim import loads
from sim.errors import InvalidInput
from sim.lab.explore import explore
from sim.lab.explore.explanation import told
from sim.lab.explore.shrink import shrunk
from sim.lab.explore.strikes import LATENCIES, LENGTHS, ONCE, Strike, strikes
from sim.lab.explore.support import support_of
from sim.lab.explore.trials import judged, run_under

# Six dependencies can be done without; `prices` cannot, and has no timeout that would be shorter than the user's patience.
SHOP = """
name: shop
duration: 24s
warmup: 2s
services:
  front:
    instances: 2
    workers: 200
    uses:
SOFT
      prices: {policies: [{timeout: 1s}]}
    endpoints: {GET /: [{work: 1ms}, {call: prices GET /}, CALLS]}
  prices: {workers: 50, endpoints: {GET /: [{work: {exponential: 5ms}}]}}
NODES
workloads:
  users: {executor: constant-arrival-rate, rate: 40/s, to: front, timeout: 3s, mix: [{send: GET /}]}
steady_state:
  - {name: answers, measure: success_ratio, of: users, at_least: 97%}
  - {name: fast, measure: latency.p95, of: users, at_most: 800ms}
"""
EXTRAS = ["ads", "reviews", "stock", "related", "history", "badges"]
SHOP = (
    SHOP.replace("SOFT", "\n".join(f"      {name}: {{policies: [{{fallback: {{on: [any]}}}}, {{timeout: 50ms}}]}}" for name in EXTRAS))
    .replace("CALLS", ", ".join(f"{{call: {name} GET /}}" for name in EXTRAS))
    .replace("NODES", "\n".join(f"  {name}: {{workers: 50, endpoints: {{GET /: [{{work: 2ms}}]}}}}" for name in EXTRAS))
)


@pytest.fixture(scope="module")
def shop():
    return loads(SHOP)


@pytest.fixture(scope="module")
def found(shop):
    return explore(shop, runs=40)


def test_it_strikes_first_where_all_requests_pass_and_nothing_stands_in(shop):
    """What every request needs and no fallback softens comes before what can be done without; the front door is left alone."""
    support = support_of(run_under(shop, [], 1), shop)
    assert support.edges["front->prices"] > 0.99 and support.soft == {f"front->{name}" for name in EXTRAS}
    order = strikes(shop, support, 5.0, 5)
    assert order[0].part in ("front->prices", "prices")
    assert not any(strike.part in ("users->front", "front") for strike in order)


def test_it_finds_the_weak_spot_at_once_and_makes_it_small(found):
    """The first strike breaks the steady state; what is left of it is one fault of the shortest length that does."""
    assert found.well and found.runs_to_find == 1
    (fault,) = found.plan
    assert "prices" in str(fault["target"]) and LENGTHS.index(int(fault["schedule"]["for"][:-1])) < LENGTHS.index(10)


def test_a_shorter_one_would_not_have_broken_it(shop, found):
    """The plan breaks it; the same with the next shorter length does not."""
    (fault,) = found.plan
    assert judged(run_under(shop, found.plan, found.seed)).broken
    length = int(fault["schedule"]["for"][:-1])
    if length > LENGTHS[0]:
        shorter = {**fault, "schedule": {**fault["schedule"], "for": f"{LENGTHS[LENGTHS.index(length) - 1]}s"}}
        assert not judged(run_under(shop, [shorter], found.seed)).broken


def test_what_was_found_replays_to_the_byte_and_does_not_depend_on_the_number_of_processes(shop, found):
    """Two processes find the same as one, and the plan gives the same digest every time."""
    assert explore(shop, runs=40, jobs=2) == found
    assert run_under(shop, found.plan, found.seed).digest == run_under(shop, found.plan, found.seed).digest


def test_it_tells_what_broke_and_how_it_spread(shop, found):
    """First the measures, then the edges in the order of time: the one that was hit comes before the one behind which users stand."""
    assert found.lines[0].startswith("broken: ")
    edges = [line.split()[1] for line in found.lines if line.startswith("t=")]
    assert {"front->prices", "users->front"} <= set(edges) and not any(f"front->{name}" in edges for name in EXTRAS)
    assert told(run_under(shop, [], 1), run_under(shop, [], 1), 5.0) == []


@pytest.mark.validate
def test_it_needs_fewer_runs_than_striking_at_random(shop):
    """The yardstick: the mean number of runs until the first violation, over ten random orders."""
    at_random = [explore(shop, seed, runs=60, jobs=2, at_random=True).runs_to_find for seed in range(10, 20)]
    guided = [explore(shop, seed, runs=60, jobs=2).runs_to_find for seed in (10, 11)]
    assert mean(guided) < 0.5 * mean(at_random)


def test_a_system_that_is_not_well_by_itself_is_not_searched():
    """What fails without any fault is told instead."""
    sick = explore(loads(SHOP.replace("work: {exponential: 5ms}", "fail: {share: 10%}")), runs=5)
    assert not sick.well and not sick.plan and "answers" in sick.lines[0]


def test_without_a_steady_state_there_is_nothing_to_break():
    """The cure is in the message."""
    with pytest.raises(InvalidInput, match="say what must hold"):
        explore(loads(SHOP.partition("steady_state")[0]))


def test_where_nothing_breaks_the_budget_ends_the_search():
    """A bound that always holds is not broken, and no more runs are made than were allowed."""
    easy = SHOP.partition("steady_state")[0] + "steady_state: [{measure: success_ratio, of: users, at_least: 0%}]\n"
    found = explore(loads(easy), runs=6)
    assert found.well and not found.plan and found.runs == 6


# shrinking, against an obvious judge


def strike(kind="network.delay", rung=9, length=60, mode=None, ladder=LATENCIES):
    target = (("service", "x"), ("mode", mode)) if mode else (("link", "a->b"),)
    return Strike(kind, "a->b", target, "latency", ladder, rung, 10.0, length, 1.0)


def test_faults_that_are_not_needed_go():
    """Of three, the one that does it stays."""
    plan = [strike(kind=f"network.{name}") for name in ("delay", "loss", "reset")]
    assert [one.kind for one in shrunk(plan, lambda some: any(one.kind == "network.loss" for one in some))] == ["network.loss"]


@pytest.mark.parametrize("least", range(len(LATENCIES)))
def test_severity_goes_down_to_the_least_that_does_it(least):
    """Whatever rung is the first to break it, that one is found."""
    (small,) = shrunk([strike()], lambda some: some[0].rung >= least)
    assert small.rung == least


@pytest.mark.parametrize("least", [length for length in LENGTHS if length <= 60])
def test_length_goes_down_to_the_least_that_does_it(least):
    """The same for the length."""
    (small,) = shrunk([strike()], lambda some: some[0].length >= least)
    assert small.length == least


def test_all_instances_become_one_where_one_is_enough():
    """And stay all where they are needed."""
    (one,) = shrunk([strike(mode="all", ladder=ONCE, rung=0)], lambda some: True)
    (everyone,) = shrunk([strike(mode="all", ladder=ONCE, rung=0)], lambda some: dict(some[0].target)["mode"] == "all")
    assert dict(one.target)["mode"] == "one" and dict(everyone.target)["mode"] == "all"
