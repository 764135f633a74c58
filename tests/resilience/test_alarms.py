"""Alarms: many calls, one timer, each cancelled at its own time."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience import AttemptTimeout, Deadline, DeadlineExceeded, Timeout, deadline_at


async def ended_at(awaitable):
    """When it timed out, or None."""
    try:
        await awaitable
    except (AttemptTimeout, DeadlineExceeded):
        return asyncio.get_running_loop().time()
    return None


def run(coroutine):
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(coroutine)


def test_each_rings_at_its_own_time():
    """Begun at 0, 1, 2, 3 s with a limit of 2.5 s; the third ends in time."""

    async def scenario():
        timeout, calls = Timeout(2.5), []
        for takes in (9, 9, 2, 9):
            calls.append(asyncio.ensure_future(ended_at(timeout(asyncio.sleep, takes))))
            await asyncio.sleep(1)
        return await asyncio.gather(*calls)

    assert run(scenario()) == [2.5, 3.5, None, 5.5]


def test_after_silence_it_rings_again():
    """All waiters have gone, and the timer too; the next call is cancelled in time."""

    async def scenario():
        timeout = Timeout(1)
        await timeout(asyncio.sleep, 0.5)
        await asyncio.sleep(10)
        return await ended_at(timeout(asyncio.sleep, 9))

    assert run(scenario()) == 11.5


def test_a_call_that_begins_while_the_timer_of_an_ended_one_is_set():
    """The first ends at once, the second begins at 0.5: cancelled at 1.5, not at 1."""

    async def scenario():
        timeout = Timeout(1)
        await timeout(asyncio.sleep, 0)
        await asyncio.sleep(0.5)
        return await ended_at(timeout(asyncio.sleep, 9))

    assert run(scenario()) == 1.5


def test_a_thousand_calls_have_one_timer():
    """The loop's queue holds the calls' own sleeps and one more."""

    async def scenario(loop):
        timeout = Timeout(30)
        calls = [asyncio.ensure_future(timeout(asyncio.sleep, 5)) for _ in range(1000)]
        await asyncio.sleep(1)
        waiting = len(loop.env._queue)
        await asyncio.gather(*calls)
        return waiting

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario(loop)) == 1001


def test_an_earlier_deadline_from_outside_rings_first():
    """A caller's deadline of 1 s among calls of 5 s, and one whose duration was shortened meanwhile."""

    async def bound(deadline):
        with deadline_at(1):
            await deadline(asyncio.sleep, 9)

    async def scenario():
        deadline = Deadline(5)
        calls = [asyncio.ensure_future(ended_at(deadline(asyncio.sleep, 9))), asyncio.ensure_future(ended_at(bound(deadline)))]
        await asyncio.sleep(0)
        deadline.duration = 3
        calls.append(asyncio.ensure_future(ended_at(deadline(asyncio.sleep, 9))))
        return await asyncio.gather(*calls)

    assert run(scenario()) == [5, 1, 3]


def test_one_policy_on_two_loops_in_turn():
    """Each has its own timer, also where the first loop ended with one set."""
    timeout = Timeout(0.005)
    for _ in range(2):
        asyncio.run(timeout(asyncio.sleep, 0))
        with pytest.raises(AttemptTimeout):
            asyncio.run(timeout(asyncio.sleep, 1))
    assert run(ended_at(timeout(asyncio.sleep, 1))) == 0.005


def test_a_call_that_never_ends_holds_nobody_up():
    """One hangs until its limit; calls that begin and end meanwhile are forgotten when it is."""

    async def scenario():
        timeout = Timeout(10)
        hanging = asyncio.ensure_future(ended_at(timeout(asyncio.sleep, 99)))
        await asyncio.sleep(0)
        for _ in range(100):
            await timeout(asyncio.sleep, 0.01)
        held = len(timeout._alarms._waiting)
        ends = await hanging
        await timeout(asyncio.sleep, 0)
        return held, ends, len(timeout._alarms._waiting)

    assert run(scenario()) == (101, 10, 0)
