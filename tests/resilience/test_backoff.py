"""Backoff: delays, limits, jitters."""

import random

import pytest
from pydantic import TypeAdapter

from sim.resilience import Constant, Decorrelated, Exponential, Fibonacci, Linear, Sequence
from sim.resilience.backoff import AnyBackoff


class Highest:
    def uniform(self, a, b):
        return b


ALL = [Constant(1), Linear(1, 2), Exponential(1), Fibonacci(1), Decorrelated(1), Sequence([1, 2])]


def delays(backoff, count=5):
    return [backoff.delay(attempt, random.Random(1)) for attempt in range(1, count + 1)]


def test_the_shapes():
    """Constant, linear, exponential, Fibonacci, and a list whose last entry repeats."""
    assert delays(Constant(2)) == [2] * 5
    assert delays(Linear(1, 0.5)) == [1, 1.5, 2, 2.5, 3]
    assert delays(Exponential(1, 3)) == [1, 3, 9, 27, 81]
    assert delays(Fibonacci(2)) == [2, 4, 6, 10, 16]
    assert delays(Sequence([1, 5])) == [1, 5, 5, 5, 5]


def test_decorrelated_follows_the_delay_before():
    """First between one and three times the initial delay, then up to three times the last one, never above the limit."""
    backoff = Decorrelated(1, max=50)
    assert backoff.delay(1, Highest()) == 3
    assert backoff.delay(2, Highest(), previous=3) == 9
    assert backoff.delay(9, Highest(), previous=40) == 50
    assert all(1 <= backoff.delay(1, random.Random(seed)) <= 3 for seed in range(50))


@pytest.mark.parametrize("jitter", ["none", "full", "equal", "proportional:0.5", "additive:1.0", "proportional:50%", "additive:1s"])
@pytest.mark.parametrize("kind", [Constant, Exponential, Fibonacci, Decorrelated])
def test_every_jitter_keeps_the_limit(kind, jitter):
    """At most 3 s whatever is thrown, and never negative."""
    backoff = kind(2, max=3, jitter=jitter)
    assert all(0 <= backoff.delay(attempt, random.Random(attempt), previous=2.5) <= 3 for attempt in range(1, 200))


@pytest.mark.parametrize("backoff", ALL)
def test_attempt_100_000_has_a_finite_delay(backoff):
    """No overflow, also without a limit."""
    assert 0 <= backoff.delay(100_000, random.Random(1)) <= 1e9


@pytest.mark.parametrize("kind", ["exponential", "fibonacci", "decorrelated"])
def test_nothing_at_first_is_nothing_for_ever(kind):
    """`initial: 0ms` retries at once, each time."""
    backoff = TypeAdapter(AnyBackoff).validate_python({"kind": kind, "initial": "0ms"}).build()
    assert [backoff.delay(attempt, random.Random(1), previous=0.0) for attempt in (1, 2, 50, 100_000)] == [0, 0, 0, 0]


@pytest.mark.parametrize("backoff", ALL)
def test_attempts_start_at_one(backoff):
    """There is no attempt zero."""
    with pytest.raises(ValueError, match="counted from 1"):
        backoff.delay(0, random.Random(1))


def test_the_longest_total_is_reached_by_the_highest_throws():
    """Three attempts, two delays: 100 and 200 ms; with full jitter the same at most; infinitely many: infinite."""
    assert Exponential(0.1).longest(3) == pytest.approx(0.3)
    assert Exponential(0.1, jitter="full").longest(3) == pytest.approx(0.3)
    assert Constant(1, max=5, jitter="additive:1").longest(4) == 6
    assert Constant(1).longest(float("inf")) == float("inf")


def test_an_unknown_jitter_names_the_known_ones():
    """A mistake is told with its cure."""
    with pytest.raises(ValueError, match="known: none, full, equal"):
        Constant(1, jitter="some")
