"""Networks, fan-out and retries against their closed forms."""

import pytest

from .formulas import attempts_mean, harmonic, mva, order_statistic_mean
from .runs import latency, of, simulate

CLOSED = """
name: closed
duration: {duration}s
warmup: 200s
network: {{default: {{latency: 0ms}}}}
services:
  front: {{workers: 100000, endpoints: {{GET /: [{{call: a GET /}}, {{call: b GET /}}, {{call: c GET /}}]}}}}
  a: {{workers: 1, queue: {{limit: 100000}}, endpoints: {{GET /: [{{work: {{exponential: 100ms}}}}]}}}}
  b: {{workers: 1, queue: {{limit: 100000}}, endpoints: {{GET /: [{{work: {{exponential: 50ms}}}}]}}}}
  c: {{workers: 1, queue: {{limit: 100000}}, endpoints: {{GET /: [{{work: {{exponential: 20ms}}}}]}}}}
workloads:
  users: {{executor: constant-vus, vus: {users}, think: {{exponential: 1s}}, to: front, mix: [{{send: GET /}}]}}
"""


@pytest.mark.parametrize("users", [1, 5, 10, 20, 30, 50])
def test_v27_closed_network_against_mean_value_analysis(users):
    """A closed system saturates at its bottleneck: throughput and response time of exact MVA."""
    result = simulate(CLOSED.format(users=users, duration=5000 if users < 10 else 2500))
    throughput, response = mva(users, 1.0, [0.1, 0.05, 0.02])
    assert of(result, "workloads", "users", "throughput_rps") == pytest.approx(throughput, rel=0.02)
    assert latency(result) == pytest.approx(response, rel=0.05)


JACKSON = """
name: jackson
duration: 8000s
warmup: 100s
network: {default: {latency: 0ms}}
services:
  front:                                                # lets go of one station before it turns to the next
    workers: 1000000
    endpoints:
      GET /: [{call: gateway GET /}, {call: front GET /svc}]
      GET /svc: [{call: svc GET /}, {choose: [{weight: 1, do: []}, {weight: 1, do: [{call: front GET /db}]}]}]
      GET /db: [{call: db GET /}, {choose: [{weight: 4, do: []}, {weight: 1, do: [{call: front GET /svc}]}]}]
  gateway: {workers: 1, queue: {limit: 100000}, endpoints: {GET /: [{work: {exponential: 50ms}}]}}
  svc: {workers: 1, queue: {limit: 100000}, endpoints: {GET /: [{work: {exponential: 83333us}}]}}
  db: {workers: 1, queue: {limit: 100000}, endpoints: {GET /: [{work: {exponential: 125ms}}]}}
workloads: {users: {executor: constant-arrival-rate, rate: 5/s, to: front, mix: [{send: GET /}]}}
"""


@pytest.mark.validate
def test_v25_open_network_against_jackson():
    """A request in two that svc has served goes to db, and one in five from there back to svc: each station is an M/M/1 of its own."""
    result = simulate(JACKSON)
    loads = {"gateway": 5 / 20, "svc": 5 / 0.9 / 12, "db": 5 / 0.9 / 2 / 8}
    for station, load in loads.items():
        assert of(result, "services", station, "utilisation") == pytest.approx(load, rel=0.02)
        assert result.series(station, "busy").mean.mean() + result.series(station, "queue").mean.mean() == pytest.approx(load / (1 - load), rel=0.05)
    assert latency(result) == pytest.approx(sum(load / (1 - load) for load in loads.values()) / 5, rel=0.03)


FAN = """
name: fan
duration: 2000s
network: {{default: {{latency: 0ms}}}}
services:
  front: {{workers: 100000, endpoints: {{GET /: [{{parallel: [{branches}]{quorum}}}]}}}}
  leaf: {{workers: 1000000, endpoints: {{GET /: [{{work: {{exponential: 1s}}}}]}}}}
workloads:
  users: {{executor: constant-arrival-rate, rate: {rate}/s, to: front, mix: [{{send: GET /}}]}}
"""


def fan(n, quorum=None, rate=10):
    return simulate(FAN.format(branches=", ".join(["[{call: leaf GET /}]"] * n), quorum=f", quorum: {quorum}" if quorum else "", rate=rate))


@pytest.mark.validate
@pytest.mark.parametrize("n", [2, 5, 10])
def test_v29_a_fan_out_waits_for_its_slowest_leaf(n):
    """The maximum of n unit exponentials has mean 1 + 1/2 + ... + 1/n."""
    assert latency(fan(n)) == pytest.approx(harmonic(n), rel=0.015)


@pytest.mark.validate
@pytest.mark.parametrize(("k", "n"), [(3, 5), (4, 7), (2, 3)])
def test_v31_a_quorum_waits_for_the_kth(k, n):
    """The k-th of n unit exponentials: a quorum cuts the tail that all of them would have."""
    assert latency(fan(n, k)) == pytest.approx(order_statistic_mean(k, n), rel=0.02)


@pytest.mark.validate
def test_v31_tail_of_three_of_five():
    """Three of five: median 0.693, p99 2.248."""
    result = fan(5, 3, rate=20)
    assert latency(result, "p50") == pytest.approx(0.693, rel=0.02)
    assert latency(result, "p99") == pytest.approx(2.248, rel=0.04)


RETRY = """
name: retry
duration: 2000s
network: {{default: {{latency: 0ms}}}}
services:
  front:
    workers: 100000
    uses: {{back: {{policies: [{{retry: {{max_attempts: 4, backoff: {{initial: 1ms}}, on: [5xx]}}}}]}}}}
    endpoints: {{GET /: [{{call: back GET /}}]}}
  back: {{workers: 100000, endpoints: {{GET /: [{{fail: {{share: {share}%}}}}]}}}}
workloads:
  users: {{executor: constant-arrival-rate, rate: 20/s, to: front, mix: [{{send: GET /}}]}}
"""


@pytest.mark.validate
@pytest.mark.parametrize("share", [10, 50, 90, 100])
def test_v43_attempts_of_a_retry(share):
    """k attempts at independent failures: E[attempts] = (1-p^k)/(1-p), and p^k fail for good."""
    result = simulate(RETRY.format(share=share))
    failing = share / 100
    edge = of(result, "calls", "front->back")
    assert edge["amplification"] == pytest.approx(attempts_mean(4, failing), rel=0.01)
    assert 1 - edge["success_ratio"] == pytest.approx(failing**4, abs=0.006)
