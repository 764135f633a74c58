"""The five rate limiting algorithms: what they admit, promise and give back."""

import math

import pytest

from sim.resilience.fixed_window import FixedWindow
from sim.resilience.gcra import Gcra
from sim.resilience.sliding_counter import SlidingCounter
from sim.resilience.sliding_log import SlidingLog
from sim.resilience.token_bucket import TokenBucket

BUCKETS = [TokenBucket, Gcra]
WINDOWS = [FixedWindow, SlidingLog, SlidingCounter]


def admitted(limiter, times):
    return [limiter.try_acquire(now) for now in times]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_full_bucket_gives_its_burst_and_then_its_rate(bucket):
    """10/s with bursts of 3: three at once, then one each 100 ms."""
    assert admitted(bucket(10, 3), [0, 0, 0, 0, 0.05, 0.1, 0.1, 0.2]) == [True, True, True, False, False, True, False, True]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_admits_exactly_on_time_whatever_the_floats_say(bucket):
    """A token that is due at 0.1, 0.2, 0.3 ... is there at those times, although 0.1 + 0.2 is not 0.3."""
    limiter = bucket(10, 1)
    assert all(limiter.try_acquire(step / 10) for step in range(1000))


@pytest.mark.parametrize("bucket", BUCKETS)
def test_the_stock_is_below_zero_while_reservations_wait(bucket):
    """Two promised tokens that are not there yet: -2."""
    limiter = bucket(10, 1)
    assert [limiter.reserve(0).at for _ in range(3)] == pytest.approx([0, 0.1, 0.2])
    assert limiter.tokens(0) == pytest.approx(-2)
    assert limiter.tokens(0.3) == pytest.approx(1)


@pytest.mark.parametrize("limiter", [TokenBucket(10, 2), Gcra(10, 2), *(window(2, 0.2) for window in WINDOWS)])
def test_more_than_can_ever_be_there_is_refused_and_changes_nothing(limiter):
    """Three of at most two: never; two are still there."""
    assert not limiter.try_acquire(0, 3)
    assert limiter.reserve(0, 3) is None
    assert limiter.wait(0, 3) == math.inf
    assert limiter.try_acquire(0, 2)


@pytest.mark.parametrize("limiter", [TokenBucket(10, 1), Gcra(10, 1), FixedWindow(1, 0.1), SlidingLog(1, 0.1)])
def test_a_reservation_beyond_the_patience_is_refused_and_changes_nothing(limiter):
    """The third would wait 200 ms; with patience for 150 ms it is refused, and then there is room for it as before."""
    limiter.try_acquire(0)
    assert limiter.reserve(0, max_wait=0.15).at == pytest.approx(0.1)
    assert limiter.reserve(0, max_wait=0.15) is None
    assert limiter.reserve(0, max_wait=0.25).at == pytest.approx(0.2)


@pytest.mark.parametrize("limiter", [TokenBucket(10, 1), Gcra(10, 1), FixedWindow(1, 0.1), SlidingLog(1, 0.1)])
def test_the_last_reservation_given_back_is_there_for_the_next(limiter):
    """Promised for 200 ms and cancelled: the next one gets 200 ms. A second cancel gives nothing."""
    limiter.try_acquire(0)
    limiter.reserve(0)
    last = limiter.reserve(0)
    limiter.cancel(last, 0.05)
    limiter.cancel(last, 0.05)
    assert limiter.reserve(0.05).at == pytest.approx(0.2)
    assert limiter.reserve(0.05).at == pytest.approx(0.3)


@pytest.mark.parametrize("limiter", [TokenBucket(10, 1), Gcra(10, 1), FixedWindow(1, 0.1), SlidingLog(1, 0.1)])
def test_once_its_time_is_over_a_reservation_counts_as_used(limiter):
    """Promised for 100 ms, cancelled at 150 ms: too late."""
    limiter.try_acquire(0)
    first = limiter.reserve(0)
    limiter.cancel(first, 0.15)
    assert not limiter.try_acquire(0.15)


@pytest.mark.parametrize("limiter", [TokenBucket(10, 2), Gcra(10, 2), *(window(2, 0.2) for window in WINDOWS)])
def test_a_clock_that_jumps_back_mints_nothing(limiter):
    """Both tokens go at t=5; back at t=1 there is none."""
    assert admitted(limiter, [5, 5, 5, 1, 1]) == [True, True, False, False, False]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_new_rate_leaves_what_is_saved_up(bucket):
    """One token left of two; from 10/s to 1/s: that one goes, and the next takes a second."""
    limiter = bucket(10, 2)
    limiter.try_acquire(0)
    limiter.set_rate(1, 0)
    assert admitted(limiter, [0, 0, 0.9, 1.0]) == [True, False, False, True]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_smaller_bucket_spills_and_a_larger_one_starts_with_what_was_there(bucket):
    """Five tokens, then room for two, then for four: two are there, and two more come at the rate."""
    limiter = bucket(10, 5)
    limiter.set_burst(2, 0)
    limiter.set_burst(4, 0)
    assert limiter.tokens(0) == pytest.approx(2)
    assert limiter.tokens(1) == pytest.approx(4)


def test_fixed_windows_start_with_the_limiter_and_may_meet_at_their_border():
    """Two in 1 s, built at t=0.5: two at 1.4 and two at 1.5 go, which is the known weakness."""
    assert admitted(FixedWindow(2, 1.0, now=0.5), [1.4, 1.4, 1.4, 1.5, 1.5, 1.5]) == [True, True, False, True, True, False]


def test_a_fixed_window_keeps_nothing_for_later():
    """Five idle windows later there are two places, not ten."""
    assert admitted(FixedWindow(2, 1.0), [5, 5, 5]) == [True, True, False]


def test_places_for_several_lie_in_one_window():
    """Three of five are gone; three more do not fit into what is left and go together in the next window."""
    limiter = FixedWindow(5, 1.0)
    limiter.try_acquire(0, 3)
    assert limiter.reserve(0, 3).at == 1.0
    assert limiter.wait(0, 2) == 1.0, "first come, first served: nobody slips in before"


def test_a_sliding_log_frees_a_place_exactly_a_period_later():
    """Calls at 0.0 and 0.6; the next at 1.0, then at 1.6."""
    assert admitted(SlidingLog(2, 1.0), [0.0, 0.6, 0.99, 1.0, 1.59, 1.6]) == [True, True, False, True, False, True]


def test_a_sliding_counter_weighs_the_window_before():
    """Ten in the first window; in the middle of the second, half of them still count: five more go."""
    limiter = SlidingCounter(10, 1.0)
    assert all(limiter.try_acquire(0.9) for _ in range(10))
    assert not limiter.try_acquire(1.0)
    assert [limiter.try_acquire(1.5) for _ in range(6)] == [True] * 5 + [False]


def test_a_sliding_counter_promises_the_time_at_which_the_estimate_has_sunk():
    """Ten in the first window: the next goes when one tenth of them has slid out, at 1.1."""
    limiter = SlidingCounter(10, 1.0)
    for _ in range(10):
        limiter.try_acquire(0.5)
    assert limiter.reserve(0.5).at == pytest.approx(1.1)
    last = limiter.reserve(0.5)
    assert last.at == pytest.approx(1.2)
    limiter.cancel(last, 0.7)
    assert limiter.reserve(0.7).at == pytest.approx(1.2)
    assert limiter.reserve(0.7, max_wait=0.5) is None


@pytest.mark.parametrize("window", WINDOWS)
def test_a_changed_limit_counts_from_now_on(window):
    """Two went of two; with a limit of three one more goes, with a limit of one none does."""
    limiter = window(2, 1.0)
    limiter.try_acquire(0, 2)
    limiter.set_limit(3, 0)
    assert admitted(limiter, [0, 0]) == [True, False]
    limiter.set_limit(1, 0.5)
    assert not limiter.try_acquire(0.5)
    assert limiter.try_acquire(2.5)


@pytest.mark.parametrize("limiter", [lambda: TokenBucket(-1, 1), lambda: Gcra(math.inf, 1), *(lambda w=w: w(1, 0) for w in WINDOWS)])
def test_limits_that_make_no_sense_are_refused(limiter):
    """Negative and infinite rates and empty periods are mistakes."""
    with pytest.raises(ValueError, match="needs"):
        limiter()
