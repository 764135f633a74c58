"""Rate limiter cases RL-* of the reference: golang.org/x/time/rate, resilience4j, failsafe-go, aiolimiter, GCRA."""

import asyncio
import random

import pytest

from sim.kernel import SimLoop
from sim.resilience.fixed_window import FixedWindow
from sim.resilience.gcra import Gcra
from sim.resilience.rate_limiter import RateLimiter
from sim.resilience.token_bucket import TokenBucket

D = 0.1  # x/time's unit: t0 = 0, t1 = 100 ms, ...
BUCKETS = pytest.mark.parametrize("bucket", [TokenBucket, Gcra])


@BUCKETS
def test_rl_01_burst_of_one(bucket):
    """10/s, burst 1: one at t0, one at t1; two at once never."""
    limiter = bucket(10, 1)
    assert [limiter.try_acquire(t * D) for t in (0, 0, 0, 1, 1, 1)] == [True, False, False, True, False, False]
    assert [limiter.try_acquire(2 * D, n) for n in (2, 1, 1)] == [False, True, False]


@BUCKETS
def test_rl_03_jumping_back_mints_nothing(bucket):
    """From t1 back to t0: two tokens are left; on at t1 one has been gained."""
    limiter = bucket(10, 3)
    steps = [(1, True), (0, True), (0, True), (0, False), (0, False), (1, True), (1, False), (1, False), (2, True), (2, False), (2, False)]
    assert [limiter.try_acquire(t * D) for t, _ in steps] == [answer for _, answer in steps]


def promised(limiter, t, n):
    reservation = limiter.reserve(t * D, n)
    return reservation, reservation.at / D


@BUCKETS
def test_rl_05_cancel_gives_back_what_nobody_built_upon(bucket):
    """x/time's five cases of cancelling."""
    last = bucket(10, 2)
    promised(last, 0, 2)
    second, at = promised(last, 0, 2)
    assert at == pytest.approx(2)
    last.cancel(second, 1 * D)
    assert promised(last, 1, 2)[1] == pytest.approx(2)

    too_late = bucket(10, 2)
    promised(too_late, 0, 2)
    second, _ = promised(too_late, 0, 2)
    too_late.cancel(second, 3 * D)
    assert promised(too_late, 3, 2)[1] == pytest.approx(4)

    nothing_back = bucket(10, 2)
    promised(nothing_back, 0, 2)
    cancelled, at = promised(nothing_back, 0, 1)
    assert (at, promised(nothing_back, 0, 1)[1]) == pytest.approx((1, 2))
    nothing_back.cancel(cancelled, 0)
    assert promised(nothing_back, 0, 1)[1] == pytest.approx(3)

    one_back = bucket(10, 2)
    promised(one_back, 0, 2)
    cancelled, at = promised(one_back, 0, 2)
    assert (at, promised(one_back, 0, 1)[1]) == pytest.approx((2, 3))
    one_back.cancel(cancelled, 2 * D)
    assert promised(one_back, 2, 2)[1] == pytest.approx(4)

    multi = bucket(10, 4)
    promised(multi, 0, 4)
    a, a_at = promised(multi, 0, 3)
    b_at = promised(multi, 0, 1)[1]
    c, c_at = promised(multi, 0, 1)
    assert (a_at, b_at, c_at) == pytest.approx((3, 4, 5))
    multi.cancel(c, 1 * D)
    multi.cancel(a, 1 * D)
    assert promised(multi, 1, 3)[1] == pytest.approx(5)


@BUCKETS
def test_rl_07_a_new_limit_leaves_promises_as_they_are(bucket):
    """5/s burst 2, limit 10 at t2: what is promised for t4 stays, the next goes then as well."""
    limiter = bucket(5, 2)
    promised(limiter, 0, 2)
    assert promised(limiter, 0, 2)[1] == pytest.approx(4)
    limiter.set_rate(10, 2 * D)
    assert promised(limiter, 2, 1)[1] == pytest.approx(4)


@BUCKETS
def test_rl_09_limits_at_the_edges(bucket):
    """A limit of zero, a limit that floats cannot hold, callers at one instant, and five seconds of overload."""
    zero = bucket(0, 1)
    assert [zero.try_acquire(0), zero.try_acquire(0), zero.try_acquire(1e6)] == [True, False, False]
    assert zero.reserve(0) is None
    zero.set_rate(10, 1e6)
    assert [zero.try_acquire(1e6 + 0.09), zero.try_acquire(1e6 + D)] == [False, True]
    assert bucket(0.7692307692307693, 1).try_acquire(0)
    five = bucket(1, 5)
    assert sum(five.try_acquire(0) for _ in range(15)) == 5
    long = bucket(100, 100)
    assert 599 <= sum(long.try_acquire(step / 500) for step in range(5 * 500)) <= 601


def test_rl_11_cycles_borrow_from_later_ones_and_save_nothing():
    """resilience4j's cycles: the second waits for the next one, the third would wait for two and is refused."""
    limiter = FixedWindow(1, 1.0)
    assert limiter.reserve(0.2, max_wait=1.0).at == pytest.approx(0.2)
    assert limiter.reserve(0.2, max_wait=1.0).at == pytest.approx(1.0)
    assert limiter.reserve(0.2, max_wait=1.0) is None
    assert limiter.wait(0.2) == pytest.approx(1.8)
    assert [limiter.try_acquire(6.5), limiter.try_acquire(6.5)] == [True, False]


@pytest.mark.parametrize(("interval", "steps"), [
    (500, [(0, 1, 0), (0, 6, 3000), (800, 3, 3700), (2300, 1, 2700), (3500, 3, 3000), (9100, 3, 900), (11000, 1, 0)]),
    (200, [(0, 3, 400), (550, 2, 250), (2210, 2, 190)]),
])
def test_rl_13_one_permit_an_interval(interval, steps):
    """failsafe-go's smooth limiter is a fixed window with one place an interval: milliseconds until the last of n permits."""
    limiter = FixedWindow(1, interval / 1000)
    for now, n, expected in steps:
        waits = [limiter.reserve(now / 1000).at * 1000 - now for _ in range(n)]
        assert waits[-1] == pytest.approx(expected, abs=1e-6)


def finish_times(loop, limiter, callers):
    async def caller():
        await limiter(lambda: asyncio.sleep(0))
        return loop.time()

    async def scenario():
        start = loop.time()
        return [at - start for at in await asyncio.gather(*(caller() for _ in range(callers)))]

    return loop.run_until_complete(scenario())


def test_rl_15_waiters_as_aiolimiter_serves_them():
    """Five per 10 s: of ten callers five go at once, the others after 2, 4, 6, 8 and 10 s; a cancelled waiter costs nothing."""

    async def cancelled():
        limiter = RateLimiter(TokenBucket(1, 1), max_wait=60)
        await limiter(lambda: asyncio.sleep(0))
        start = loop.time()
        first, second = (asyncio.ensure_future(limiter(lambda: asyncio.sleep(0))) for _ in range(2))
        await asyncio.sleep(0.5)
        first.cancel()
        await second
        return loop.time() - start

    with SimLoop(seed=1) as loop:
        limiter = RateLimiter(TokenBucket(0.5, 5), max_wait=60)
        assert finish_times(loop, limiter, 10) == pytest.approx([0] * 5 + [2, 4, 6, 8, 10])
        assert loop.run_until_complete(cancelled()) == pytest.approx(1.0)


def test_rl_17_gcra_decides_as_the_token_bucket():
    """60,000 requests at random times, at random rates and bursts: the same answer each time."""
    rng = random.Random(17)
    for _ in range(60):
        rate, burst = rng.uniform(1, 10), rng.randint(1, 6)
        bucket, gcra, now = TokenBucket(rate, burst), Gcra(rate, burst), 0.0
        for _ in range(1000):
            now += rng.expovariate(rate * 1.5)
            n = rng.randint(1, 2)
            assert bucket.try_acquire(now, n) == gcra.try_acquire(now, n)
