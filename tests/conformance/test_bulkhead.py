"""Bulkhead cases of other libraries, by the ids of the reference."""

import asyncio

from sim.kernel import SimLoop
from sim.resilience import Bulkhead, BulkheadFull, CircuitBreaker, Pipeline


def test_bh_01_two_permits():
    """Two in, one refused; both leave, one in; available 2 1 0 2 1."""
    events = []
    bulkhead, available = Bulkhead(2, on_event=events.append), [2]

    def enter():
        permit = bulkhead.try_enter(now=0)
        available.append(bulkhead.available)
        return permit

    first, second = enter(), enter()
    assert bulkhead.try_enter(now=0) is None
    bulkhead.leave(first, now=0)
    bulkhead.leave(second, now=0)
    available.append(bulkhead.available)
    assert enter() is not None
    assert available == [2, 1, 0, 2, 1]


def test_bh_01_from_two_to_one_with_two_inside():
    """The first to leave makes no room; the second does."""
    bulkhead = Bulkhead(2)
    first, second = bulkhead.try_enter(now=0), bulkhead.try_enter(now=0)
    bulkhead.resize(1, now=0)
    bulkhead.leave(first, now=0)
    assert bulkhead.try_enter(now=0) is None
    bulkhead.leave(second, now=0)
    assert bulkhead.try_enter(now=0) is not None


def test_bh_03_a_refusal_is_no_failure_for_the_breaker_around_it():
    """One slot, taken: the second call is refused and the breaker has counted no failure."""

    async def scenario():
        breaker = CircuitBreaker()
        pipeline = Pipeline("db", [breaker, Bulkhead(1)])
        results = await asyncio.gather(*(pipeline.call(asyncio.sleep, 1, "ok") for _ in range(2)), return_exceptions=True)
        return results, breaker.metrics(1)

    with SimLoop(seed=1) as loop:
        (first, second), metrics = loop.run_until_complete(scenario())
    assert first == "ok"
    assert isinstance(second, BulkheadFull)
    assert (metrics.buffered, metrics.failed) == (1, 0)
