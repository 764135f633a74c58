"""RateLimiter: the line, refusals, and callers who give up."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience.deadline import deadline_at
from sim.resilience.errors import RateLimited
from sim.resilience.policy import Worst
from sim.resilience.rate_limiter import RateLimiter, RateLimiterSpec
from sim.resilience.token_bucket import TokenBucket

ALGORITHMS = ["token_bucket", "gcra", "fixed_window", "sliding_log", "sliding_counter"]


async def ok():
    return "ok"


def test_what_finds_no_token_is_refused_with_the_time_to_come_back(loop):
    """Burst of two, 10/s, no patience: two go, the third is told to come back in 100 ms."""
    events = []
    limiter = RateLimiter(TokenBucket(10, 2, now=loop.time()))
    limiter.on_event = events.append

    async def scenario():
        return await asyncio.gather(*(limiter(ok) for _ in range(3)), return_exceptions=True)

    first, second, third = loop.run_until_complete(scenario())
    assert (first, second) == ("ok", "ok")
    assert isinstance(third, RateLimited)
    assert third.by is limiter
    assert third.retry_after == pytest.approx(0.1, abs=0.02)
    assert [event.kind for event in events] == ["rejected"]


def test_waiters_are_served_first_come_first_served(loop):
    """Five callers at 200/s with bursts of one come out in the order in which they came in."""
    limiter = RateLimiter(TokenBucket(200, 1, now=loop.time()), max_wait=1)
    order = []

    async def caller(number):
        await limiter(ok)
        order.append(number)

    async def scenario():
        await asyncio.gather(*(caller(number) for number in range(5)))

    start = loop.time()
    loop.run_until_complete(scenario())
    assert order == [0, 1, 2, 3, 4]
    assert loop.time() - start >= 0.0199


@pytest.mark.parametrize("who", range(1, 5))
def test_whoever_gives_up_in_line_costs_the_others_nothing(who):
    """One call a second, four wait; one of them leaves at 0.5 s and all behind it move up: the last goes at 3 s, not at 4."""
    with SimLoop(seed=1) as loop:
        limiter = RateLimiter(TokenBucket(1, 1), max_wait=10)
        times = []

        async def caller():
            await limiter(ok)
            times.append(loop.time())

        async def scenario():
            callers = [asyncio.ensure_future(caller()) for _ in range(5)]
            await asyncio.sleep(0.5)
            callers[who].cancel()
            await asyncio.wait(callers)

        loop.run_until_complete(scenario())
        assert times == pytest.approx([0, 1, 2, 3])
        assert limiter.waiting == 0


def test_a_turn_that_reaches_someone_who_leaves_goes_to_the_next():
    """The waiter is cancelled in the very instant in which its turn came: the next in line goes at that time."""
    with SimLoop(seed=1) as loop:
        limiter = RateLimiter(TokenBucket(1, 1), max_wait=10)
        times = []

        async def caller():
            await limiter(ok)
            times.append(loop.time())

        async def scenario():
            callers = [asyncio.ensure_future(caller()) for _ in range(3)]
            await asyncio.sleep(0)
            loop.call_at(1.0, callers[1].cancel)  # scheduled after the limiter's own timer: the turn is given first
            await asyncio.wait(callers)
            return await asyncio.wait_for(limiter(ok), 2)

        assert loop.run_until_complete(scenario()) == "ok"
        assert times == pytest.approx([0, 1])
        assert loop.time() == pytest.approx(2)


def test_the_last_one_who_leaves_as_its_turn_comes_gives_the_token_back():
    """Nobody is left to pass it on to, so the next caller finds it."""
    with SimLoop(seed=1) as loop:
        limiter = RateLimiter(TokenBucket(1, 1), max_wait=10)

        async def scenario():
            await limiter(ok)
            waiter = asyncio.ensure_future(limiter(ok))
            await asyncio.sleep(0)
            loop.call_at(1.0, waiter.cancel)
            await asyncio.wait([waiter])
            await limiter(ok)
            return loop.time()

        assert loop.run_until_complete(scenario()) == pytest.approx(1.0)


@pytest.mark.parametrize("steps", range(3))
def test_a_thousand_cancelled_waiters_leave_nothing_behind(loop, steps):
    """All wait, all are cancelled; then there is no line, and the next token is as near as ever."""
    limiter = RateLimiter(TokenBucket(1000, 1, now=loop.time()), max_wait=10)

    async def scenario():
        callers = [asyncio.ensure_future(limiter(ok)) for _ in range(1000)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
        return await limiter(ok)

    assert loop.run_until_complete(scenario()) == "ok"
    assert limiter.waiting == 0
    assert limiter.limiter.tokens(loop.time()) >= -0.1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_can_be_named_in_a_scenario(algorithm):
    """Ten a second of each: of 100 calls at one instant no more than a burst or a window's worth goes."""
    spec = RateLimiterSpec.model_validate({"rate": "10/s", "burst": 10, "algorithm": algorithm})
    limiter = spec.limiter(now=0.0)
    assert sum(limiter.try_acquire(0.0) for _ in range(100)) == 10


def test_nobody_waits_for_a_token_that_comes_after_the_deadline():
    """One token a second and a deadline in half a second: refused at once, although it would wait for ten."""
    with SimLoop(seed=1) as loop:
        limiter = RateLimiter(TokenBucket(1, 1), max_wait=10)

        async def scenario():
            with deadline_at(0.5):
                return await asyncio.gather(limiter(ok), limiter(ok), return_exceptions=True)

        answers = loop.run_until_complete(scenario())
        assert [type(answer) for answer in answers] == [str, RateLimited]
        assert loop.time() == 0


def test_what_it_can_cost():
    """Its wait, on top of what is inside."""
    assert RateLimiter(TokenBucket(1, 1), max_wait=10).worst(Worst(2, 0.5)) == Worst(2, 10.5)
