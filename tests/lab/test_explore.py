"""The search for the smallest fault: where it strikes first, what it finds, how small it makes it, and that it replays."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from reports.exploring import LINES as IN_SPANISH
from reports.exploring import explored, in_language
from reports.texts import Words
from sim import loads
from sim.errors import InvalidInput
from sim.lab.explore import explore
from sim.lab.explore.explanation import LINES, Line, told
from sim.lab.explore.search import candidates, guided_order, random_order, written
from sim.lab.explore.shrink import shrunk
from sim.lab.explore.strikes import LATENCIES, LENGTHS, ONCE, Means, Strike
from sim.lab.explore.trials import Trials, faults_of, judged, run_under
from sim.lab.measuring import Evidence, measured
from sim.scenario.trial import refuse_unsound

ROOT = Path(__file__).parents[2]

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
    good = run_under(shop, [], 1)
    every = candidates(shop, good)
    first = guided_order(shop, every, good).next(4)
    assert [strike.part.rpartition("->")[2] for strike, in first[:1]] == ["prices"]
    assert not any(strike.part in ("users->front", "front") for strike in every)


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
    """First the measures, then what happened in the order of time: the fault, the edge that was hit, the one behind which users stand."""
    assert found.lines[0].startswith("broken: ")
    lines = [line.removeprefix("t=").partition("s  ") for line in found.lines if line.startswith("t=")]
    at, what = [float(seconds) for seconds, _, _ in lines], [text.split()[0] for _, _, text in lines]
    fault = found.plan[0]["name"]
    assert at == sorted(at) and what.index("front->prices", 1) < what.index("users->front")
    assert fault in lines[0][2] and fault in what and not any(f"front->{name}" in what for name in EXTRAS)
    assert told([], run_under(shop, [], 1), run_under(shop, [], 1), {}) == []


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


def test_the_command_that_it_names_repeats_the_run_to_the_byte(tmp_path):
    """Run as it is written in the plan's head, from the files alone: the digest is the one that the plan promises, and the verdict is
    that the steady state fell short. The scenario's own faults, and what would end a run early, are left out of both."""
    path, plan = tmp_path / "my shop.yaml", tmp_path / "plan.yaml"
    own = 'faults: [{kind: http.abort, target: {service: prices}, schedule: {at: 3s, for: 15s}}]'
    path.write_text(f"{SHOP}{own}\nabort_if: [{{measure: success_ratio, of: users, at_most: 99.9%}}]\n")
    overrides = ["warmup=1s", "title=a user's shop"]
    found = explored(str(path), runs=8, jobs=1, seed=5, duration="14s", overrides=overrides, variant=None, out=str(plan), at_random=False)
    command = shlex.split(plan.read_text().splitlines()[1].removeprefix("#"))
    done = subprocess.run([sys.executable, ROOT / "cli.py", *command[1:], "--no-report", "--format", "json", "--out", tmp_path / "out"],
                          capture_output=True, text=True, check=False)
    summary = json.loads(done.stdout)
    assert found.data["digest"] == summary["digest"] and found.data["digest"] in plan.read_text()
    assert done.returncode == 1 and summary["verdict"] == "fail"


# what is told


def what_happened(scenario, *faults, at="front->prices"):
    """Of a run under these faults, by the edge that is told of."""
    good, bad = run_under(scenario, [], 1), run_under(scenario, list(faults), 1)
    lines = map(str, told([], bad, good, {fault["name"]: at for fault in faults}))
    return {line.split()[1]: line for line in lines}


def test_calls_that_never_end_are_told(shop):
    """Without a timeout of their own, datagrams that were swallowed have no end, whatever becomes of the users who wait for them."""
    datagrams = "duration: 24s\nnetwork: {links: {front->prices: {transport: datagram}}}\n"
    patient = loads(SHOP.replace("      prices: {policies: [{timeout: 1s}]}\n", "").replace("duration: 24s\n", datagrams))
    swallow = {"name": "gone", "kind": "network.partition", "target": {"link": "front->prices", "direction": "both"},
               "schedule": {"at": "8s", "for": "2s"}}
    lines = what_happened(patient, swallow)
    hanging = int(lines["front->prices"].partition("hangs: ")[2].split()[0])
    assert 50 < hanging < 110 and "users->front fails" in lines["users->front"]


def test_what_is_slow_is_told_with_how_slow(shop):
    """300 ms more on one link for 5 s are felt by its callers and by theirs, by as much, and by nobody else."""
    delay = {"name": "late", "kind": "network.delay", "target": {"link": "front->prices"}, "schedule": {"at": "8s", "for": "5s"}, "latency": "300ms"}
    lines = what_happened(shop, delay)
    assert set(lines) == {"front->prices", "users->front", "late"}
    assert all(300 < int(lines[edge].partition("takes ")[2].partition("ms")[0]) < 340 for edge in ("front->prices", "users->front"))


def test_chance_is_not_told(shop):
    """A fault that touches nothing leaves nothing to tell but itself, although no two seeds are alike."""
    nothing = {"name": "none", "kind": "network.delay", "target": {"link": "front->prices"}, "schedule": {"at": "8s", "for": "5s"}, "latency": "0s"}
    good, other = run_under(shop, [], 1), run_under(shop, [nothing], 2)
    assert [str(line).split()[1] for line in told([], other, good, {"none": "front->prices"})] == ["front->prices", "none"]


# what can be tried, and what counts as broken


def test_every_strike_is_a_fault_that_the_scenario_can_have():
    """At its worst and at its least, on a system with zones, a registry, a database, a cache and a broker."""
    everything = loads("""
name: everything
duration: 20s
network: {zones: {a: {}, b: {}}, between_zones: {latency: 1ms}}
registry: {}
services:
  front: {instances: 2, zone: spread, endpoints: {GET /: [{cache: shelf, key: {uniform: 9}, miss: [{query: books}]}, {publish: seen}, {call: prices}]}}
  prices: {instances: 2, zone: spread, endpoints: {GET /: []}, subscribe: {seen: []}}
  shelf: {kind: cache, capacity: 10}
  books: {kind: database}
  events: {kind: broker}
workloads: {users: {rate: 10/s, to: front, mix: [{send: GET /}]}}
steady_state: [{measure: success_ratio, of: users, at_least: 90%}]
""")
    every = candidates(everything, run_under(everything, [], 1))
    for strikes in (every, [strike.changed(rung=0, length=1) for strike in every]):
        refuse_unsound(everything.model_copy(update={"faults": faults_of(written(strikes))}))
    kinds = {strike.kind.partition(".")[0] for strike in every}
    assert kinds == {"network", "http", "instance", "db", "cache", "broker", "zone", "registry", "load"}


def test_striking_at_random_takes_any_time_length_and_severity(shop):
    """All rungs of a ladder and all lengths and times come up, and now and then two faults at once."""
    order = random_order(shop, candidates(shop, run_under(shop, [], 1)), 1)
    plans = order.next(600)
    delays = [strike for plan in plans for strike in plan if strike.kind == "network.delay"]
    assert {strike.rung for strike in delays} == set(range(len(LATENCIES)))
    assert {strike.length for strike in delays} == {1, 2, 5} and len({strike.at for strike in delays}) == 3
    assert 100 < sum(len(plan) == 2 for plan in plans) < 300 and max(map(len, plans)) == 2


def test_what_chance_breaks_in_the_good_run_too_does_not_count():
    """One request in twenty fails by itself, and in some seconds more: a fault elsewhere, in such a second, has not broken anything."""
    unlucky = loads("""
name: unlucky
duration: 60s
services: {api: {endpoints: {GET /: [{fail: {share: 5%}}]}}, spare: {endpoints: {GET /: []}}, other: {endpoints: {GET /: [{call: spare}]}}}
workloads:
  users: {rate: 30/s, to: api, mix: [{send: GET /}]}
  others: {rate: 30/s, to: other, mix: [{send: GET /}]}
steady_state: [{measure: success_ratio, of: users, at_least: 94%}]
""")
    good = run_under(unlucky, [], 1)
    evidence, asked = Evidence.of(good), unlucky.steady_state[0]
    second = next(at for at in range(20, 50) if (measured(evidence, asked, at, at + 1) or 0) < 0.94)
    plan = [{"name": "else", "kind": "http.abort", "target": {"link": "other->spare"}, "schedule": {"at": f"{second}s", "for": "1s"}}]
    assert not judged(good).failed and judged(run_under(unlucky, plan, 1)).failed
    with Trials(unlucky, good, 1) as trials:
        assert not trials.breaks(plan)


# shrinking, against an obvious judge


def strike(kind="network.delay", rung=9, length=60, mode=None, field="latency", ladder=LATENCIES):
    target = (("service", "x"), ("mode", mode)) if mode else (("link", "a->b"),)
    return Strike(Means(kind, 1.0, 1.0, field, ladder), "a->b", (("a->b", 1.0),), target, 10.0, length, rung)


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
    whole = strike("instance.pause", rung=0, mode="all", field=None, ladder=ONCE)
    (one,) = shrunk([whole], lambda some: True)
    (everyone,) = shrunk([whole], lambda some: dict(some[0].target)["mode"] == "all")
    assert dict(one.target)["mode"] == "one" and dict(everyone.target)["mode"] == "all"


def test_a_fault_that_has_degrees_takes_the_place_of_one_that_has_none():
    """A delay of the same link does what the partition did, and then the least delay; a delay that does not leaves the partition."""
    total, others = strike("network.partition", rung=0, field=None, ladder=ONCE), [strike()]
    (mild,) = shrunk([total], lambda some: some[0].kind == "network.partition" or some[0].rung >= 4, others)
    (same,) = shrunk([total], lambda some: some[0].kind == "network.partition", others)
    assert (mild.kind, mild.rung, mild.length) == ("network.delay", 4, 1) and (same.kind, same.length) == ("network.partition", 1)


def test_what_happened_is_told_in_spanish_too():
    """Every line there is, with its numbers as Spanish writes them; the check's phase, and what was measured in the bound's notation."""
    check = {"title": "answers during the faults", "phase": "during", "measure": "success_ratio", "op": "at_least", "bound": 0.99,
             "measured": 0.980198}
    lines = [Line("broken", check), Line("slow", {"edge": "a->b", "worst_ms": 1250.0, "usual_ms": 20.0, "until": 61.5}, 60.25)]
    assert [str(line) for line in lines] == [
        "broken: answers during the faults: 98.02%, at least 99% was asked for",
        "t=60.250s  a->b is slow: at worst it takes 1250ms on average, 20ms in the good run; until 61.5s"]
    assert [in_language(line, Words("es")) for line in lines] == [
        "roto: answers durante los fallos: 98,02 %, se pedía al menos 99 %",
        "t=60,250 s  a->b va lenta: en lo peor tarda 1,25 s de media, 20 ms en la ejecución buena; hasta 61,5 s"]
    assert set(IN_SPANISH) == set(LINES)
