"""Composition cases of other libraries, by the ids of the reference."""

import asyncio
import math

import pytest

from sim.kernel import SimLoop
from sim.resilience import (
    AttemptTimeout,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    Consecutive,
    Constant,
    Fallback,
    Pipeline,
    RateLimited,
    Retry,
    StaleCache,
    State,
    Timeout,
)
from sim.resilience.rate_limiter import RateLimiter
from sim.resilience.token_bucket import TokenBucket


class Flaky:
    """Fails so many times, then answers "ok"; counts what reaches it."""

    def __init__(self, failures, takes=0.0):
        self.failures, self.takes, self.executions = failures, takes, 0

    async def __call__(self):
        self.executions += 1
        await asyncio.sleep(self.takes)
        if self.executions <= self.failures:
            raise ConnectionError("down")
        return "ok"


def run(policies, fn, times=1):
    """What *times* calls in turn through the pipeline gave."""

    async def calls():
        pipeline, results = Pipeline("test", policies), []
        for _ in range(times):
            try:
                results.append(await pipeline.call(fn))
            except Exception as error:
                results.append(error)
        return results

    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(calls())


def test_cp_01_retry_around_a_breaker():
    """Without an end; two failures, then success: three attempts, the breaker has one success and two failures."""
    flaky, breaker = Flaky(2), CircuitBreaker(sliding_window=Consecutive(3))
    assert run([Retry(max_attempts=math.inf, backoff=Constant(0)), breaker], flaky) == ["ok"]
    metrics = breaker.metrics(0)
    assert (flaky.executions, metrics.successful, metrics.failed) == (3, 1, 2)


def test_cp_03_retry_around_a_limiter():
    """Three a second, seven attempts that all fail: three go out, four are refused, and there were six retries.

    When the limiter would let one through again is no server's Retry-After: the backoff alone decides.
    """
    events, flaky = [], Flaky(7)
    retry = Retry(max_attempts=7, backoff=Constant(0), on_event=events.append)
    (error,) = run([retry, RateLimiter(TokenBucket(3, burst=3))], flaky)
    assert isinstance(error, RateLimited) and error.retry_after == pytest.approx(1 / 3)
    assert (flaky.executions, [event.delay for event in events if event.kind == "retry"]) == (3, [0] * 6)


def test_cp_03_retry_around_a_full_bulkhead():
    """Seven attempts, no execution."""
    events, flaky, full = [], Flaky(7), Bulkhead(1)
    full.try_enter(now=0)
    (error,) = run([Retry(max_attempts=7, backoff=Constant(0), on_event=events.append), full], flaky)
    assert isinstance(error, BulkheadFull)
    assert (flaky.executions, events[-1].attempts) == (0, 7)


def test_cp_05_a_timeout_inside_opens_the_breaker():
    """50 ms for a call of 100 ms: the timeout's error, and the circuit is open."""
    breaker = CircuitBreaker(sliding_window=Consecutive(1))
    (error,) = run([breaker, Timeout(0.05)], Flaky(0, takes=0.1))
    assert isinstance(error, AttemptTimeout)
    assert breaker.state is State.OPEN


def test_cp_07_fallback_around_and_inside():
    """For a timeout and for an open circuit it answers; inside a retry it hides the failures, so there is one attempt."""
    seen = []
    fallback = Fallback(value=lambda error: seen.append(error) or "substitute")
    assert run([fallback, Timeout(0.01)], Flaky(0, takes=1)) == ["substitute"]
    assert isinstance(seen.pop(), AttemptTimeout)
    breaker, untouched = CircuitBreaker(), Flaky(0)
    breaker.force_open(now=0)
    assert run([fallback, breaker], untouched) == ["substitute"]
    assert isinstance(seen.pop(), CircuitOpen)
    assert untouched.executions == 0
    flaky = Flaky(9)
    assert run([Retry(), fallback], flaky) == ["substitute"]
    assert flaky.executions == 1


def test_cp_09_cache_around_a_retry():
    """First call: three executions, one miss; second: none, one hit."""
    flaky, cache = Flaky(2), StaleCache(ttl=60)
    assert run([cache, Retry(backoff=Constant(0))], flaky, times=2) == ["ok", "ok"]
    assert (flaky.executions, cache.misses, cache.hits) == (3, 1, 1)


def test_an_open_circuit_ends_the_retry_at_once():
    """The breaker opens at the first failure: one attempt, and the retry does not wait for it."""
    flaky = Flaky(9)
    (error,) = run([Retry(max_attempts=5, backoff=Constant(1)), CircuitBreaker(sliding_window=Consecutive(1))], flaky)
    assert isinstance(error, CircuitOpen)
    assert isinstance(error.__cause__, ConnectionError)
    assert flaky.executions == 1


def test_a_nested_clients_refusal_is_the_calls_own_error():
    """The same class from a client of its own: retried, and counted as a failure."""
    nested = CircuitBreaker()
    breaker = CircuitBreaker()
    attempts = []

    async def call():
        attempts.append(1)
        raise CircuitOpen(nested, "open")

    (error,) = run([Retry(max_attempts=3, backoff=Constant(0)), breaker], call)
    assert error.by is nested
    assert (len(attempts), breaker.metrics(0).failed) == (3, 3)
