"""Who is served next, who leaves, and what is done twice: single queues beyond first come, first served."""

import math

import numpy as np
import pytest

from .runs import latency, of, replicate, simulate, station


@pytest.mark.validate
@pytest.mark.parametrize(("service", "squared_cv"), [("1s", 0.0), ("{erlang: {mean: 1s, k: 4}}", 0.25), ("{gamma: {mean: 1s, cv: 2}}", 4.0)])
def test_waits_follow_pollaczek_and_khinchine(service, squared_cv):
    """M/G/1: the mean wait is rho (1 + cv²) / (2 (1 - rho)), for constant service half of the exponential one."""
    mean, half = replicate(station(0.7, service, duration=20_000, warmup=500), latency)
    expected = 0.7 * (1 + squared_cv) / (2 * 0.3)
    assert mean - 1 == pytest.approx(expected, abs=half + 0.02 * expected) and half < 0.3 * mean


@pytest.mark.validate
def test_newest_first_waits_as_long_on_average_and_much_longer_at_worst():
    """The mean does not depend on the order; the second moment of the wait is 1/(1 - rho) times that of first come, first served."""
    text = station(0.6, "{exponential: 1s}", duration=20_000, warmup=500)
    mean, square = [], []
    for order in ("fifo", "lifo"):
        waits = [simulate(text.replace("1000000}", f"1000000, order: {order}}}"), seed).spans.of(2).queued.astype(float) for seed in (1, 2, 3)]
        mean.append(np.mean([wait.mean() for wait in waits]))
        square.append(np.mean([(wait**2).mean() for wait in waits]))
    assert mean == pytest.approx([0.6 / 0.4] * 2, rel=0.05)
    assert square[1] / square[0] == pytest.approx(1 / 0.4, rel=0.25)


PRIORITY = station(0.8, "{exponential: 1s}", duration=20_000, warmup=500).replace("1000000}", "1000000, order: priority}").replace(
    "]}\nworkloads", "], GET /later: [{work: {exponential: 1s}}]}\nworkloads").replace(
    "[{send: GET /}]", "[{weight: 3, send: GET /, priority: 2}, {weight: 5, send: GET /later, priority: 1}]")


@pytest.mark.validate
def test_v18_who_is_important_hardly_waits():
    """M/M/1 at 0.8 with 0.3 of high priority, none of it preemptive: R/(1 - 0.3) for those, R/((1 - 0.3)(1 - 0.8)) for the others, R = 0.8.

    Source: Cobham, Priority assignment in waiting line problems, 1954.
    """
    results = [of(simulate(PRIORITY, seed), "workloads", "users", "by_request") for seed in range(1, 6)]
    for request, expected in (("GET /", 0.8 / 0.7), ("GET /later", 0.8 / (0.7 * 0.2))):
        assert np.mean([result[request]["latency_s"]["mean"] for result in results]) - 1 == pytest.approx(expected, rel=0.08)


@pytest.mark.validate
@pytest.mark.parametrize(("load", "places"), [(0.9, 5), (1.5, 5), (1.5, 10), (1.5, 50)])
def test_v12_a_short_line_is_worth_more_than_a_long_one(load, places):
    """M/M/1/K whose users wait for 5 service times: who comes upon n others is served in time if n + 1 services are. At one and a half times
    the capacity 47 % are good of 5 places, 12 % of 10, none of 50."""
    weights = load ** np.arange(places)
    in_time = [1 - sum(math.exp(-5) * 5**i / math.factorial(i) for i in range(n + 1)) for n in range(places)]
    expected = float((weights * in_time).sum()) / float((load ** np.arange(places + 1)).sum())
    text = station(load, "{exponential: 1s}", queue=places - 1, duration=10_000, warmup=500).replace("to: server", "to: server, timeout: 5s")
    assert of(simulate(text), "workloads", "users", "success_ratio") == pytest.approx(expected, abs=0.02)


def empty_share(load, patience):
    """Share of time that M/M/1 is empty where who would wait longer than *patience* leaves the line, and where all leave by then."""
    slack = 1 - load
    waiting = load * (1 - math.exp(-slack * patience)) / slack
    return 1 / (1 + waiting + load * math.exp(-slack * patience)), 1 / (1 + waiting)


@pytest.mark.parametrize("load", [0.8, 1.2])
def test_v20_nobody_waits_longer_than_his_patience(load):
    """M/M/1 and a constant patience of 5 in the line: P0 rho e^(-(1 - rho) 5) leave it. Source: Barrer, Operations Research 5 (1957)."""
    text = station(load, "{exponential: 1s}", duration=4_000, warmup=100).replace("limit: 1000000", "limit: 1000000, max_wait: 5s")
    counts = of(simulate(text), "workloads", "users")
    left = empty_share(load, 5)[0] * load * math.exp(-(1 - load) * 5)
    assert counts["rejected"] / counts["started"] == pytest.approx(left, abs=0.02)


@pytest.mark.validate
@pytest.mark.parametrize("load", [0.8, 0.95, 1.2, 2.0])
def test_v20_work_that_ends_with_its_caller_is_not_lost_on_others(load):
    """Callers stay for 5, and waiting as well as work ends with them: even at twice the capacity half of them is served."""
    slack, idle = 1 - load, empty_share(load, 5)[1]
    waits = np.linspace(0, 5, 100_001)
    in_time = load * np.exp(-slack * waits) * (1 - np.exp(waits - 5))
    expected = idle * (1 - math.exp(-5) + np.trapezoid(in_time, waits))
    text = station(load, "{exponential: 1s}", duration=20_000, warmup=500).replace("to: server", "to: server, timeout: 5s")
    told = simulate(text.replace("workers: 1", "workers: 1\n    on_caller_gone: cancel"))
    assert of(told, "workloads", "users", "success_ratio") == pytest.approx(expected, abs=0.015)


BOTH = """
name: both
duration: 4000s
warmup: 100s
network: {{default: {{latency: 0ms}}}}
services:
  front: {{workers: 1000000, uses: {{server: {{policies: [{policies}]}}}}, endpoints: {{GET /: [{step}]}}}}
  server: {{instances: 2, workers: 1, on_caller_gone: cancel, queue: {{limit: 100000}}, endpoints: {{GET /: [{{work: {{exponential: 1s}}}}]}}}}
  other: {{workers: 1, queue: {{limit: 100000}}, endpoints: {{GET /: [{{work: {{exponential: 1s}}}}]}}}}
workloads: {{users: {{rate: {rate}/s, to: front, mix: [{{send: GET /}}]}}}}
"""


@pytest.mark.validate
@pytest.mark.parametrize("rate", [0.6, 1.2])
def test_two_copies_of_which_one_is_enough_make_one_server_of_two(rate):
    """Redundancy of two that is called off as soon as one is done: 1/(2 mu - lambda). Source: Gardner et al., SIGMETRICS 2015."""
    mean, half = replicate(BOTH.format(policies="hedge: {delay: 0ms}", step="{call: server GET /}", rate=rate), latency)
    assert mean == pytest.approx(1 / (2 - rate), abs=half + 0.02) and half < 0.4 * mean


@pytest.mark.validate
@pytest.mark.parametrize("rate", [0.5, 0.8])
def test_v30_a_fan_out_to_two_queues_waits_for_the_longer_one(rate):
    """Fork and join of two M/M/1: (12 - rho)/8 times the time in one. Source: Nelson and Tantawi, IEEE TC 37 (1988)."""
    parallel = "{parallel: [[{call: server GET /}], [{call: other GET /}]]}"
    text = BOTH.format(policies="", step=parallel, rate=rate).replace("instances: 2, ", "").replace("4000s", "8000s")
    mean, half = replicate(text, latency)
    assert mean == pytest.approx((12 - rate) / 8 / (1 - rate), abs=half + 0.02 * mean) and half < 0.3 * mean


SHAPED = """
name: shaped
duration: 90s
warmup: 2s
network: {default: {latency: 0ms}LINK}
services: {server: {workers: 100000}}
workloads: {users: {rate: 80/s, to: server, POLICIES mix: [{send: POST /, size: 12500B}]}}
"""


@pytest.mark.validate
@pytest.mark.parametrize(("link", "policies", "way"), [
    ("", "policies: [rate_limiter: {rate: 100/s, burst: 1, max_wait: 100s}],", 0.0),
    ("", "policies: [rate_limiter: {rate: 100/s, burst: 1, algorithm: gcra, max_wait: 100s}],", 0.0),
    (", links: {users->server: {bandwidth: 10Mbit, latency: 0ms}}", "", 0.01),
])
def test_what_is_shaped_or_sent_over_a_narrow_link_waits_as_in_m_d_1(link, policies, way):
    """80/s through 100/s, one at a time: 20 ms of waiting, be it for a token or for the 10 ms that each message takes on the link."""
    mean, half = replicate(SHAPED.replace("LINK", link).replace("POLICIES", policies), latency)
    assert mean == pytest.approx(way + 0.8 / (2 * 0.2) / 100, abs=half + 0.0004) and half < 0.3 * mean
