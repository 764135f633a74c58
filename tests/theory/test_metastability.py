"""Metastable failure: a trigger passes, and the failure stays because retries keep it alive (Bronson et al., HotOS 2021; OSDI 2022).

The model of V61 to V65: 30 workers of 100 ms (300/s), callers who wait 1 s and try once more at once, work of those who have left
done all the same; at t=20 s the service stops for 10 s while requests queue up. Time counts from the end of the stop, at t=30 s.
"""

import pytest

from .runs import simulate

STOP, HEALED = 20, 30
STUBBORN = "retry: {max_attempts: 2, backoff: 0ms}"
ONE_RETRY = f"[{{{STUBBORN}}}, {{timeout: 1s}}]"
TOLD = f"[{{{STUBBORN}}}, {{timeout: {{duration: 1s, hand_on: true}}}}]"  # the server knows how long each attempt is waited for
NO_RETRY = "[{timeout: 1s}]"


def budget(hand_on="false"):
    """One retry, within a tenth of the calls."""
    tenth = "budget: {share: 10%, min_per_second: 0}"
    return f"[{{retry: {{max_attempts: 2, backoff: 0ms, {tenth}}}}}, {{timeout: {{duration: 1s, hand_on: {hand_on}}}}}]"


def outage(rate, *, policies=ONE_RETRY, limit=10**7, order="fifo", drop=None, workers=30, until=150, load=None):
    """The scenario in text. *drop*: shed what has no more than so much time left."""
    door = "" if drop is None else f"admission: {{load_shedder: {{drop_expired: {{needed: {drop}}}}}}}"
    return f"""
name: outage
duration: {until}s
network: {{default: {{latency: 0ms}}}}
services:
  server:
    workers: {workers}
    queue: {{limit: {limit}, order: {order}}}
    {door}
    endpoints: {{GET /: [{{work: {{exponential: 100ms}}}}]}}
workloads:
  users: {{{load or f"rate: {rate}/s"}, to: server, max_in_flight: 10000000, policies: {policies}, mix: [{{send: GET /}}]}}
faults: [{{kind: instance.slow, factor: 1e6, target: {{service: server}}, schedule: {{at: {STOP}s, for: {HEALED - STOP}s}}}}]
"""


def goodput(result, start, end, rate):
    """Good answers between two times, as a share of what is offered."""
    requests = result.requests
    good = (requests.outcome == 0) & (requests.end >= start) & (requests.end < end)
    return float(good.sum()) / (end - start) / rate


def small(rate, **options):
    """The same with a third of the workers and of everything else, and judged after 30 s: for a quick answer."""
    return goodput(simulate(outage(rate / 3, workers=10, until=80, **options)), 60, 80, rate / 3)


@pytest.mark.parametrize(("rate", "expected"), [(90, 1.0), (280, 0.0)])
def test_v61_small_one_retry_is_stable_below_half_of_the_capacity(rate, expected):
    """At 280/s of 300/s the load becomes 560/s and never comes back; below 150/s it does."""
    assert small(rate) == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize(("cure", "expected"), [
    ({"limit": 50}, 1.0),  # below mu (T - S) = 90
    ({"limit": 200}, 0.0),
    ({"order": "lifo"}, 1.0),
    ({"policies": budget()}, 0.0),  # 1.1 * 280 > 300
    ({"policies": TOLD, "drop": "0ms"}, 0.04),  # what is served then has no time left
    ({"policies": TOLD, "drop": "200ms"}, 1.0),
    ({"policies": budget("true"), "drop": "0ms"}, 1.0),
])
def test_v65_small_what_ends_it(cure, expected):
    """At 280/s of 300/s, scaled to a third."""
    assert small(280, **cure) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("rate", [150, pytest.param(200, marks=pytest.mark.validate), pytest.param(240, marks=pytest.mark.validate),
                                  pytest.param(260, marks=pytest.mark.validate)])
def test_v63_without_retries_the_queue_drains_and_that_takes_its_time(rate):
    """(10 lambda - 300) / (300 - lambda) seconds: 8, 17, 35, 57.5. Until then all who come fail, so their number tells how long it took."""
    expected, seeds = (10 * rate - 300) / (300 - rate), 3 if rate < 200 else 6
    text = outage(rate, policies=NO_RETRY, until=int(HEALED + 2.5 * expected + 5))
    took = 0.0
    for seed in range(seeds):
        requests = simulate(text, seed).requests
        took += int(((requests.intended >= HEALED) & (requests.outcome == 2)).sum()) / rate / seeds
    assert took == pytest.approx(expected, rel=0.07)


@pytest.mark.validate
@pytest.mark.parametrize(("rate", "expected"), [(130, 1.0), (145, 0.0), (200, 0.0), (280, 0.0)])
def test_v61_vulnerable_from_half_of_the_capacity_on(rate, expected):
    """90 to 120 s later nothing is answered in time where lambda is 145 to 280, in every run; where it is 130 all is."""
    for seed in (1, 2, 3):
        result = simulate(outage(rate), seed)
        assert goodput(result, 10, 19, rate) > 0.95  # it was well
        assert goodput(result, HEALED + 90, HEALED + 120, rate) == pytest.approx(expected, abs=0.03)
    attempts = result.spans.of(1)
    late = (attempts.start >= 100) & (attempts.start < 140)
    assert late.sum() / 40 / rate == pytest.approx(2 - expected, rel=0.03)


@pytest.mark.validate
def test_v61_cutting_the_load_ends_it():
    """A minute and a half at 30/s lets the queue run dry; back at 280/s it is well."""
    steps = [("60s", 280), ("1ms", 30), ("90s", 30), ("1ms", 280)]
    stages = ", ".join(f"{{duration: {time}, target: {rate}/s}}" for time, rate in steps)
    load = f"executor: ramping-arrival-rate, start_rate: 280/s, stages: [{stages}]"
    result = simulate(outage(280, until=210, load=load))
    assert goodput(result, 40, 60, 280) < 0.02
    assert goodput(result, 180, 209, 280) == pytest.approx(1.0, abs=0.03)


@pytest.mark.validate
@pytest.mark.parametrize(("cure", "expected", "tolerance"), [
    ({}, 0.0, 0.02),
    ({"limit": 150}, 1.01, 0.03),
    ({"limit": 250}, 0.98, 0.04),
    ({"limit": 300}, 0.22, 0.1),  # on the edge: K = mu T
    ({"limit": 600}, 0.0, 0.02),
    ({"order": "lifo"}, 1.01, 0.03),
    ({"policies": budget()}, 0.0, 0.02),
    ({"policies": TOLD, "drop": "0ms"}, 0.04, 0.02),
    ({"policies": TOLD, "drop": "100ms"}, 0.74, 0.06),
    ({"policies": TOLD, "drop": "200ms"}, 1.01, 0.03),
    ({"policies": budget("true"), "drop": "0ms"}, 0.94, 0.08),
])
def test_v65_what_ends_it(cure, expected, tolerance):
    """At 280/s, goodput 90 to 120 s later: a queue shorter than mu (T - S), the newest first, dropping what cannot be answered in time."""
    found = [goodput(simulate(outage(280, **cure), seed), HEALED + 90, HEALED + 120, 280) for seed in (1, 2, 3)]
    assert sum(found) / 3 == pytest.approx(expected, abs=tolerance)


def crowded(backoff, seed):
    """V67: a service whose latency is 1 s + 10 ms for each request in it; 3 attempts of 3 s; twice the load for 5 s at t=20 s."""
    return simulate(f"""
name: crowded
duration: 95s
network: {{default: {{latency: {{exponential: 100ms}}}}}}
services: {{server: {{code: "tests.theory.services:Crowded", workers: 1000000}}}}
workloads:
  users: {{rate: 40/s, to: server, policies: [{{retry: {{max_attempts: 3, backoff: {backoff}}}}}, {{timeout: 3s}}], mix: [{{send: GET /}}]}}
faults: [{{kind: load.surge, factor: 2, schedule: {{at: 20s, for: 5s}}}}]
""", seed)


def inside(result, start, end):
    """Mean number of requests in the service between two times."""
    series = result.series("server", "busy")
    return float(series.mean[(series.at > start) & (series.at <= end)].mean())


def test_v67_without_backoff_a_spike_never_ends():
    """N = 1.01 lambda / (1 - 0.01 lambda) = 67.3 before; afterwards, with 3 * 40 * 0.01 > 1, it passes 1000 and nobody is answered more,
    so that over the whole run 12 a second were."""
    result = crowded("0ms", seed=1)
    assert inside(result, 8, 20) == pytest.approx(67.3, rel=0.2)
    assert inside(result, 70, 80) > 1000
    assert goodput(result, 40, 95, 40) < 0.01
    assert goodput(result, 0, 95, 1) == pytest.approx(12, abs=1.2)


def test_v67_with_backoff_it_passes():
    """Waits from 10 s on, doubled, with full jitter: as before the spike, 39.7 a second, N of 67."""
    results = [crowded("{initial: 10s, multiplier: 2, max: 60s, jitter: full}", seed) for seed in (1, 2, 3)]
    assert sum(goodput(result, 50, 80, 40) for result in results) / 3 == pytest.approx(1.0, abs=0.05)
    assert sum(inside(result, 50, 80) for result in results) / 3 == pytest.approx(67.3, rel=0.12)


@pytest.mark.validate
@pytest.mark.parametrize(("rate", "policies", "attempts"), [(100, ONE_RETRY, 2.0), (120, ONE_RETRY, 2.0), (200, budget(), 1.1)])
def test_v64_retries_that_are_still_active_slow_the_recovery_down(rate, policies, attempts):
    """(Q0 - mu T) / (mu - a lambda): with one retry at 120/s it takes 33 s, without any it would be 5. Who came in the last second of the
    stop is not yet in Q0 twice; who comes in the last second of the recovery succeeds with the retry."""
    expected = (rate * (10 + 9 * (attempts - 1)) - 300) / (300 - attempts * rate) - (attempts - 1)
    failed = 0.0
    for seed in (1, 2, 3):
        requests = simulate(outage(rate, policies=policies, until=int(HEALED + 2 * expected + 10)), seed).requests
        failed += int(((requests.intended >= HEALED) & (requests.outcome == 2)).sum()) / 3
    assert failed / rate == pytest.approx(expected, rel=0.08)


@pytest.mark.validate
@pytest.mark.parametrize(("rate", "recovers"), [(80, True), (250, False)])
def test_v66_an_empty_cache_stays_empty_where_its_database_is_too_slow_to_fill_it(rate, recovers):
    """A look-aside cache before a database that does 100/s, with half a second of patience: once it is flushed, what is read too late is
    not stored, and 250/s, most of which it used to answer, never come back; 80/s do. Source: Huang et al., OSDI 2022, 5.2."""
    result = simulate(f"""
name: look-aside
duration: 240s
network: {{default: {{latency: 0ms}}}}
services:
  front:
    workers: 100000
    uses: {{db: {{policies: [timeout: 500ms]}}}}
    endpoints: {{GET /: [{{cache: {{in: store, key: {{zipf: {{items: 1000, s: 0.8}}}}, miss: [{{query: db}}]}}}}]}}
  store: {{kind: cache, ttl: 60s, jitter: 50%, latency: 0ms}}
  db: {{kind: database, connections: 10, queue: {{limit: 100000}}, query: 100ms}}
workloads:
  users:
    executor: ramping-arrival-rate
    start_rate: 20/s
    stages: [{{duration: 80s, target: {rate}/s}}, {{duration: 160s, target: {rate}/s}}]
    to: front
    mix: [{{send: GET /}}]
faults: [{{kind: cache.flush, target: {{service: store}}, schedule: {{at: 120s}}}}]
""")
    assert goodput(result, 90, 119, rate) == pytest.approx(1.0, abs=0.06)
    assert goodput(result, 210, 240, rate) == pytest.approx(1.0 if recovers else 0.0, abs=0.06)
