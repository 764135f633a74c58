"""The guided search beside striking at random, on the scenarios that are shipped: runs until the first violation."""

from __future__ import annotations

import pytest

from tests.benchmarks.bench_explore import CASES, means, runs_until_broken

SEEDS = range(1, 4)


@pytest.mark.validate
def test_it_needs_fewer_runs_than_striking_at_random_on_every_shipped_scenario():
    """Over three seeds each: never more than either way of striking at random, and on the whole less than half of the plain one and less
    than two thirds of the one that strikes as hard and as long as it can."""
    found = [means([runs_until_broken(case, seed) for seed in SEEDS]) for case in CASES]
    for case, runs in zip(CASES, found, strict=True):
        assert runs["guided"] <= min(runs["random"], runs["at worst"]), (case, runs)
    guided, plain, at_worst = (sum(runs[name] for runs in found) for name in ("guided", "random", "at worst"))
    assert guided < 0.5 * plain and guided < 0.67 * at_worst, (guided, plain, at_worst)
