"""Timers: cancelled ones disappear, and odd times are either right or refused."""

import asyncio
import gc
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel import Deadlock, SimLoop, SimulationError, Timer


def test_a_cancelled_timer_does_not_run_and_does_not_move_the_clock(loop):
    """The only thing at t=50 was cancelled: the run ends at t=1, as if it had never been."""
    timer = loop.call_later(50, pytest.fail, "ran")
    loop.call_later(1, timer.cancel)
    with pytest.raises(Deadlock):
        loop.run_forever()
    assert loop.time() == 1
    assert timer.cancelled()


def test_a_cancelled_sleep_does_not_move_the_clock_either(loop):
    """A task that is cancelled in `loop.sleep(50)` leaves no t=50 behind."""

    async def main():
        sleeper = loop.spawn(loop_sleep(), "sleeper")
        await asyncio.sleep(1)
        sleeper.cancel()
        await asyncio.wait([sleeper])
        await asyncio.Event().wait()

    async def loop_sleep():
        await loop.sleep(50)

    with pytest.raises(Deadlock, match="t=1s"):
        loop.run_until_complete(main())


def test_a_timer_that_ran_was_not_cancelled(loop):
    """As for asyncio's handles: cancelling afterwards does nothing, and `cancelled` tells the two apart."""
    timer = loop.call_later(1, lambda: None)
    assert timer.when() == 1
    loop.run_until(2)
    assert not timer.cancelled()
    timer.cancel()
    assert not timer.cancelled()
    other = loop.call_later(1, lambda: None)
    other.cancel()
    other.cancel()
    assert other.cancelled()


def timers_in_memory():
    """How many timers are held by anything, the loop's queue above all."""
    return sum(type(thing) is Timer for thing in gc.get_objects())


def test_300_000_dead_timers_stay_small(loop):
    """A hundred calls each 10 ms for 30 s, each under a 30 s timeout that is cancelled at once: the dead are not kept."""
    most = 0

    async def main():
        nonlocal most
        for number in range(3000):
            timers = [loop.call_later(30, pytest.fail, "ran") for _ in range(100)]
            await asyncio.sleep(0.01)
            for timer in timers:
                timer.cancel()
            if number % 300 == 299:
                most = max(most, timers_in_memory())

    loop.run_until_complete(main())
    assert most < 1000


def test_compaction_keeps_order_and_every_living_timer(loop):
    """Two of three timers are cancelled in a mixed order, SimPy's timeouts and sleeps among them: the rest run, sorted."""
    log = []
    times = [1 + (number * 7919) % 1000 for number in range(1000)]
    timers = [loop.call_at(when, log.append, when) for when in times]
    loop.env.timeout(500.5).callbacks.append(lambda _: log.append(500.5))
    loop.sleep(700.5).add_done_callback(lambda _: log.append(700.5))
    for number, timer in enumerate(timers):
        if number % 3:
            timer.cancel()
    del timer, timers
    assert timers_in_memory() < 700
    loop.run_until(2000)
    assert log == sorted([*times[::3], 500.5, 700.5])


DELAYS = st.one_of(st.sampled_from([0, 0.0625, 0.125, 0.1875, 0.25, 1, 5, 30]), st.floats(0, 40))


@given(st.lists(st.tuples(DELAYS, st.one_of(st.none(), DELAYS)), max_size=300))
def test_what_is_cancelled_in_time_does_not_run_and_everything_else_does(plan):
    """Any mixture of timers and cancellations, near and far, agrees with a sorted list."""
    log = []
    with SimLoop() as loop:
        for number, (delay, cancelled_after) in enumerate(plan):
            timer = loop.call_later(delay, lambda number=number: log.append((loop.time(), number)))
            if cancelled_after is not None:
                loop.call_later(cancelled_after, timer.cancel)
        loop.run_until(100)
    alive = [(delay, number) for number, (delay, cancelled_after) in enumerate(plan) if cancelled_after is None or delay <= cancelled_after]
    assert log == sorted(alive)


def test_a_timer_of_now_can_be_cancelled(loop):
    """`call_soon` gives a handle as well."""
    loop.call_soon(pytest.fail, "ran").cancel()
    loop.after(0, pytest.fail, "ran").cancel()
    loop.run_until(1)


@pytest.mark.parametrize("ask", ["call_later", "call_at", "after"])
def test_a_time_that_is_no_number_is_refused(loop, ask):
    """NaN comes from a mistake in arithmetic; running the callback now would hide it."""
    with pytest.raises(ValueError, match="NaN"):
        getattr(loop, ask)(math.nan, lambda: None)
    with pytest.raises(ValueError, match="NaN"):
        loop.sleep(math.nan)


def test_infinity_never_comes(loop):
    """A task that sleeps for ever is waiting, not due: the clock stays finite and the run says what it waits for."""

    async def main():
        await asyncio.sleep(math.inf)

    with pytest.raises(Deadlock, match="waiting for sleep"):
        loop.run_until_complete(main())
    assert loop.time() == 0


def test_steps_are_counted(loop):
    """`loop.steps` is the number of entries that were taken from the queue, for figures of events per second."""
    for _ in range(10):
        loop.after(1, lambda: None)
    loop.run_until(5)
    assert loop.steps == 10


def test_a_posted_callback_runs_at_its_time_among_the_others(loop):
    """`loop.post` is `loop.after` without a handle: the same order, and an error in it names the callback."""
    log = []
    loop.after(1, log.append, "after")
    loop.post(1, log.append, "post")
    loop.call_later(1, log.append, "call_later")
    loop.post(0, log.append, "now")
    loop.run_until(2)
    assert log == ["now", "after", "post", "call_later"]
    with pytest.raises(ValueError, match="NaN"):
        loop.post(math.nan, log.append)

    def careless():
        raise KeyError("broken")

    loop.post(1, careless)
    with pytest.raises(SimulationError, match=r"at t=3s in callback .*careless"):
        loop.run_until(5)


def test_a_posted_callback_holds_nothing_after_it_ran(loop):
    """A failed task that only a posted callback referred to is found in the instant in which that callback has run."""

    async def fail():
        raise ValueError("broken")

    failed = [loop.spawn(fail(), "worker")]
    loop.post(2, lambda task: None, failed.pop())
    with pytest.raises(SimulationError, match="ValueError: broken"):
        loop.run_until(5)
    assert loop.time() == 2
