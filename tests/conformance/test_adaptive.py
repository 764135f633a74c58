"""Adaptive concurrency cases AC-* of the reference: Netflix concurrency-limits, Envoy."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience.adaptive_concurrency import AdaptiveConcurrency
from sim.resilience.errors import LoadShed
from sim.resilience.limits import Aimd, Vegas


@pytest.mark.parametrize(("initial", "limits", "in_flight", "dropped", "expected"), [
    (20, {}, 10, False, 21), (30, {}, 0, True, 27), (21, {"max_limit": 21}, 10, False, 21), (21, {"max_limit": 21}, 20, False, 21),
])
def test_ac_01_aimd(initial, limits, in_flight, dropped, expected):
    """Additive increase, multiplicative decrease, never above the maximum."""
    limit = Aimd(initial, **limits)
    limit.on_sample(0, 0.001, in_flight, dropped)
    assert limit.limit == expected


def test_ac_03_vegas():
    """A large limit grows by six times its logarithm; with a halving decrease it falls 100, 75, 56, or undamped 100, 50, 25."""
    large = Vegas(10_000, max_limit=20_000)
    large.on_sample(0, 10, 5000)
    assert large.limit == 10_000
    large.on_sample(0, 10, 6000)
    assert large.limit == 10_024
    for smoothing, expected in ((0.5, [100, 75, 56]), (1.0, [100, 50, 25])):
        limit = Vegas(100, max_limit=200, smoothing=smoothing, decrease=lambda limit: limit / 2)
        seen = []
        for rtt in (0.010, 0.020, 0.020):
            limit.on_sample(0, rtt, 100)
            seen.append(limit.limit)
        assert seen == expected


def test_ac_05_newest_first():
    """Limit full, five waiters 0-4: let in 4, 3, 2, 1, 0; a full line refuses at once; a wait that is too long is refused."""
    with SimLoop(seed=1) as loop:
        policy = AdaptiveConcurrency(Aimd(1, min_limit=1, max_limit=1), max_queued_calls=5, max_wait_duration=10, order="lifo")
        order = []

        async def caller(number):
            await policy(lambda: asyncio.sleep(1))
            order.append(number)

        async def scenario():
            holder = asyncio.ensure_future(policy(lambda: asyncio.sleep(1)))
            await asyncio.sleep(0)
            waiters = [asyncio.ensure_future(caller(number)) for number in range(5)]
            await asyncio.sleep(0)
            with pytest.raises(LoadShed, match="in flight"):
                await policy(lambda: asyncio.sleep(1))
            await asyncio.gather(holder, *waiters)

            impatient = AdaptiveConcurrency(Aimd(1, min_limit=1, max_limit=1), max_queued_calls=5, max_wait_duration=0.5)
            holder = asyncio.ensure_future(impatient(lambda: asyncio.sleep(1)))
            await asyncio.sleep(0)
            with pytest.raises(LoadShed, match=r"waited 0\.5 s"):
                await impatient(lambda: asyncio.sleep(1))
            await holder

        loop.run_until_complete(scenario())
        assert order == [4, 3, 2, 1, 0]


def test_ac_07_a_cancelled_request_frees_its_slot_and_gives_no_sample():
    """The part of Envoy's gradient controller that is not about its own minRTT phases; those are listed in README.md."""
    with SimLoop(seed=1) as loop:
        samples = []

        class Spy(Aimd):
            def on_sample(self, now, rtt, in_flight, dropped=False):
                samples.append(rtt)

        policy = AdaptiveConcurrency(Spy(1, min_limit=1))

        async def scenario():
            task = asyncio.ensure_future(policy(lambda: asyncio.sleep(1)))
            await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.wait([task])

        loop.run_until_complete(scenario())
        assert policy.inside == 0
        assert samples == []
