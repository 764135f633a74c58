"""Hedging cases HG-* of the reference: Polly, failsafe-go, resilience4j."""

import asyncio
import math

import pytest

from sim.kernel import SimLoop
from sim.resilience.hedge import Hedge
from sim.resilience.hedge_delay import Average, Quantile


def run(hedge, durations, outcome=lambda number: number):
    """Call through *hedge*; return what came out, when each attempt started, and the end. The n-th attempt takes durations[n]."""
    starts = []

    async def call():
        number = len(starts)
        starts.append(loop.time())
        await asyncio.sleep(durations[number])
        result = outcome(number)
        if isinstance(result, Exception):
            raise result
        return result

    with SimLoop(seed=1) as loop:
        try:
            result = loop.run_until_complete(hedge(call))
        except RuntimeError as error:
            result = str(error)
        return result, starts, loop.time()


def test_hg_01_delays_and_failures():
    """Polly: delay 0 starts all at once, an infinite one never two; an error ends it at once; all failed: the primary's."""
    _, starts, _ = run(Hedge(max_hedges=3, delay=0.0), [1, 1, 1, 1])
    assert starts == [0, 0, 0, 0]
    for never in (math.inf, -1.0):
        _, starts, _ = run(Hedge(max_hedges=3, delay=never), [100])
        assert starts == [0]
    result, starts, _ = run(Hedge(max_hedges=3, delay=1.0), [0.5], lambda number: RuntimeError("primary"))
    assert (result, starts) == ("primary", [0])
    for delay in (-1.0, 0.0, 1.0):
        result, _, _ = run(Hedge(max_hedges=2, delay=delay), [5, 1, 1], lambda number: RuntimeError(f"attempt {number}"))
        assert result == "attempt 0"


def test_hg_03_how_many_go_out():
    """failsafe-go's table of delays, results and warm-up."""
    assert len(run(Hedge(delay=1.0), [0.01])[1]) == 1
    assert len(run(Hedge(max_hedges=2, delay=0.01), [0.1, 0.1, 0.1])[1]) == 3
    result, starts, _ = run(Hedge(max_hedges=2, delay=0.02), [0.1, 0.1, 0.1], lambda number: number + 1)
    assert (result, len(starts)) == (1, 3)
    assert run(Hedge(max_hedges=2, delay=0.0, accept=lambda result: result == 3), [0.1] * 3, lambda number: number + 1)[0] == 3
    result, starts, _ = run(Hedge(delay=lambda: -1.0), [0.1])
    assert (result, len(starts)) == (0, 1)

    hedge = Hedge(delay=Quantile(0.95, warmup=20))
    for _ in range(20):
        assert len(run(hedge, [0.01])[1]) == 1
    for _ in range(5):
        run(hedge, [0.01, 0.01])
    assert len(run(hedge, [5.0, 5.0])[1]) == 2


@pytest.mark.parametrize(("factor", "plus", "expected"), [(1.0, 0.0, 0.55), (2.0, 0.0, 1.1), (1.0, 0.1, 0.65)])
def test_hg_05_average_plus(factor, plus, expected):
    """resilience4j: 1000 and 100 ms make 550, times 200 % or plus 100 ms; errors do not count, nor do hedges."""
    hedge = Hedge(delay=Average(factor, plus))
    assert hedge.delay(0) is None
    for duration in (1.0, 0.1):
        hedge.observe(duration)
    run(hedge, [0.01], lambda number: RuntimeError())
    assert hedge.delay(0) == pytest.approx(expected)
