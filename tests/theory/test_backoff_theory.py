"""Backoff with and without jitter, as AWS' simulator shows it (V50): clients that write one row at the version that they have read.

Who comes too late reads again after a while. All messages take |N(10, 2)| ms. Source: Brooker, Exponential Backoff And Jitter (2015),
whose simulator is written anew here, without any of our parts.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from statistics import mean

import pytest

from .runs import of, simulate

BASE, CAP = 5.0, 2000.0  # ms
WRITTEN = {
    "none": "0ms",
    "exponential": "{initial: 10ms, max: 2s, jitter: none}",
    "equal": "{initial: 10ms, max: 2s, jitter: equal}",
    "full": "{initial: 10ms, max: 2s, jitter: full}",
    "decorrelated": "{kind: decorrelated, initial: 5ms, max: 2s}",
}


def waits(kind: str, rng: random.Random) -> Callable[[int], float]:
    """Milliseconds before the next attempt of one client, by the number of those that failed."""
    last = BASE

    def decorrelated(failed: int) -> float:
        nonlocal last
        last = min(CAP, rng.uniform(BASE, 3 * last))
        return last

    def grown(failed: int) -> float:
        return min(CAP, BASE * 2.0**failed)

    return {
        "none": lambda failed: 0.0, "exponential": grown, "full": lambda failed: rng.uniform(0, grown(failed)),
        "equal": lambda failed: grown(failed) / 2 + rng.uniform(0, grown(failed) / 2), "decorrelated": decorrelated,
    }[kind]


def contend(kind: str, clients: int, seed: int) -> tuple[float, float]:
    """(when the last one is done, in seconds, and how many writes were sent)."""
    rng, version, writes, done = random.Random(seed), 0, 0, 0.0
    wait, failed = [waits(kind, rng) for _ in range(clients)], [0] * clients

    def way() -> float:
        return abs(rng.gauss(10, 2))

    arriving = [(way(), client, -1) for client in range(clients)]  # with the version that is to be overwritten; -1: to read
    heapq.heapify(arriving)
    while arriving:
        now, client, expected = heapq.heappop(arriving)
        back = now + way()
        if expected < 0:
            heapq.heappush(arriving, (back + way(), client, version))
            continue
        writes += 1
        if expected == version:
            version, done = version + 1, back
        else:
            failed[client] += 1
            heapq.heappush(arriving, (back + wait[client](failed[client]) + way(), client, -1))
    return done / 1000, float(writes)


def contend_here(kind: str, clients: int, seed: int) -> tuple[float, float]:
    """The same of a scenario."""
    result = simulate(f"""
name: contention
duration: 300s
network: {{default: {{latency: 0ms}}, links: {{writers->db: {{latency: {{normal: {{mean: 10ms, stddev: 2ms}}}}}}}}}}
services:
  writers: {{workers: 1000, endpoints: {{POST /: [{{append: {{to: db, stream: row}}}}]}}}}
  db: {{kind: database, connections: 1000, query: 0ms}}
workloads:
  clients:
    executor: trace
    at: [{", ".join(["0ms"] * clients)}]
    to: writers
    policies: [{{retry: {{max_attempts: 100000, backoff: {WRITTEN[kind]}, on: [409]}}}}]
    mix: [{{send: POST /}}]
""", seed)
    assert of(result, "requests", "ok") == clients
    return float(result.requests.end.max()), float(of(result, "calls", "clients->writers", "attempts"))


def means(contest: Callable[[str, int, int], tuple[float, float]], kind: str, clients: int, seeds: int) -> tuple[float, float]:
    """Over *seeds* runs."""
    ends = [contest(kind, clients, seed) for seed in range(1, seeds + 1)]
    return mean(end for end, _ in ends), mean(writes for _, writes in ends)


@pytest.mark.parametrize("kind", ["none", "full"])
def test_v50_small_as_many_writes_as_in_a_simulator_of_its_own(kind):
    """Twenty clients."""
    assert means(contend_here, kind, 20, 2)[1] == pytest.approx(means(contend, kind, 20, 20)[1], rel=0.15)


@pytest.mark.validate
def test_v50_jitter_saves_calls_and_time():
    """A hundred clients. Calls: full and equal jitter, decorrelated, no jitter, no backoff at all. Time: backoff without jitter takes
    thirty times as long as none; with jitter it is two to four times."""
    time, calls = {}, {}
    for kind in WRITTEN:
        time[kind], calls[kind] = means(contend_here, kind, 100, 6)
        expected = means(contend, kind, 100, 30)
        assert calls[kind] == pytest.approx(expected[1], rel=0.03)
        assert time[kind] == pytest.approx(expected[0], rel=0.15)
    assert calls["full"] == pytest.approx(calls["equal"], rel=0.05)
    assert calls["full"] < 0.9 * calls["decorrelated"] < 0.6 * calls["exponential"] < 0.6 * calls["none"]
    assert time["none"] < time["decorrelated"] < 1.1 * time["full"] < time["equal"] < time["exponential"] / 5
    assert time["exponential"] == pytest.approx(30 * time["none"], rel=0.2)
