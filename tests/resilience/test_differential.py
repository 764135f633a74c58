"""The same story told by other people's libraries, on the same loop: where the semantics are the same, so are times and states."""

import asyncio
import itertools
import random

import pybreaker
import pytest
import stamina
import tenacity

from sim.kernel import SimLoop
from sim.resilience import CircuitBreaker, Consecutive, Constant, Exponential, Linear, Outcome, Retry, Sequence, State, Timeout
from sim.resilience.errors import AttemptTimeout


def attempt_times(make_call):
    """When the attempts of a call that always fails begin; *make_call* wraps it in a retry."""
    times = []

    async def always_down():
        times.append(round(asyncio.get_running_loop().time(), 9))
        raise ConnectionError("down")

    with SimLoop(seed=1) as loop, pytest.raises(ConnectionError):
        loop.run_until_complete(make_call(always_down))
    return times


@pytest.mark.parametrize(("wait", "backoff"), [
    (tenacity.wait_fixed(0.5), Constant(0.5)),
    (tenacity.wait_incrementing(start=0.2, increment=0.3, max=1), Linear(0.2, 0.3, max=1)),
    (tenacity.wait_exponential(multiplier=0.1, max=1), Exponential(0.1, max=1)),
    (tenacity.wait_exponential(multiplier=0.2, exp_base=3), Exponential(0.2, 3)),
    (tenacity.wait_chain(*map(tenacity.wait_fixed, (1, 2, 3))), Sequence([1, 2, 3])),
])
def test_tenacity_waits_as_we_do(wait, backoff):
    """Seven attempts begin at the same times."""

    def theirs(fn):
        return tenacity.AsyncRetrying(wait=wait, stop=tenacity.stop_after_attempt(7), reraise=True)(fn)

    assert attempt_times(theirs) == attempt_times(lambda fn: Retry(max_attempts=7, backoff=backoff)(fn))


@pytest.mark.parametrize(("initial", "base", "longest"), [(0.1, 2, 5.0), (0.5, 3, 2.0)])
def test_stamina_waits_as_we_do(initial, base, longest):
    """Six attempts begin at the same times, without jitter."""

    def theirs(fn):
        options = {"wait_initial": initial, "wait_max": longest, "wait_jitter": 0, "wait_exp_base": base}
        return stamina.AsyncRetryingCaller(attempts=6, timeout=None, **options)(ConnectionError, fn)

    ours = attempt_times(lambda fn: Retry(max_attempts=6, backoff=Exponential(initial, base, max=longest))(fn))
    assert attempt_times(theirs) == ours


STATES = {"closed": State.CLOSED, "open": State.OPEN, "half-open": State.HALF_OPEN}


@pytest.mark.parametrize("seed", range(30))
def test_pybreaker_is_in_the_same_state(seed):
    """Sixty random calls and waits in turn: same state after each, same calls let through."""
    dice = random.Random(seed)
    fail_max, successes = dice.randint(1, 4), dice.randint(1, 3)
    theirs = pybreaker.CircuitBreaker(fail_max=fail_max, success_threshold=successes, reset_timeout=10**9, throw_new_error_on_trip=False)
    ours, now = CircuitBreaker(sliding_window=Consecutive(fail_max), success_threshold=successes), 0.0
    for _ in range(60):
        if ours.state is State.OPEN and dice.random() < 0.5:
            now += 5
            theirs.half_open()  # it reads the machine's clock, so its wait ends by hand
        failing = dice.random() < 0.6

        def call(failing=failing):
            if failing:
                raise ConnectionError

        try:
            theirs.call(call)
            let_through = True
        except ConnectionError:
            let_through = True
        except pybreaker.CircuitBreakerError:
            let_through = False
        permit = ours.try_acquire(now)
        assert (permit is not None) == let_through
        if permit is not None:
            ours.record(permit, Outcome.FAILURE if failing else Outcome.SUCCESS, now)
        assert ours.state is STATES[theirs.current_state]


async def _with_asyncio_timeouts(limits, work):
    outer, inner = limits
    async with asyncio.timeout(outer):
        async with asyncio.timeout(inner):
            return await work()


async def _with_ours(limits, work):
    outer, inner = limits
    return await Timeout(outer)(Timeout(inner), work)


def _story(way, limits, takes, cancelled_at, swallows):
    """How a call under two timeouts ends, when, and what is left of cancellations."""

    async def work():
        try:
            await asyncio.sleep(takes)
        except asyncio.CancelledError:
            if not swallows:
                raise
        return "done"

    async def call():
        try:
            return await way(limits, work), asyncio.current_task().cancelling()
        except (TimeoutError, AttemptTimeout):
            return "timeout", asyncio.current_task().cancelling()

    async def scenario():
        loop = asyncio.get_running_loop()
        task = loop.create_task(call())
        if cancelled_at is not None:
            loop.call_at(cancelled_at, task.cancel)
        await asyncio.wait([task])
        return "cancelled" if task.cancelled() else task.result(), loop.time()

    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(scenario())


def test_timeouts_end_as_asyncios_do():
    """Two limits, the call's duration, the caller's cancellation, before, at and after each other: 288 stories, the same ends."""
    times = (1, 2, 3)
    for outer, inner, takes, cancelled_at, swallows in itertools.product(times, times, (0, *times), (None, *times), (False, True)):
        story = ((outer, inner), takes, cancelled_at, swallows)
        assert _story(_with_ours, *story) == _story(_with_asyncio_timeouts, *story), story
