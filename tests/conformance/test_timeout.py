"""Timeout and deadline cases of other libraries, by the ids of the reference."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience import AttemptTimeout, Timeout, deadline_at, remaining


def test_to_01_limit_2_s_call_4_s():
    """Given up at 2 s; one event."""
    events = []
    with SimLoop(seed=1) as loop:
        with pytest.raises(AttemptTimeout):
            loop.run_until_complete(Timeout(2, on_event=events.append)(asyncio.sleep, 4))
        assert loop.time() == pytest.approx(2)
    assert [(event.kind, event.limit, event.elapsed) for event in events] == [("timeout", 2, pytest.approx(2))]


def test_to_01_the_callers_cancellation_passes():
    """Cancelled by the caller while running: the caller's cancellation, no event."""
    events = []

    async def scenario():
        call = asyncio.ensure_future(Timeout(2, on_event=events.append)(asyncio.sleep, 4))
        await asyncio.sleep(1)
        call.cancel("mine")
        try:
            await call
        except asyncio.CancelledError as cancelled:
            return cancelled.args

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == ("mine",)
    assert events == []


@pytest.mark.parametrize("duration", [0, -1, float("inf")])
def test_to_01_no_limit(duration):
    """Not positive, or infinite: no timeout."""
    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(Timeout(duration)(asyncio.sleep, 1000, "done")) == "done"


def test_to_01_afterwards_the_task_is_as_before():
    """After a timeout the task can go on: no cancellation is left over."""

    async def scenario():
        with pytest.raises(AttemptTimeout):
            await Timeout(1)(asyncio.sleep, 2)
        await asyncio.sleep(1)
        return asyncio.current_task().cancelling()

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == 0


def test_to_03_what_remains_of_a_deadline():
    """200 ms, a second later: nothing; 1.2 s, a second later: 200 ms."""
    with deadline_at(0.2):
        assert remaining(now=1.0) == 0
    with deadline_at(1.2):
        assert remaining(now=1.0) == pytest.approx(0.2)
