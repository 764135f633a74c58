"""Timeout: whose cancellation it is."""

import asyncio
import math
import time
from functools import partial

import pytest

from sim.kernel import SimLoop
from sim.resilience import AttemptTimeout, Hedge, Timeout, current_deadline


def test_in_time_or_not(loop):
    """1 ms of 9 s: the answer; 1 s of 5 ms: the error, and the call was cancelled."""
    cancelled = []

    async def slow():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    async def scenario():
        answer = await Timeout(9)(asyncio.sleep, 0.001, "ok")
        with pytest.raises(AttemptTimeout, match=r"no answer within 0\.005 s"):
            await Timeout(0.005)(slow)
        return answer

    assert loop.run_until_complete(scenario()) == "ok"
    assert cancelled == [1]


@pytest.mark.parametrize("cancelled_after", [0.004, 0.006])
def test_both_in_one_turn_of_the_loop(cancelled_after):
    """A loop that was busy runs our timer (5 ms) and the caller's cancellation together, in either order: the caller's is never lost."""

    async def scenario():
        loop = asyncio.get_running_loop()
        call = asyncio.ensure_future(Timeout(0.005)(asyncio.sleep, 1))
        await asyncio.sleep(0)
        loop.call_later(cancelled_after, call.cancel)
        time.sleep(0.02)  # the loop is busy: when it looks again, both are due
        await asyncio.wait([call])
        return call.cancelled()

    assert asyncio.run(scenario())


def test_one_inside_the_other(loop):
    """The inner fires: its error passes the outer one. The outer fires: its own error."""

    async def outcome(outer, inner):
        with pytest.raises(AttemptTimeout) as error:
            await Timeout(outer, name="outer")(Timeout(inner, name="inner"), asyncio.sleep, 1)
        return str(error.value).split(":")[0], asyncio.current_task().cancelling()

    assert loop.run_until_complete(outcome(9, 0.002)) == ("inner", 0)
    assert loop.run_until_complete(outcome(0.002, 9)) == ("outer", 0)


def test_a_call_that_swallows_the_cancellation(loop):
    """It answers after all: the answer is passed on and the task is as before; an error of its own likewise."""

    async def stubborn(end):
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            if end is not None:
                raise end from None
            return "late"

    async def scenario():
        answer = await Timeout(0.002)(stubborn, None)
        with pytest.raises(KeyError):
            await Timeout(0.002)(stubborn, KeyError("own"))
        await asyncio.sleep(0.001)
        return answer, asyncio.current_task().cancelling()

    assert loop.run_until_complete(scenario()) == ("late", 0)


def test_the_limit_can_be_handed_on():
    """As the deadline of what is inside, if that is asked for; an earlier one from outside stays."""

    async def deadline():
        return current_deadline()

    async def scenario():
        await asyncio.sleep(5)
        inner = Timeout(3, hand_on=True)
        return await inner(deadline), await Timeout(1, hand_on=True)(inner, deadline), await Timeout(3)(deadline), current_deadline()

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == (8, 6, math.inf, math.inf)


def test_the_cancelled_can_tell_why(loop):
    """The cancellation names the policy whose limit it was, through a hedge too; that of a caller who leaves says nothing."""
    seen = []

    async def call():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError as cancelled:
            seen.append(cancelled.args)
            raise

    async def scenario():
        for policy in (Timeout(0.02), Timeout(9)):
            for around in (call, partial(Hedge(delay=0.001), call)):
                task = asyncio.ensure_future(policy(around))
                await asyncio.wait([task], timeout=0.05)  # however late a busy machine is, the caller leaves after the limit
                task.cancel()
                await asyncio.wait([task])

    loop.run_until_complete(scenario())
    assert seen == [("timeout",)] * 3 + [()] * 3


def test_an_asyncio_timeout_around_is_respected(loop):
    """asyncio.timeout outside fires first: its TimeoutError, not ours."""

    async def scenario():
        with pytest.raises(TimeoutError) as error:
            async with asyncio.timeout(0.002):
                await Timeout(9)(asyncio.sleep, 1)
        return type(error.value)

    assert loop.run_until_complete(scenario()) is TimeoutError


def test_outside_of_a_task_it_says_what_to_do():
    """Stepped by hand: there is nothing to cancel."""

    async def scenario():
        coroutine = Timeout(1)(asyncio.sleep, 0)
        asyncio.get_running_loop().call_soon(lambda: outcome.append(_error_of_first_step(coroutine)))
        await asyncio.sleep(0.001)

    outcome = []
    asyncio.run(scenario())
    assert "create_task" in outcome[0]


def _error_of_first_step(coroutine):
    try:
        coroutine.send(None)
    except RuntimeError as error:
        return str(error)
