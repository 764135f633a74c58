"""What leads the search: which parts carried good outcomes, what was learned from plans that held, and what takes over from what."""

from __future__ import annotations

import pytest

from sim import loads
from sim.lab.explore import explore
from sim.lab.explore.lineage import Lineage
from sim.lab.explore.search import candidates, first_violation, guided_order, random_order
from sim.lab.explore.trials import Trials, judged, run_under
from sim.lab.explore.worth import Worth, soft_edges

# A page needs prices; it asks ads, whose failure it does not mind, and says what it did to mails, which nobody waits for.
PAGE = """
name: page
duration: 20s
warmup: 2s
services:
  front:
    workers: 200
    uses: {ads: {policies: [{timeout: 100ms}]}, prices: {policies: [{retry: {max_attempts: 3, backoff: {initial: 5ms}}}, {timeout: 1s}]}}
    endpoints: {GET /: [{call: prices GET /}, {call: {to: ads GET /, optional: true}}, {publish: seen}]}
  prices: {instances: 2, endpoints: {GET /: [{work: 2ms}, {fail: {share: 10%}}]}}
  ads: {endpoints: {GET /: [{query: ads-db}]}}
  mails: {subscribe: {seen: [{query: mails-db}]}}
  other: {endpoints: {GET /: [{query: other-db}]}}
  ads-db: {kind: database}
  mails-db: {kind: database}
  other-db: {kind: database}
  events: {kind: broker}
workloads:
  users: {executor: constant-arrival-rate, rate: 50/s, to: front, mix: [{send: GET /}]}
  others: {executor: constant-arrival-rate, rate: 50/s, to: other, mix: [{send: GET /}]}
steady_state: [{measure: success_ratio, of: users, at_least: 95%}]
"""

# Where pages fails, an archive answers in its place, which nobody asks otherwise. Ads, tips and polls can be done without.
TWICE = """
name: twice
duration: 14s
warmup: 2s
services:
  gateway:
    kind: gateway
    workers: 500
    uses: {pages: {policies: [{timeout: 300ms}]}}
    routes: [{path: /*, to: pages, timeout: 2s, fallback: archive GET /}]
  pages:
    instances: 2
    workers: 200
    uses: {ads: {policies: [{timeout: 50ms}]}, tips: {policies: [{timeout: 50ms}]}, polls: {policies: [{timeout: 50ms}]}}
    endpoints:
      GET /:
        - {cache: shelf, key: {zipf: {items: 1000, s: 1.0}}, miss: [{query: books}]}
        - {call: {to: ads GET /, optional: true}}
        - {call: {to: tips GET /, optional: true}}
        - {call: {to: polls GET /, optional: true}}
  archive: {instances: 2, workers: 200, endpoints: {GET /: [{work: 2ms}]}}
  ads: {workers: 50, endpoints: {GET /: [{work: 2ms}]}}
  tips: {workers: 50, endpoints: {GET /: [{work: 2ms}]}}
  polls: {workers: 50, endpoints: {GET /: [{work: 2ms}]}}
  shelf: {kind: cache, capacity: 5000}
  books: {kind: database, connections: 50, query: {exponential: 2ms}}
workloads:
  readers: {executor: constant-arrival-rate, rate: 40/s, to: gateway, timeout: 5s, mix: [{send: GET /}]}
steady_state: [{name: answers, measure: success_ratio, of: readers, at_least: 95%}]
"""


@pytest.fixture(scope="module")
def page():
    return loads(PAGE)


@pytest.fixture(scope="module")
def good(page):
    return run_under(page, [], 1)


def without(kind, **target):
    """A plan of one fault, from 5s to 10s."""
    return [{"name": "it", "kind": kind, "target": target, "schedule": {"at": "5s", "for": "5s"}}]


def test_what_users_wait_for_carries_their_requests(good):
    """Prices, ads and the broker carried all of them; a delivered message, and what serves other users, carried none."""
    carried = Lineage(good).carried("users", {})
    assert carried.outcomes == (good.requests.workload == good.names.workloads.index("users")).sum() - unfinished(good)
    assert {part for part, share in carried.parts.items() if share == 1.0} == {
        "users", "front", "prices", "ads", "ads-db", "events", "users->front", "front->prices", "front->ads", "ads->ads-db", "front->events"}
    assert set(carried.parts) & {"mails", "events->mails", "mails-db", "other", "other-db"} == set()


def unfinished(result):
    """Requests of users that ended badly or not at all."""
    mine = result.requests.workload == result.names.workloads.index("users")
    return (mine & (result.requests.outcome > 1)).sum()


def test_what_a_broker_delivers_is_carried_by_its_consumers(good):
    """Of the broker itself half of the outcomes are messages that came in, and half are deliveries, which need mails and its database."""
    parts = Lineage(good).carried("events", {}).parts
    assert parts["mails"] == parts["mails-db"] == pytest.approx(0.5, abs=0.01) and "prices" not in parts


def test_what_stands_behind_a_soft_edge_carries_less(page, good):
    """The scenario says that ads are optional: as hard as it is taken to be, so much do ads and their database carry."""
    assert soft_edges(page) == {"front->ads"}
    parts = Lineage(good).carried("users", {"front->ads": 0.25}).parts
    assert parts["ads-db"] == parts["front->ads"] == 0.25 and parts["prices"] == 1.0


def test_failed_calls_that_did_not_matter_are_counted(page):
    """While ads fail, every failed call was absorbed by front, and none by ads, which failed because its database did."""
    broken = Lineage(run_under(page, without("http.abort", service="ads-db"), 1)).absorbed(5, 10)
    failed, absorbed = broken["front->ads"]
    assert failed == absorbed > 200 and broken["ads->ads-db"] == (failed, 0)
    assert "front->prices" not in broken or broken["front->prices"][0] < 10  # what was tried again with success did not fail


def test_what_is_learned_changes_what_strikes_are_worth(page, good):
    """Once front has been seen to do without ads, striking anything behind them is worth less; prices are worth as much as before."""
    worth = Worth(page, Lineage(good))
    every = {(strike.kind, strike.part): strike for strike in candidates(page, good)}
    behind, needed = every["http.abort", "ads->ads-db"], every["http.abort", "front->prices"]
    before = worth.of(behind), worth.of(needed)
    worth.learn(judged(run_under(page, without("http.abort", service="ads"), 1)).absorbed)
    assert worth.of(behind) < 0.6 * before[0] and worth.of(needed) == before[1]


def test_others_users_are_not_what_was_asked_for(page, good):
    """Nothing is asked of the requests to other: striking its database is worth less than anything that carries users."""
    worth = Worth(page, Lineage(good))
    by_part = {}
    for strike in candidates(page, good):
        by_part[strike.part] = max(by_part.get(strike.part, 0.0), worth.of(strike))
    assert 0 < by_part["other-db"] == by_part["mails-db"] < 0.1 < by_part["ads-db"] < by_part["prices"]


@pytest.mark.validate
def test_what_takes_over_is_struck_as_well():
    """No single fault breaks it. With pages gone the archive carries everything: the guided search knows after one run, and strikes both."""
    twice = loads(TWICE)
    found = explore(twice, runs=20)
    assert found.runs_to_find <= 8 and len(found.plan) == 2
    assert {("pages" in str(fault["target"]), "archive" in str(fault["target"])) for fault in found.plan} == {(True, False), (False, True)}
    assert all(not judged(run_under(twice, [fault], found.seed)).broken for fault in found.plan)
    assert judged(run_under(twice, found.plan, found.seed)).broken


@pytest.mark.validate
def test_what_takes_over_is_not_found_by_chance():
    """Where two faults are needed at once: runs until the first violation over two seeds, 40 where there was none."""
    twice, guided, at_random = loads(TWICE), [], []
    for seed in range(2):
        good = run_under(twice, [], seed)
        every = candidates(twice, good)
        for order, runs in ((guided_order(twice, every, good), guided), (random_order(twice, every, seed), at_random)):
            with Trials(twice, good, 1) as trials:
                first_violation(order, trials, 40)
                runs.append(trials.runs)
    assert max(guided) <= 8 and sum(guided) < 0.25 * sum(at_random)
