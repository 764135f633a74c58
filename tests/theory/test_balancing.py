"""One queue, many queues, and what a balancer that knows something of them is worth (V38); and what it is worth where that is old."""

import heapq
import math
import random
from dataclasses import dataclass
from statistics import mean

import pytest

from sim.resilience import Balancer, LeastRequest, Outcome, PowerOfTwoChoices, Random

from .formulas import erlang_c, gamma_gaps, gi_m_1
from .runs import latency, simulate

TEN = """
name: ten
duration: 3000s
warmup: 300s
network: {{default: {{latency: 0ms}}}}
services:
  front: {{workers: 1000000, uses: {{server: {{balancer: {balancer}}}}}, endpoints: {{GET /: [{{call: server GET /}}]}}}}
  server: {{instances: {instances}, workers: {workers}, queue: {{limit: 100000}}, endpoints: {{GET /: [{{work: {{exponential: 1s}}}}]}}}}
workloads: {{users: {{rate: 9/s, to: front, mix: [{{send: GET /}}]}}}}
"""
IN_TURN = gi_m_1(gamma_gaps(0.9, 1 / math.sqrt(10)))  # every tenth arrival of a Poisson process: 5.66
ONE_QUEUE = 1 + erlang_c(10, 9.0)  # 1.67


@pytest.mark.validate
@pytest.mark.parametrize(("balancer", "instances", "expected", "tolerance"), [
    ("random", 10, 10.0, 0.2), ("round_robin", 10, IN_TURN, 0.12), ("p2c", 10, 3.0, 0.08), ("least_request", 10, 1.91, 0.08),
    ("random", 1, ONE_QUEUE, 0.05),
])
def test_v38_one_queue_beats_many_and_two_choices_are_nearly_enough(balancer, instances, expected, tolerance):
    """Ten servers at 0.9, in service times: 10 at random, 5.66 in turn, 3.00 of two choices, 1.91 where all are looked at, 1.67 from one
    queue."""
    text = TEN.format(balancer=balancer, instances=instances, workers=10 // instances)
    found = mean(latency(simulate(text, seed)) for seed in (1, 2))
    assert found == pytest.approx(expected, rel=tolerance)


@dataclass(eq=False)
class Host:
    name: int
    weight: float = 1.0
    zone: str | None = None
    healthy: bool = True


def told_late(balancer: Balancer, every: float, arrivals: int = 30_000) -> float:
    """Mean time in the system of ten servers at 0.9, where *balancer* is told of begins and ends only *every* so often."""
    rng, hosts, now, told, times = random.Random(1), [Host(number) for number in range(10)], 0.0, every, []
    free_at, ends, news = [0.0] * 10, [], []
    for number in range(arrivals):
        now += rng.expovariate(9.0)
        if now >= told:
            for host, begins in news:
                if begins:
                    balancer.started(host, now)
                else:
                    balancer.finished(host, now, 0.0, Outcome.SUCCESS)
            news, told = [], told + every * math.ceil((now - told) / every)
        while ends and ends[0][0] <= now:
            news.append((heapq.heappop(ends)[2], False))
        host = balancer.pick(hosts, now, rng)
        news.append((host, True))
        free_at[host.name] = max(now, free_at[host.name]) + rng.expovariate(1.0)
        heapq.heappush(ends, (free_at[host.name], number, host))
        times.append(free_at[host.name] - now)
    return mean(times[arrivals // 10:])


@pytest.mark.validate
def test_the_best_by_old_news_is_where_everybody_goes():
    """Fresh news: the best of all is best. News of two service times ago: the best of two is; of a hundred: any of them, and the herd that
    goes to the one that was best is worst by far. Source: Brooker, The power of two random choices, 2012; Mitzenmacher, TPDS 11 (2000)."""
    fresh, old, ancient = ([told_late(balancer(), every) for balancer in (LeastRequest, PowerOfTwoChoices, Random)] for every in (0.01, 2, 100))
    assert fresh[0] < 0.9 * fresh[1] and fresh[1] < 0.4 * fresh[2]
    assert old[1] < 0.7 * old[0] and old[1] < 0.5 * old[2]
    assert ancient[2] < 0.7 * ancient[1] and ancient[1] < 0.3 * ancient[0]
