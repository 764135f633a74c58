"""What holds for every policy of the table, on simulated time and on a real loop."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience import Bulkhead, CircuitBreaker, Deadline, Fallback, InFlightBudget, Pipeline, Retry, Timeout

from .examples import WORDS, build

every_policy = pytest.mark.parametrize("word", WORDS)


class Down(Exception):
    status = 503


class Dependency:
    """Answers its argument after a millisecond; raises Down while it is *down*, and never answers while it *hangs*."""

    def __init__(self):
        self.down, self.hangs, self.reached = False, False, 0

    async def __call__(self, number=0):
        self.reached += 1
        await (asyncio.Event().wait() if self.hangs else asyncio.sleep(0.001))
        if self.down:
            raise Down(number)
        return number


async def end_of(awaitable):
    """A result, or the class of an error."""
    try:
        return await awaitable
    except Exception as error:
        return type(error).__name__


@every_policy
def test_a_good_answer_is_passed_on(loop, word):
    """One call, its own answer, its arguments."""
    dependency = Dependency()
    assert loop.run_until_complete(build(word)(dependency, 7)) == 7
    assert dependency.reached == 1


@every_policy
def test_a_failure_is_the_calls_own_error(loop, word):
    """The very error of the call is raised, or a substitute is answered: nothing is swallowed and nothing invented."""
    dependency, events = Dependency(), []
    dependency.down = True
    end = loop.run_until_complete(end_of(build(word, events.append)(dependency)))
    assert end == ("substitute" if word == "fallback" else "Down")


@every_policy
def test_cancelled_at_any_await(loop, word):
    """Cancelled after 0, 1, 2, ... turns of the loop, alone or in a crowd: cancelled it is, and the policy works as before."""

    async def scenario():
        for turns in range(6):
            policy, dependency = build(word), Dependency()
            dependency.hangs = True
            calls = [asyncio.ensure_future(policy(dependency, number)) for number in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            assert all(call.cancelled() for call in calls), turns
            dependency.hangs = False
            assert await asyncio.gather(policy(dependency, 1), policy(dependency, 2)) == [1, 2]

    loop.run_until_complete(scenario())


async def story(word):
    """Good, bad and good times, alone and in a crowd: how each call ended, and the kinds of events."""
    events, ends = [], []
    policy, dependency = build(word, events.append), Dependency()
    for down, crowd in ((False, 1), (False, 6), (True, 1), (True, 4), (False, 2)):
        dependency.down = down
        ends += await asyncio.gather(*(end_of(policy(dependency, number)) for number in range(crowd)))
    return ends, [event.kind for event in events], dependency.reached


@every_policy
def test_both_loops_tell_the_same_story(word):
    """The same ends in the same order, the same events, the same number of calls that reach the dependency."""
    with SimLoop(seed=1) as loop:
        simulated = loop.run_until_complete(story(word))
    assert asyncio.run(story(word)) == simulated


async def crowd(policy, size=30):
    """How many of *size* calls at once end how, and how many run at once at most."""
    running = most = 0

    async def call(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0.01)
        finally:
            running -= 1

    ends = await asyncio.gather(*(end_of(policy(call, number)) for number in range(size)))
    return sorted(map(str, ends)), most


@every_policy
def test_after_many_cancelled_calls_it_is_as_new(word):
    """Two thousand calls are cancelled half-way; an hour later a crowd of thirty fares as with a new one."""

    async def scenario():
        policy = build(word)
        for _ in range(100):
            calls = [asyncio.ensure_future(policy(asyncio.sleep, 5)) for _ in range(20)]
            await asyncio.sleep(0.5)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        await asyncio.sleep(3600)
        return await crowd(policy), await crowd(build(word))

    with SimLoop(seed=1) as loop:
        used, new = loop.run_until_complete(scenario())
    assert used == new


@pytest.mark.validate
def test_a_hundred_thousand_cancelled_calls_leave_nothing_behind():
    """Through the whole recommended stack: every slot and budget is back, and the queue of timers is small."""
    bulkhead, breaker, budget = Bulkhead(50, max_queued_calls=50, max_wait_duration=1), CircuitBreaker(), InFlightBudget()
    pipeline = Pipeline("all", [Fallback(value=0, on=(OSError,)), Deadline(30), Retry(budget=budget), breaker, bulkhead, Timeout(20)])

    async def scenario(loop):
        largest = 0
        for _ in range(1000):
            calls = [loop.create_task(pipeline.call(asyncio.sleep, 5)) for _ in range(100)]
            await asyncio.sleep(0.001)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            largest = max(largest, len(loop.env._queue))
        return largest

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario(loop)) < 2000
    assert (bulkhead.inside, bulkhead.waiting, budget.calls, budget.retries) == (0, 0, 0, 0)
    assert breaker.metrics(0).buffered == 0


def test_the_table_and_the_words_agree():
    """A policy is listed under its own word."""
    assert [build(word).word for word in WORDS] == WORDS
