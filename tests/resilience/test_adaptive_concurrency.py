"""Adaptive concurrency: how limits move, who gets in, what counts as a sample."""

import asyncio
import random

import pytest

from sim.kernel import SimLoop
from sim.resilience.adaptive_concurrency import AdaptiveConcurrency, AdaptiveConcurrencySpec
from sim.resilience.errors import LoadShed
from sim.resilience.limits import Aimd, Gradient2, Vegas
from sim.resilience.policy import PolicyParts


def fixed(limit):
    """A limit that does not move."""
    return Aimd(limit, min_limit=limit, max_limit=limit)


@pytest.mark.parametrize("limit", [Aimd(), Vegas(), Gradient2()])
def test_an_idle_caller_learns_nothing(limit):
    """A thousand fast answers with one call in flight leave the limit at 20."""
    for _ in range(500):
        limit.on_sample(0, 0.01, in_flight=1)
    assert limit.limit == 20


@pytest.mark.parametrize("limit", [Aimd(), Vegas(), Gradient2()])
def test_a_busy_caller_with_steady_latencies_gets_more(limit):
    """Answers of 10 ms while all slots are used: the limit grows, up to its maximum."""
    for _ in range(3000):
        limit.on_sample(0, 0.01, in_flight=limit.limit)
    assert limit.limit == limit.max_limit


@pytest.mark.parametrize("limit", [Aimd(100, min_limit=5, timeout=0.5), Vegas(100), Gradient2(100, min_limit=5)])
def test_latencies_that_rise_bring_it_down(limit):
    """10 ms, then 1 s for a while: the limit falls to less than half of what it was."""
    for _ in range(50):
        limit.on_sample(0, 0.01, in_flight=10)
    before = limit.limit
    for _ in range(60):
        limit.on_sample(0, 1.0, in_flight=limit.limit)
    assert limit.limit < before / 2


def test_vegas_measures_the_best_latency_anew_now_and_then():
    """Slower for good: after 30 * limit samples the new latency is the best one, and the limit grows again."""
    limit = Vegas(10, rng=random.Random(1))
    limit.on_sample(0, 0.01, in_flight=10)
    for _ in range(400):
        limit.on_sample(0, 0.1, in_flight=limit.limit)
    assert limit.best_rtt == 0.1


def test_vegas_takes_no_refusal_for_its_best_latency():
    """Answers take 100 ms, one call is turned away after 1 ms: one step down, and the answers are still as good as ever."""
    limit = Vegas(20)
    limit.on_sample(0, 0.1, in_flight=20)
    limit.on_sample(0, 0.001, in_flight=20, dropped=True)
    assert (limit.best_rtt, limit.limit) == (0.1, 19)
    limit.on_sample(0, 0.1, in_flight=20)
    assert limit.limit == 25


def test_calls_beyond_the_limit_are_shed_and_slots_come_back(loop):
    """Limit 3, five callers at once: two are refused; afterwards three find room again."""
    policy = AdaptiveConcurrency(fixed(3))

    async def scenario():
        first = await asyncio.gather(*(policy(lambda: asyncio.sleep(0.01, "ok")) for _ in range(5)), return_exceptions=True)
        then = await asyncio.gather(*(policy(lambda: asyncio.sleep(0.01, "ok")) for _ in range(3)))
        return first, then

    first, then = loop.run_until_complete(scenario())
    assert [type(answer) for answer in first] == [str, str, str, LoadShed, LoadShed]
    assert then == ["ok"] * 3
    assert policy.inside == 0


@pytest.mark.parametrize(("error", "expected"), [
    (None, [False]), (TimeoutError(), [True]), (LoadShed("another", "busy"), []), (ValueError("the caller's own mistake"), []),
    (type("Overloaded", (Exception,), {"status": 503})(), [True]), (type("Broken", (Exception,), {"status": 500})(), []),
])
def test_what_counts_as_a_sample(loop, error, expected):
    """Answers, and timeouts and overload answers as drops; refusals and other errors teach nothing."""
    samples = []

    class Spy(Aimd):
        def on_sample(self, now, rtt, in_flight, dropped=False):
            samples.append(dropped)

    async def call():
        if error is not None:
            raise error

    async def scenario():
        await asyncio.gather(AdaptiveConcurrency(Spy())(call), return_exceptions=True)

    loop.run_until_complete(scenario())
    assert samples == expected


def test_a_partition_always_has_its_share_and_may_use_what_is_free():
    """Limit 10, 70 % live and 30 % batch: batch fills all ten; live still gets its seven; batch has no more."""
    policy = AdaptiveConcurrency(fixed(10), partitions={"live": 0.7, "batch": 0.3})
    batch = [policy.try_enter(0, "batch") for _ in range(12)]
    assert sum(slot is not None for slot in batch) == 10
    live = [policy.try_enter(0, "live") for _ in range(8)]
    assert sum(slot is not None for slot in live) == 7
    for slot in batch[:8]:
        policy.leave(slot, 1)
    assert policy.try_enter(1, "batch") is not None, "two of its three are in use"
    assert policy.try_enter(1, "unknown") is None, "who has no partition uses what is free"


@pytest.mark.parametrize("steps", range(4))
def test_cancelled_at_any_await_it_gives_everything_back(loop, steps):
    """In line or inside, a cancelled caller leaves no slot and no place behind."""
    policy = AdaptiveConcurrency(fixed(1), max_queued_calls=2, max_wait_duration=1)

    async def scenario():
        holder = asyncio.ensure_future(policy(lambda: asyncio.sleep(0.01)))
        waiter = asyncio.ensure_future(policy(lambda: asyncio.sleep(0.01)))
        for _ in range(steps):
            await asyncio.sleep(0.004)
        waiter.cancel()
        await asyncio.wait([holder, waiter])
        return waiter.cancelled()

    assert loop.run_until_complete(scenario())
    assert policy.inside == 0
    assert policy.try_enter(1e9) is not None


def test_a_slot_that_reaches_one_who_gives_up_goes_to_the_next():
    """The holder leaves and the first waiter is cancelled in one instant: the second waiter is let in."""
    with SimLoop(seed=1) as loop:
        policy = AdaptiveConcurrency(fixed(1), max_queued_calls=2, max_wait_duration=5)

        async def scenario():
            holder = asyncio.ensure_future(policy(lambda: asyncio.sleep(1)))
            first, second = (asyncio.ensure_future(policy(lambda: asyncio.sleep(1, "ok"))) for _ in range(2))
            await holder
            first.cancel()
            return await second, loop.time()

        assert loop.run_until_complete(scenario()) == ("ok", 2.0)
        assert policy.inside == 0


def test_whoever_comes_as_a_wait_is_over_finds_the_slot_that_is_free():
    """At 1 s the holder leaves, the wait of the one in line is over, and a third comes: the slot is his, and the line is no longer full."""
    with SimLoop(seed=1) as loop:
        policy = AdaptiveConcurrency(fixed(1), max_queued_calls=1, max_wait_duration=1)

        async def late():
            await asyncio.sleep(1)
            return await policy(lambda: asyncio.sleep(1, "ok"))

        async def scenario():
            calls = [policy(lambda: asyncio.sleep(1, "ok")), late(), policy(lambda: asyncio.sleep(1, "ok"))]
            return await asyncio.gather(*calls, return_exceptions=True), loop.time()

        (holder, newcomer, waiter), end = loop.run_until_complete(scenario())
        assert (holder, newcomer, type(waiter), end) == ("ok", "ok", LoadShed, 2)


@pytest.mark.validate
def test_it_finds_the_capacity_of_what_is_behind():
    """Five workers of 10 ms and far more callers: Vegas settles between 5 and 30 in flight; the plain queue would hold 200."""
    with SimLoop(seed=1) as loop:
        workers = asyncio.Semaphore(5)
        policy = AdaptiveConcurrency(Vegas(20, rng=random.Random(1)))

        async def call():
            async with workers:
                await asyncio.sleep(0.01)

        async def caller():
            while loop.time() < 20:
                try:
                    await policy(call)
                except LoadShed:
                    await asyncio.sleep(0.005)

        async def scenario():
            await asyncio.gather(*(caller() for _ in range(200)))

        loop.run_until_complete(scenario())
        assert 5 <= policy.limit.limit <= 30


def test_from_a_scenario():
    """By the name of the algorithm, or with all settings."""
    read = {"priority": lambda request: request}.__getitem__
    own = {"algorithm": {"aimd": {"initial_limit": 5, "min_limit": 1}}}
    for written in ("aimd", "vegas", {"algorithm": "gradient2", "max_queued_calls": 5}, own):
        policy = AdaptiveConcurrencySpec.model_validate(written).build(PolicyParts())
        assert policy.limit.limit in (5, 20)
    spec = AdaptiveConcurrencySpec.model_validate({"algorithm": "vegas", "partitions": {"high": "60%", "low": "20%"}})
    assert spec.build(PolicyParts(read=read)).partitions == {"high": 0.6, "low": 0.2}
