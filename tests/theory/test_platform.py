"""Cases of the platform: choosing the shorter of two queues, open against closed load, and a store that does not come back."""

from functools import cache

import pytest

from .runs import latency, simulate

CHOICES = """
name: choices
duration: {duration}s
warmup: {warmup}s
network: {{default: {{latency: 0ms}}}}
services:
  front:
    workers: 1000000
    uses: {{server: {{balancer: {balancer}}}}}
    endpoints: {{GET /: [{{call: server GET /}}]}}
  server: {{instances: 100, workers: 1, queue: {{limit: 1000000}}, endpoints: {{GET /: [{{work: {{exponential: 1s}}}}]}}}}
workloads:
  users: {{executor: constant-arrival-rate, rate: {rate}/s, to: front, max_in_flight: 1000000, mix: [{{send: GET /}}]}}
"""


def time_in_system(load, balancer, duration):
    return latency(simulate(CHOICES.format(rate=100 * load, balancer=balancer, duration=duration, warmup=duration / 10)))


@pytest.mark.validate
def test_v37_the_power_of_two_choices():
    """A hundred servers at half load: the shorter of two random queues, 1.267 service times (a random queue: 2)."""
    assert time_in_system(0.5, "p2c", 2000) == pytest.approx(1.267, rel=0.02)
    assert time_in_system(0.5, "random", 2000) == pytest.approx(2.0, rel=0.03)


@pytest.mark.validate
@pytest.mark.parametrize(("load", "choices", "expected"), [(0.9, 2, 2.646), (0.9, 3, 2.057), (0.95, 2, 3.461)])
def test_v37_near_saturation(load, choices, expected):
    """The gain is the larger the higher the load, and a third choice adds little. Source: Mitzenmacher, IEEE TPDS 12 (2001)."""
    assert time_in_system(load, f"{{p2c: {{choices: {choices}}}}}", 5000) == pytest.approx(expected, rel=0.02)


BIMODAL = """
name: bimodal
duration: {duration}s
warmup: {warmup}s
network: {{default: {{latency: 0ms}}}}
services:
  server:
    workers: 1
    queue: {{limit: 10000000}}
    endpoints: {{GET /: [{{work: {{mixture: [{{weight: 999, of: {{exponential: 100us}}}}, {{weight: 1, of: {{exponential: 10ms}}}}]}}}}]}}
workloads:
  users: {{{load}, to: server, max_in_flight: 10000000, mix: [{{send: GET /}}]}}
"""
MEAN = 0.999 * 1e-4 + 0.001 * 1e-2  # seconds
OPEN = f"executor: constant-arrival-rate, rate: {0.8 / MEAN}/s"


@pytest.mark.validate
def test_v39_open_load_feels_the_few_slow_ones():
    """One job in a thousand is a hundred times as long; at 80 % load the mean is Pollaczek and Khinchine's 4.11 ms, forty times the work."""
    second_moment = 2 * (0.999 * 1e-8 + 0.001 * 1e-4)
    expected = MEAN + 0.8 / MEAN * second_moment / (2 * 0.2)
    result = simulate(BIMODAL.format(load=OPEN, duration=400, warmup=5))
    assert expected == pytest.approx(4.11e-3, rel=0.005) and latency(result) == pytest.approx(expected, rel=0.06)
    assert 0.042 < latency(result, "p99") < 0.053
    measured = result.requests.finished
    assert (measured.latency > 0.015).mean() == pytest.approx(0.10, abs=0.02)


@pytest.mark.validate
def test_v39_a_closed_client_feels_nothing_of_them():
    """The same server and one client that waits for each answer: 0.110 ms on average, and 99 % within a millisecond."""
    result = simulate(BIMODAL.format(load="executor: constant-vus, vus: 1", duration=20, warmup=1))
    assert latency(result) == pytest.approx(MEAN, rel=0.06) and latency(result, "p99") < 1e-3


@pytest.mark.validate
def test_v39_trying_the_slow_ones_again_takes_the_server_down():
    """Ten percent wait longer than 15 ms: who gives up then and asks again keeps a server that is 80 % busy from ever catching up."""
    again = "policies: [{retry: {max_attempts: 1000, backoff: {initial: 1us, max: 1us, jitter: none}, on: [timeout]}}, {timeout: 15ms}]"
    patient, hasty = (simulate(BIMODAL.format(load=load, duration=3, warmup=0)) for load in (OPEN, f"{OPEN}, {again}"))
    assert patient.series("server", "queue").max.max() < 1_000
    assert hasty.series("server", "queue").mean[-1] > 100_000  # and growing: each who waits asks again 66 times a second


STORE = """
name: store
duration: 120s
network: {{default: {{latency: 1ms}}}}
services:
  primary: {{workers: 16, queue: {{limit: 1000000}}, endpoints: {{GET /: [{{work: {{exponential: {work}us}}}}]}}}}
workloads:
  clients:
    executor: constant-arrival-rate
    rate: {rate}/s
    to: primary
    max_in_flight: 1000000
    policies: [{{retry: {{max_attempts: 5, backoff: {{initial: 10ms, multiplier: 1, jitter: none}}, on: [timeout]}}}}, {{timeout: 3s}}]
    mix: [{{send: GET /}}]
faults: [{{kind: resource.cpu, target: {{service: primary}}, schedule: {{at: 20s, for: {length}s}}, load: {load}%}}]
"""
CAPACITY = 1640  # per second; calibrated, since that of the original is not published


@cache
def afterwards(rate, load, length):
    """Goodput and attempts of the last thirty seconds, as parts of the *rate*."""
    result = simulate(STORE.format(work=round(16e6 / CAPACITY), rate=rate, load=load, length=length))
    ends, attempts = result.requests, result.spans.of(1)
    good = (ends.end > 90) & (ends.status == 200)
    return int(good.sum()) / 30 / rate, int((attempts.start > 90).sum()) / 30 / rate


@pytest.mark.validate
@pytest.mark.parametrize(("rate", "load", "length", "recovers"), [(620, 78, 10, True), (620, 80, 10, False), (620, 80, 9, True), (420, 80, 10, True)])
def test_v69_a_store_that_comes_back_or_not(rate, load, length, recovers):
    """A replicated store under 6,200 requests a second (a tenth of it here), 3 s of patience and four retries.

    Its primary loses 80 % of its CPU for 10 s and never recovers; 2 % less, one second less, or a third less load, and it does. Source:
    Huang et al., Metastable Failures in the Wild, OSDI 2022. There 10 % of the goodput was left, and 3.2 times the attempts were made.
    """
    goodput, attempts = afterwards(rate, load, length)
    if recovers:
        assert goodput == pytest.approx(1, abs=0.03) and attempts < 1.1
    else:
        assert goodput < 0.1 and attempts > 3
