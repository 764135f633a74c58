"""What an uncontended call costs through each policy and through the recommended stack, beside other libraries doing the same.

    python tests/benchmarks/bench_policies.py [COUNT]

The call waits for one turn of the loop, as every real one does. A row is microseconds over the bare call, the best of many short turns,
on asyncio's own loop and on a SimLoop. The stack of the others: try/except, asyncio.timeout, tenacity, pybreaker, aiolimiter, a semaphore,
asyncio.timeout.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Coroutine
from time import process_time
from typing import Any

import aiolimiter
import pybreaker
import tenacity

from sim.kernel import SimLoop
from sim.resilience import Bulkhead, CircuitBreaker, Deadline, Fallback, Pipeline, Retry, Timeout
from sim.resilience.rate_limiter import RateLimiter
from sim.resilience.token_bucket import TokenBucket

TURNS = 15  # many short ones: on a busy machine some of them are left alone
Call = Callable[[], Coroutine[Any, Any, Any]]


async def bare() -> int:
    """The call that is wrapped."""
    await asyncio.sleep(0)
    return 1


def stack() -> list[Any]:
    """The recommended order, without a limiter."""
    return [Fallback(value=0), Deadline(1.5), Retry(), CircuitBreaker(), Bulkhead(20), Timeout(0.4)]


def limiter() -> RateLimiter:
    """One that never refuses here."""
    return RateLimiter(TokenBucket(1e9, burst=10**6))


def through(policies: list[Any]) -> Call:
    """A call through *policies*."""
    pipeline = Pipeline("bench", policies)
    return lambda: pipeline.call(bare)


def others(with_limiter: bool) -> Call:
    """The same from the usual libraries, written as their documentation shows it."""
    wait = tenacity.wait_random_exponential(multiplier=0.1, max=1)
    retry = tenacity.AsyncRetrying(wait=wait, stop=tenacity.stop_after_attempt(3), reraise=True)
    breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=5)
    limit = aiolimiter.AsyncLimiter(10**9, 1)
    slots = asyncio.Semaphore(20)

    async def attempt() -> int:
        with breaker.calling():
            if with_limiter:
                await limit.acquire()
            async with slots, asyncio.timeout(0.4):
                return await bare()

    async def call() -> int:
        try:
            async with asyncio.timeout(1.5):
                return await retry(attempt)
        except (TimeoutError, pybreaker.CircuitBreakerError):
            return 0

    return call


ROWS: dict[str, Callable[[], Call]] = {
    **{policy.word: (lambda at=at: through([stack()[at]])) for at, policy in enumerate(stack())},
    "all six": lambda: through(stack()),
    "all six and a rate limiter": lambda: through([*stack()[:4], limiter(), *stack()[4:]]),
    "tenacity + pybreaker": lambda: others(with_limiter=False),
    "tenacity + pybreaker + aiolimiter": lambda: others(with_limiter=True),
}


async def seconds(make: Callable[[], Call], count: int) -> float:
    """Of the processor, for *count* calls one after the other; what else the machine does is not counted."""
    call = make()
    await call()
    gc.collect()
    started = process_time()
    for _ in range(count):
        await call()
    return process_time() - started


def microseconds(loop: asyncio.AbstractEventLoop, count: int) -> dict[str, float]:
    """Of every row, per call and over the bare call."""
    best = dict.fromkeys(["bare", *ROWS], float("inf"))
    for _ in range(TURNS):
        for name, make in {"bare": lambda: bare, **ROWS}.items():
            best[name] = min(best[name], loop.run_until_complete(seconds(make, count)))
    return {name: 1e6 * (best[name] - best["bare"]) / count for name in ROWS}


def main(count: int) -> None:
    """Print the table."""
    logging.disable(logging.CRITICAL)
    loops = {"asyncio": asyncio.new_event_loop(), "SimLoop": SimLoop(seed=1)}
    columns = {name: microseconds(loop, count) for name, loop in loops.items()}
    for loop in loops.values():
        loop.close()
    print(f"{'microseconds over the bare call':<36}" + "".join(f"{name:>10}" for name in columns))
    for row in ROWS:
        print(f"  {row:<34}" + "".join(f"{column[row]:>10.2f}" for column in columns.values()))
    ratios = [column["tenacity + pybreaker + aiolimiter"] / column["all six and a rate limiter"] for column in columns.values()]
    print(f"  {'times less than the others':<34}" + "".join(f"{ratio:>10.1f}" for ratio in ratios))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
