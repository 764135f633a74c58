"""Windows: what is remembered, and when it is forgotten."""

import random

import pytest

from sim.resilience.windows import Consecutive, CountWindow, LastCalls, RecentCalls, TimeWindow


def test_the_oldest_call_leaves_as_a_newer_one_comes():
    """Three places: F S S, then S pushes the failure out."""
    counts = LastCalls(3)
    for failed in (True, False, False):
        counts.add(failed, False, now=0)
    assert counts.sums == [3, 1, 0]
    counts.add(False, True, now=0)
    assert counts.sums == [3, 0, 1]


def test_sums_of_the_last_calls_equal_a_recount():
    """Two hundred random calls through seven places."""
    rng, counts, history = random.Random(3), LastCalls(7), []
    for _ in range(200):
        call = (rng.random() < 0.4, rng.random() < 0.3)
        history.append(call)
        counts.add(*call, now=0)
        last = history[-7:]
        assert counts.sums == [len(last), sum(f for f, _ in last), sum(s for _, s in last)]


def test_buckets_are_aligned_to_their_origin():
    """Two seconds in two buckets from 0.5: a call at 1.4 is in the first bucket and leaves at 2.5, not at 3.4."""
    counts = RecentCalls(2, 2, origin=0.5)
    counts.add(True, False, now=1.4)
    counts.advance(2.49)
    assert counts.sums == [1, 1, 0]
    counts.advance(2.5)
    assert counts.sums == [0, 0, 0]


def test_a_long_silence_empties_everything():
    """A year later nothing is left, and it counts on."""
    counts = RecentCalls(10, 10, origin=0)
    for now in range(10):
        counts.add(True, True, now)
    counts.add(False, False, now=31_536_000)
    assert counts.sums == [1, 0, 0]


def test_time_that_jumps_back_counts_into_the_newest_bucket():
    """Nothing is lost and nothing counted twice."""
    counts = RecentCalls(10, 10, origin=0)
    counts.add(False, False, now=9)
    counts.add(True, False, now=3)
    assert counts.sums == [2, 1, 0]
    counts.advance(18.9)
    assert counts.sums == [2, 1, 0]
    counts.advance(19)
    assert counts.sums == [0, 0, 0]


@pytest.mark.parametrize("width", [0.1, 0.3, 1 / 3])
def test_a_border_is_where_it_should_be_in_spite_of_rounding(width):
    """A call at exactly k widths opens bucket k, for widths that binary numbers cannot hold."""
    counts = RecentCalls(10 * width, 10, origin=0)
    for bucket in range(1000):
        counts.add(False, False, now=bucket * width)
        assert counts.sums[0] == min(bucket + 1, 10)


@pytest.mark.parametrize("make", [lambda: CountWindow(0), lambda: TimeWindow(0), lambda: TimeWindow(1, 0), lambda: Consecutive(0)])
def test_empty_windows_are_refused(make):
    """No calls, no seconds, no buckets."""
    with pytest.raises(ValueError, match="window needs"):
        make()
