"""Deadline: one moment for everything inside, and what is left of it elsewhere."""

import asyncio
import math

import pytest

from sim.kernel import SimLoop
from sim.resilience import (
    AttemptTimeout,
    Deadline,
    DeadlineExceeded,
    Pipeline,
    Timeout,
    current_deadline,
    deadline_at,
    from_grpc_timeout,
    remaining,
    to_grpc_timeout,
)
from sim.resilience.deadline import without_deadline


async def seen():
    return current_deadline()


def test_everything_inside_sees_the_earlier_one():
    """2 s inside 1 s: 1 s; 1 s inside 2 s: 1 s; afterwards there is none."""

    async def scenario():
        inner = [await Deadline(a)(Deadline(b), seen) for a, b in ((1, 2), (2, 1))]
        return inner, current_deadline()

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == ([1, 1], math.inf)


def test_tasks_inherit_it_and_do_not_change_it():
    """A task started inside sees it; a deadline set in that task is not seen outside."""

    async def child():
        return current_deadline(), await Deadline(0.5)(seen)

    async def scenario():
        async def body():
            found = await asyncio.create_task(child())
            return found, current_deadline()

        return await Deadline(1)(body)

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == ((1, 0.5), 1)


def test_over_while_running(loop):
    """The call is cancelled; the work may have happened."""

    async def scenario():
        with pytest.raises(DeadlineExceeded) as error:
            await Deadline(0.002)(asyncio.sleep, 1)
        return error.value.sent, asyncio.current_task().cancelling(), current_deadline()

    assert loop.run_until_complete(scenario()) == (True, 0, math.inf)


@pytest.mark.parametrize("duration", [0, -1, 5])
def test_over_before_it_begins(duration):
    """No time of its own, or none left of the caller's: refused, nothing sent."""
    called, events = [], []

    async def scenario():
        deadline = Deadline(duration, on_event=events.append)
        with deadline_at(0.0 if duration == 5 else math.inf), pytest.raises(DeadlineExceeded) as error:
            await deadline(lambda: called.append(1))
        return error.value

    with SimLoop(seed=1) as loop:
        error = loop.run_until_complete(scenario())
    assert (error.sent, called, [(event.kind, event.sent) for event in events]) == (False, [], [("deadline_exceeded", False)])


def test_a_callers_deadline_binds_a_longer_one():
    """Handed in from elsewhere, nobody else cancels: ours does, at that moment."""

    async def scenario():
        with deadline_at(0.3):
            await Deadline(9)(asyncio.sleep, 1)

    with SimLoop(seed=1) as loop:
        with pytest.raises(DeadlineExceeded):
            loop.run_until_complete(scenario())
        assert loop.time() == pytest.approx(0.3)


def test_the_callers_cancellation_passes(loop):
    """Cancelled from outside: cancelled, not exceeded."""

    async def scenario():
        call = asyncio.ensure_future(Deadline(1)(asyncio.sleep, 1))
        await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    assert loop.run_until_complete(scenario())


def test_deadline_and_timeout_at_the_same_instant():
    """The outer one wins, since both have cancelled."""

    async def scenario():
        with pytest.raises((DeadlineExceeded, AttemptTimeout)) as error:
            await Pipeline("test", [Deadline(1), Timeout(1)]).call(asyncio.sleep, 2)
        return type(error.value)

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) is DeadlineExceeded


def test_work_that_outlives_the_call_has_none():
    """A copy of the context without a deadline."""
    with deadline_at(3):
        assert without_deadline().run(remaining, 0.0) == math.inf
        assert remaining(1.0) == 2


@pytest.mark.parametrize(("seconds", "text"), [
    (1.5, "1500000u"), (0.05, "50000000n"), (0.0, "0n"), (-1.0, "0n"), (3600.0, "3600000m"), (200_000.0, "200000S"), (1e12, "99999999H"),
])
def test_grpc_timeout_has_at_most_eight_digits(seconds, text):
    """In the finest unit that has room for it; never negative; a limit at the top."""
    assert to_grpc_timeout(seconds) == text


@pytest.mark.parametrize("seconds", [1e-9, 0.001, 0.25, 1.5, 59.999, 86_400.0])
def test_grpc_timeout_there_and_back(seconds):
    """What arrives is what was sent, rounded up at most."""
    assert seconds <= from_grpc_timeout(to_grpc_timeout(seconds)) + 1e-9 <= seconds * 1.001 + 2e-9


@pytest.mark.parametrize("text", ["", "5", "5s", "123456789S", "-1S", "1.5S"])
def test_other_texts_are_no_grpc_timeout(text):
    """Refused, with the form."""
    with pytest.raises(ValueError, match="no grpc-timeout"):
        from_grpc_timeout(text)
