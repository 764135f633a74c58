"""Retry, backoff and budget cases of other libraries, by the ids of the reference; numbers are theirs."""

import asyncio
import math
import random

import pytest

from sim.kernel import SimLoop
from sim.resilience import (
    Constant,
    Exponential,
    InFlightBudget,
    Linear,
    Outcome,
    Retry,
    Sequence,
    Stop,
    ThrottleBudget,
)


class Dice:
    """Throws *r* (0..1) of the way from a to b."""

    def __init__(self, r):
        self.r = r

    def uniform(self, a, b):
        return a + (b - a) * self.r


class Flaky:
    """Fails while *outcomes* says so (False), then answers "ok"; counts what it is asked."""

    def __init__(self, *outcomes, error=ConnectionError):
        self.outcomes, self.error, self.calls = list(outcomes), error, 0

    async def __call__(self):
        self.calls += 1
        if self.outcomes and not self.outcomes.pop(0):
            raise self.error(f"call {self.calls}")
        return "ok"


def run(coroutine):
    """The result or the error of *coroutine* and the seconds it took."""
    with SimLoop(seed=1) as loop:
        try:
            result = loop.run_until_complete(coroutine)
        except Exception as error:
            result = error
        return result, loop.time()


def test_rt_01_three_attempts_two_sleeps():
    """500 ms constant: 1 s in all; exponential by 2: 1.5 s."""
    for backoff, total in ((Constant(0.5), 1.0), (Exponential(0.5), 1.5)):
        flaky = Flaky(False, False, False)
        error, took = run(Retry(backoff=backoff)(flaky))
        assert (str(error), took, flaky.calls) == ("call 3", pytest.approx(total), 3)


def test_rt_03_jitter_of_a_quarter():
    """Constant 1 s: 0.75 to 1.25; linear, third retry: 2.25 to 3.75; without jitter 1 2 3 and 1 2 4; nothing stays nothing."""
    around = Constant(1, jitter="proportional:0.25")
    assert [around.delay(1, Dice(r)) for r in (0, 0.4, 0.6, 1)] == pytest.approx([0.75, 0.95, 1.05, 1.25])
    linear = Linear(1, 1, jitter="proportional:0.25")
    assert [linear.delay(3, Dice(r)) for r in (0, 0.4, 0.5, 0.6, 1)] == pytest.approx([2.25, 2.85, 3, 3.15, 3.75])
    assert [Linear(1, 1).delay(n, Dice(0)) for n in (1, 2, 3)] == [1, 2, 3]
    assert [Exponential(1).delay(n, Dice(0)) for n in (1, 2, 3)] == [1, 2, 4]
    assert {Exponential(0).delay(n, Dice(1)) for n in (1, 2, 5000)} == {0}


def test_rt_05_twelve_retries_are_thirteen_calls():
    """Twelve events, thirteen calls; a call cancelled while it waits is not made again."""
    events = []
    flaky = Flaky(*[False] * 13)
    run(Retry(max_attempts=13, backoff=Constant(0), on_event=events.append)(flaky))
    assert (flaky.calls, sum(event.kind == "retry" for event in events)) == (13, 12)

    async def cancelled_in_the_delay():
        flaky = Flaky(False)
        call = asyncio.ensure_future(Retry(backoff=Constant(10))(flaky))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled(), flaky.calls

    assert run(cancelled_in_the_delay()) == ((True, 1), 1)


def test_rt_07_no_state_leaks_into_the_next_call():
    """Sleeps 1 2 3 3, and again 1 2 3 3; random exponential stays in its bounds; exponential plus a second as well."""
    events = []
    retry = Retry(max_attempts=5, backoff=Sequence([1, 2, 3]), on_event=events.append)
    for _ in range(2):
        run(retry(Flaky(*[False] * 5)))
    assert [event.delay for event in events if event.kind == "retry"] == [1, 2, 3, 3] * 2
    rng = random.Random(1)
    full = Exponential(0.5, max=60, jitter="full")
    means = []
    for attempt in range(1, 10):
        delays = [full.delay(attempt, rng) for _ in range(2000)]
        assert max(delays) <= min(0.5 * 2 ** (attempt - 1), 60)
        means.append(sum(delays) / len(delays))
    assert means == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30], rel=0.06)
    added = Exponential(1, max=60, jitter="additive:1")
    assert [(added.delay(n, Dice(0)), added.delay(n, Dice(1))) for n in (1, 2, 3, 6, 7)] == [(1, 2), (2, 3), (4, 5), (32, 33), (60, 60)]


def test_rt_09_the_maximum_is_real_and_nothing_overflows():
    """At most 0.42 s with jitter and without; attempts 1025, 2000, 10 000 and 100 000 give exactly that."""
    backoff = Exponential(0.1, max=0.42, jitter="additive:1")
    assert all(backoff.delay(attempt, random.Random(attempt)) <= 0.42 for attempt in range(1, 100))
    assert {backoff.delay(attempt, Dice(0)) for attempt in (1025, 2000, 10_000, 100_000)} == {0.42}


def test_rt_11_jitters_with_seed_42():
    """Full and equal jitter give the published numbers."""
    rng = random.Random(42)
    full = Constant(10, jitter="full")
    assert [round(full.delay(1, rng), 4) for _ in range(5)] == pytest.approx([6.3943, 0.2501, 2.7503, 2.2321, 7.3647])
    rng = random.Random(42)
    equal = Constant(15, jitter="equal")
    assert [round(equal.delay(1, rng), 4) for _ in range(5)] == pytest.approx([12.2957, 7.6876, 9.5627, 9.1741, 13.0235])


def test_rt_13_full_jitter_reaches_up_to_its_base():
    """Base 5, at most 100, the highest throw: whole units 4 9 19 39 79 99 99; a constant is constant."""
    backoff = Exponential(5, max=100, jitter="full")
    assert [math.floor(backoff.delay(n, Dice(1 - 1e-9))) for n in range(1, 8)] == [4, 9, 19, 39, 79, 99, 99]
    assert {Constant(7).delay(n, Dice(0)) for n in range(1, 5)} == {7}


def test_rt_15_retry_throttling():
    """Ten tokens, half a token back, four attempts: twelve calls end as gRPC's do, with its tokens after each."""
    good, budget = {0, 3, 6, *range(10, 15), 16, 18}, ThrottleBudget(max_tokens=10, token_ratio=0.5)
    retry = Retry(max_attempts=4, backoff=Constant(0), budget=budget)
    server = Flaky(*[number in good for number in range(20)])
    ends = []
    for _ in range(12):
        result, _took = run(retry(server))
        ends.append(("OK" if result == "ok" else "UNAVAIL", server.calls - 1, budget.tokens))
    assert ends == [
        ("OK", 0, 10), ("OK", 3, 8.5), ("OK", 6, 7), ("UNAVAIL", 8, 5), ("UNAVAIL", 9, 4), ("OK", 10, 4.5), ("OK", 11, 5), ("OK", 12, 5.5),
        ("OK", 13, 6), ("OK", 14, 6.5), ("OK", 16, 6), ("UNAVAIL", 17, 5),
    ]


def test_rt_17_budget_of_what_is_in_flight():
    """Half of two calls and one retry: one more is allowed, then none; given back, one again. With a floor of two: likewise."""
    budget = InFlightBudget(share=0.5, min_concurrent=1)
    for _ in range(2):
        budget.started(now=0)
    budget.try_withdraw(now=0)
    assert [budget.try_withdraw(now=0) for _ in range(2)] == [True, False]
    budget.retry_ended(now=0)
    assert [budget.try_withdraw(now=0) for _ in range(2)] == [True, False]
    budget = InFlightBudget(share=0.5, min_concurrent=2)
    budget.started(now=0)
    budget.try_withdraw(now=0)
    assert [budget.try_withdraw(now=0) for _ in range(2)] == [True, False]


def test_rt_17_a_refused_retry_raises_the_last_real_error():
    """No budget at all: one call, its own error, and one event that says why."""
    events, flaky = [], Flaky(False, False)
    error, _took = run(Retry(budget=InFlightBudget(share=0, min_concurrent=0), on_event=events.append)(flaky))
    assert (type(error), flaky.calls) == (ConnectionError, 1)
    assert [(event.kind, event.reason) for event in events] == [("retry_gave_up", "budget")]


@pytest.mark.parametrize(("retry_after", "expected"), [(0.0, 0.0), (2.5, 2.5), (-1, Stop("pushback"))])
def test_rt_19_push_back(retry_after, expected):
    """Zero or more: waited exactly; negative: no retry."""
    retry = Retry(max_attempts=3, backoff=Constant(1))
    assert retry.next(1, Outcome.FAILURE, 0, math.inf, random.Random(1), retry_after=retry_after) == expected
