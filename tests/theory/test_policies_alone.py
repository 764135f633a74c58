"""Laws that policies keep by themselves, without a simulated system around them."""

import heapq
import random
from dataclasses import dataclass

import pytest

from sim.resilience import ClientThrottle, Gcra, LeastRequest, Outcome, PowerOfTwoChoices, Random, TokenBucket


@pytest.mark.parametrize("limiter", [TokenBucket, Gcra])
def test_v23_what_a_burst_gets_through_a_token_bucket(limiter):
    """At a peak of p the burst admitted is b * p / (p - r) over b / (p - r): 60 calls in 0.1 s; in 1 s from full at most b + r."""
    burst, rate, peak = 50, 100, 600
    bucket, admitted = limiter(rate, burst), 0
    while bucket.try_acquire(admitted / peak):
        admitted += 1
    assert admitted == pytest.approx(burst * peak / (peak - rate), abs=1)
    assert admitted / peak == pytest.approx(0.1, abs=1.1 / peak)
    full = limiter(rate, burst)
    assert sum(full.try_acquire(number / 10_000) for number in range(10_000)) in (149, 150)


@dataclass(eq=False)
class Host:
    name: int
    weight: float = 1.0
    zone: str | None = None
    healthy: bool = True


def mean_time_in_system(balancer, load, servers, arrivals, seed):
    """Poisson arrivals at *servers* of rate one with a queue each; the mean from arrival to end, the first tenth left out."""
    rng, hosts = random.Random(seed), [Host(number) for number in range(servers)]
    free_at, ends, now, total, counted = [0.0] * servers, [], 0.0, 0.0, 0
    for number in range(arrivals):
        now += rng.expovariate(load * servers)
        while ends and ends[0][0] <= now:
            end, _, host = heapq.heappop(ends)
            balancer.finished(host, end, 0.0, Outcome.SUCCESS)
        host = balancer.pick(hosts, now, rng)
        balancer.started(host, now)
        free_at[host.name] = max(now, free_at[host.name]) + rng.expovariate(1.0)
        heapq.heappush(ends, (free_at[host.name], number, host))
        if number > arrivals / 10:
            total, counted = total + free_at[host.name] - now, counted + 1
    return total / counted


@pytest.mark.parametrize(("balancer", "load", "expected"), [
    (PowerOfTwoChoices(), 0.5, 1.267), (PowerOfTwoChoices(), 0.9, 2.646), (PowerOfTwoChoices(3), 0.9, 2.057), (Random(), 0.5, 2.0),
])
def test_v37_the_power_of_two_choices(balancer, load, expected):
    """A hundred servers; Mitzenmacher's table and an independent program: 1.267 at half load, 2.646 and (three choices) 2.057 at 0.9."""
    assert mean_time_in_system(balancer, load, 100, 150_000, seed=3) == pytest.approx(expected, rel=0.03)


def test_v37_looking_at_all_is_the_limit_of_many_choices():
    """At half load nearly nobody waits: the mean is that of the service alone."""
    assert mean_time_in_system(LeastRequest(), 0.5, 20, 30_000, seed=3) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize(("offered", "seen"), [(150, 150), (200, 200), (250, 200), (400, 200), (800, 200)])
def test_v49_what_a_throttled_backend_sees(offered, seen):
    """It accepts 100 a second: with k = 2 it is asked min(offered, 200) times a second, however much is offered."""
    throttle, backend, rng, sent = ClientThrottle(k=2.0, window=120), TokenBucket(100, 100), random.Random(1), 0
    now, end = 0.0, 600.0
    while now < end:
        now += rng.expovariate(offered)
        if throttle.admit(now, rng):
            sent += now > 300
            throttle.on_result(now, backend.try_acquire(now))
    assert sent / 300 == pytest.approx(seen, rel=0.03)
