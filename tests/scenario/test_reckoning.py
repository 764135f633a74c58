"""`explain`: the arithmetic of a scenario, held against runs of it and against the formulas."""

import math

import pytest

from sim import loads, run
from sim.scenario.reckoning import erlang_c, reckon

CHAIN = """
name: chain
duration: 400s
warmup: 20s
network: {default: {latency: 0ms}}
services:
  front:
    instances: 2
    workers: 8
    uses: {back: {policies: [{deadline: 2s}, {retry: {max_attempts: 3, backoff: {initial: 10ms}}}, {timeout: 500ms}]}}
    endpoints: {GET /: [{work: {exponential: 10ms}}, {repeat: {times: 2, do: [{call: back GET /}]}}]}
  back:
    workers: 4
    uses: {db: {policies: [{retry: {max_attempts: 2, backoff: {initial: 1ms}}}]}}
    endpoints: {GET /: [{work: {exponential: 20ms}}, {query: db}]}
  db: {kind: database, connections: 4, query: {exponential: 5ms}}
workloads:
  users: {executor: constant-arrival-rate, rate: 50/s, to: front, mix: [{send: GET /}]}
"""


@pytest.fixture(scope="module")
def reckoned():
    return {load.name: load for load in reckon(loads(CHAIN)).services}


def test_loads_and_utilisation_are_those_of_a_run(reckoned):
    """What arithmetic says of rates, busy workers and waiting is what the run measures, where nothing is retried."""
    measured = run(loads(CHAIN), seed=3).summary["services"]
    for name, load in reckoned.items():
        assert measured[name]["requests"] / 380 == pytest.approx(load.rate, rel=0.03)
    assert measured["back"]["utilisation"] == pytest.approx(reckoned["back"].utilisation, rel=0.05)
    waited = measured["back"]["queue_mean"] / reckoned["back"].rate
    assert waited == pytest.approx(reckoned["back"].wait, rel=0.35)  # service is the sum of two exponentials, the formula has one


def test_steps_of_event_sourcing_make_two_statements():
    """To append at an expected version, or to let a projection catch up, is to read and to write; appended unread it is to write."""
    text = """
name: events
duration: 200s
network: {default: {latency: 0ms}}
services:
  shop:
    endpoints:
      POST /: [{append: {to: db, stream: {uniform: 100000}}}]
      POST /unread: [{append: {to: db, stream: {uniform: 100000}, expect_version: false}}]
      POST /views: [{project: {name: views, from: db, batch: 1000}}]
  db: {kind: database, connections: 2, query: {exponential: 10ms}}
workloads:
  users: {rate: 60/s, to: shop, mix: [{send: POST /, weight: 4}, {send: POST /unread}, {send: POST /views}]}
"""
    reckoned = {load.name: load for load in reckon(loads(text)).services}
    measured = run(loads(text), seed=1).summary["services"]
    assert reckoned["db"].rate == pytest.approx(2 * 40 + 10 + 2 * 10)
    assert measured["db"]["requests"] / 200 == pytest.approx(reckoned["db"].rate, rel=0.03)
    assert measured["db"]["utilisation"] == pytest.approx(reckoned["db"].utilisation, rel=0.05)


def test_the_first_bottleneck_and_how_much_the_load_may_grow():
    """back has four workers, 2.5 of which are busy: it saturates at 1.6 times the load."""
    reckoning = reckon(loads(CHAIN))
    assert reckoning.bottleneck == "back" and reckoning.headroom == pytest.approx(4 / 2.5)


def test_attempts_multiply_along_the_way(reckoned):
    """Three attempts before back and two before db are six."""
    assert [reckoned[name].worst_arrivals for name in ("front", "back", "db")] == [1, 3, 6]


def test_an_append_that_others_are_faster_than_is_one_more_attempt():
    """Three retries of the append and two of each of its calls are twelve; who appends unread has no conflict."""
    text = """
name: events
duration: 10s
services:
  shop:
    uses: {db: {policies: [{retry: {max_attempts: 3}}]}}
    endpoints: {POST /: [{choose: [{weight: 1, do: [{append: {to: db, stream: {zipf: 100}, retries: 3}}]}]}]}
  log: {endpoints: {POST /: [{append: {to: db, stream: {zipf: 100}, expect_version: false, retries: 9}}]}}
  db: {kind: database}
workloads: {users: {rate: 1/s, to: shop, mix: [{send: POST /}]}, others: {rate: 1/s, to: log, mix: [{send: POST /}]}}
"""
    reckoning = reckon(loads(text))
    assert {load.name: load.worst_arrivals for load in reckoning.services} == {"shop": 1, "log": 1, "db": 12}
    assert {edge.name: edge.attempts for edge in reckoning.edges if edge.name.endswith("db")} == {"shop->db": 3, "log->db": 1}


def test_the_longest_call_is_bounded_by_its_deadline():
    """And by nothing where there is no policy."""
    edges = {edge.name: edge for edge in reckon(loads(CHAIN)).edges}
    assert edges["front->back"].latency <= 2.0 and edges["front->back"].attempts == 3
    assert edges["users->front"].latency == math.inf


GATEWAY = """
name: gate
duration: 10s
services:
  gate:
    kind: gateway
    uses: {shop: {policies: [{retry: {max_attempts: 2}}]}}
    routes:
      - {path: /slow/*, to: shop, timeout: 3s, policies: [{retry: {max_attempts: 3}}]}
      - {path: /quick/*, to: shop, timeout: 1s, fallback: other GET /}
      - {path: /both, compose: {one: shop GET /, two: other GET /}}
  shop: {endpoints: {GET /: [{work: 1ms}]}}
  other: {endpoints: {GET /: [{work: 1ms}]}}
workloads: {users: {executor: constant-arrival-rate, rate: 1/s, to: gate, mix: [{send: GET /quick/1}]}}
"""


def test_a_route_s_time_and_policies_bound_the_calls_of_a_gateway():
    """Of several routes to one service the one that may take longest is told, and the most attempts of any."""
    costs = {edge.name: edge for edge in reckon(loads(GATEWAY)).edges}
    assert (costs["gate->shop"].latency, costs["gate->shop"].attempts) == (math.inf, 6)
    without = {edge.name: edge for edge in reckon(loads(GATEWAY.replace("      - {path: /both, compose: {one: shop GET /, two: other GET /}}\n", ""))).edges}
    assert (without["gate->shop"].latency, without["gate->shop"].policies) == (3.0, ["deadline", "retry", "retry"])


MESHED = """
name: meshed
duration: 10s
services:
  front: {mesh: {}, uses: {back: {policies: [{retry: {max_attempts: 3, backoff: 0ms}}]}}, endpoints: {GET /: [{call: back GET /}]}}
  back: {mesh: {timeout: 250ms, per_try_timeout: 100ms, retry: {max_attempts: 3, backoff: 0ms}}, endpoints: {GET /: [{work: 1ms}]}}
workloads: {users: {rate: 1/s, to: front, mix: [{send: GET /}]}}
"""


def test_a_mesh_adds_its_attempts_and_its_time_where_the_caller_has_a_sidecar():
    """Three times three attempts, each three within 250 ms; without a sidecar of the caller there is the application's retry alone."""
    costs = {edge.name: edge for edge in reckon(loads(MESHED)).edges}["front->back"]
    assert (costs.attempts, costs.latency) == (9, pytest.approx(0.75))
    assert costs.policies == ["retry", "mesh timeout", "mesh retry", "mesh timeout"] and not costs.warnings
    bare = {edge.name: edge for edge in reckon(loads(MESHED.replace("front: {mesh: {}, ", "front: {"))).edges}["front->back"]
    assert (bare.attempts, bare.latency, bare.policies) == (3, math.inf, ["retry"])
    (warning,) = {edge.name: edge for edge in reckon(loads(MESHED.replace("250ms", "100ms"))).edges}["front->back"].warnings
    assert "the mesh's time for one attempt (100ms) is not below that for all of them (100ms)" in warning


def test_parts_of_a_composition_and_fallbacks_are_bounded_each_by_its_own_time():
    """A part has its own time or that of the route; a fallback has the route's, and none of its policies."""
    text = GATEWAY.replace("path: /both, compose: {one: shop GET /, two: other GET /}",
                           "path: /both, timeout: 2s, compose: {one: shop GET /, two: {send: other GET /, timeout: 1500ms}}")
    text = text.replace("{send: GET /quick/1}", "{send: GET /quick/1}, {send: GET /both}")
    costs = {edge.name: edge for edge in reckon(loads(text)).edges}
    assert (costs["gate->shop"].latency, costs["gate->other"].latency) == (3, 1.5)


RARE = """
name: rare
duration: 10s
services:
  gate: {kind: gateway, routes: [{path: /, to: shop, timeout: 1s, fallback: other GET /}]}
  shop:
    uses: {db: {policies: [{retry: {max_attempts: 3, backoff: 0ms}}]}}
    endpoints: {GET /: [{cache: {in: c, key: a, miss: [{query: db}]}}, {saga: {name: s, steps: [{name: a, do: POST bank/pay, undo: POST fund/back}]}}]}
  other: {}
  bank: {}
  fund: {}
  c: {kind: cache}
  db: {kind: database}
workloads: {users: {rate: 1/s, to: gate, mix: [{send: GET /}]}}
"""


def test_what_is_called_only_now_and_then_has_its_edge():
    """A fallback, a miss, a compensation: no load is reckoned for them, but what a call costs at worst is, and what arrives then."""
    reckoning = reckon(loads(RARE))
    costs = {edge.name: (edge.rate, edge.attempts, edge.latency) for edge in reckoning.edges}
    assert costs["gate->other"] == (0, 1, 1.0)
    assert costs["shop->fund"][:2] == (0, 1) and costs["shop->db"][:2] == (0, 3)
    assert {load.name: load.worst_arrivals for load in reckoning.services} == {
        "gate": 1, "shop": 1, "other": 1, "bank": 1, "fund": 1, "c": 1, "db": 3}


def test_overload_waits_for_ever():
    """Ten times the load cannot be served, and the wait has no end."""
    reckoning = reckon(loads(CHAIN.replace("rate: 50/s", "rate: 500/s")))
    back = next(load for load in reckoning.services if load.name == "back")
    assert back.wait == math.inf and reckoning.headroom == pytest.approx(0.16)


@pytest.mark.parametrize(("servers", "load", "expected"), [
    (2, 1.6, 0.7111), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (100, 80.0, 0.0196), (1, 0.5, 0.5),
])
def test_erlang_c(servers, load, expected):
    """Known values."""
    assert erlang_c(servers, load) == pytest.approx(expected, abs=1e-4)


def waits(arrivals, to="back", more="", work="{work: {exponential: 10ms}}"):
    """What is reckoned for `back`, a worker that is busy for four fifths of the time, in milliseconds; 40 in M/M/1."""
    text = f"""
name: uneven
duration: 10s
services:
  front: {{workers: 100, endpoints: {{GET /: [{{call: back GET /}}]}}}}
  back: {{workers: 1, endpoints: {{GET /: [{work}]}}}}
  other: {{kind: external, latency: 10ms}}
workloads:
  users: {{rate: 80/s, arrivals: {arrivals}, to: {to}, mix: [{{send: GET /}}]{more}}}
"""
    wait = {load.name: load for load in reckon(loads(text)).services}["back"].wait
    return None if wait is None else 1000 * wait


@pytest.mark.parametrize(("arrivals", "wanted"), [
    ("poisson", 40), ("uniform", 20), ("{gamma: {cv: 2}}", 40 * (4 + 1) / 2), ("batch", 40 * (10 + 1) / 2),
    ("batch, batch_size: 2.5", 40 * (2.6 + 1) / 2), ("batch, batch_sizes: geometric", 40 * (19 + 1) / 2),
    ("{bursts: {on: 50ms, off: 50ms}}", 40 * (1 + 2 * 80 * 0.25 * 4 * 0.025 + 1) / 2),
])
def test_waiting_grows_with_the_unevenness_of_arrivals(arrivals, wanted):
    """Allen and Cunneen: half of ca² + 1 times that of M/M/c, ca² being the dispersion of the numbers of arrivals."""
    assert waits(arrivals) == pytest.approx(wanted)


@pytest.mark.parametrize(("work", "wanted"), [
    ("{work: 10ms}", 20), ("{sleep: {gamma: {mean: 10ms, cv: 2}}}", 40 * (4 + 1) / 2),
    ("{work: {exponential: 5ms}}, {sleep: {exponential: 5ms}}", 40 * (0.5 + 1) / 2),
    ("{repeat: {times: 4, do: [{work: {exponential: 2500us}}]}}", 40 * (0.25 + 1) / 2),
    ("{choose: [{weight: 1, do: [{work: 5ms}]}, {weight: 1, do: [{work: 15ms}]}]}", 40 * (0.25 + 1) / 2),
    ("{work: 5ms}, {fail: 50%}, {work: 10ms}, {return: 200}, {work: 1h}", 40 * (0.25 + 1) / 2),
    ("{work: {exponential: 10ms}}, {return: 200}, {work: {pareto: {minimum: 4ms, alpha: 1}}}", 40),
    ("{call: other GET /}", 11 * 0.88 / 0.12),  # 11 ms with the way, of an unknown spread
    ("{work: {pareto: {minimum: 4ms, alpha: 1.667}}}", None),  # of infinite variance
])
def test_waiting_grows_with_the_unevenness_of_work(work, wanted):
    """Allen and Cunneen: half of 1 + cs² times that of M/M/c, exact for one worker (Pollaczek and Khinchine)."""
    assert waits("poisson", work=work) == pytest.approx(wanted)


@pytest.mark.parametrize(("query", "wanted"), [("{query: db}", 20), ("{query: {database: db, time: 10ms}}", 40)])
def test_a_database_has_a_law_unless_its_statements_say_how_long_they_take(query, wanted):
    """One connection that is busy for four fifths of the time."""
    text = f"""
name: one-connection
duration: 10s
services:
  front: {{workers: 100, endpoints: {{GET /: [{query}]}}}}
  db: {{kind: database, connections: 1, query: 10ms}}
workloads: {{users: {{rate: 80/s, to: front, mix: [{{send: GET /}}]}}}}
"""
    assert 1000 * {load.name: load for load in reckon(loads(text)).services}["db"].wait == pytest.approx(wanted)


def test_long_bursts_that_overload_nothing_make_nobody_wait_longer_than_their_rate_does():
    """At 1.1 times the rate for minutes the worker is busy for 88 %: M/M/1's wait at that, and not what a heavy load would make of it."""
    assert waits("{bursts: {on: 5m, off: 5m, quiet: 90%}}") == pytest.approx(10 * 0.88 / 0.12)


def test_bursts_reach_who_is_called_further_down():
    """What comes unevenly is passed on so, while what comes evenly is even no longer."""
    assert waits("{gamma: {cv: 2}}", to="front") == pytest.approx(waits("{gamma: {cv: 2}}"))
    assert waits("uniform", to="front") == pytest.approx(40)
