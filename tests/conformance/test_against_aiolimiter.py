"""The same callers through aiolimiter and through ours, on one loop: they are let in at the same times.

All numbers are ones that floats hold exactly. Where they do not, aiolimiter sets its timer for a rest of 1e-17 again and again, which on
a clock that stands still meanwhile never ends.
"""

import asyncio
import random

import pytest
from aiolimiter import AsyncLimiter

from sim.kernel import SimLoop
from sim.resilience import RateLimiter, TokenBucket


def admissions(limiter, arrivals):
    """When callers were let in who came at *arrivals*; some give up after a while, at moments at which nobody is let in."""
    times = []

    async def caller(number, at, loop):
        await asyncio.sleep(at)
        try:
            async with asyncio.timeout(729.5 / 1024 if number % 5 == 0 else None):
                await limiter(loop)
        except TimeoutError:
            return
        times.append(loop.time())

    async def scenario(loop):
        await asyncio.gather(*(caller(number, at, loop) for number, at in enumerate(arrivals)))

    with SimLoop(seed=1) as loop:
        loop.run_until_complete(scenario(loop))
    return times


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("burst", "period"), [(4, 1.0), (1, 0.25), (16, 8.0)])
def test_callers_are_let_in_at_the_same_times(burst, period, seed):
    """Sixty callers in bunches, a fifth of whom give up: a leaky bucket as a meter is a token bucket that starts full."""
    rng = random.Random(seed)
    arrivals = sorted(rng.randrange(4096) / 1024 for _ in range(60))
    theirs, ours = AsyncLimiter(burst, period), RateLimiter(TokenBucket(burst / period, burst), max_wait=1e9)

    async def through_theirs(loop):
        await theirs.acquire()

    async def through_ours(loop):
        await ours(asyncio.sleep, 0)

    assert admissions(through_ours, arrivals) == pytest.approx(admissions(through_theirs, arrivals), abs=1e-6)
