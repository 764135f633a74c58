"""Chaos cases of Polly's Simmy, by the ids of the reference."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience.chaos import Chaos


class Dice:
    """Always throws a half."""

    def random(self):
        return 0.5


class Injected(Exception):
    pass


def run(chaos):
    """What a call that answers "ok" gives through *chaos*."""
    chaos.rng = Dice()
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(asyncio.wait_for(chaos(asyncio.sleep, 0, "ok"), 10))


@pytest.mark.parametrize(("rate", "enabled", "injected"), [
    (0.6, True, True), (0.0, True, False), (0.5, True, False), (-1, True, False), (1, True, True), (1.1, True, True), (0.6, False, False),
])
def test_ch_01_injects_when_enabled_and_below_the_rate(rate, enabled, injected):
    """A half is thrown: below the rate it is injected, at the rate not; rates beyond 0 and 1 count as those."""
    answer = run(Chaos(lambda: rate, enabled=lambda: enabled, outcome="chaos"))
    assert answer == ("chaos" if injected else "ok")


@pytest.mark.parametrize(("stuck_in", "asked"), [("enabled", ["enabled"]), ("rate", ["enabled", "rate"])])
def test_ch_01_cancelled_while_it_decides(stuck_in, asked):
    """Cancelled inside a generator: the next one is not asked, nothing is injected, the cancellation is raised."""
    seen = []

    def generator(name, value):
        async def give():
            seen.append(name)
            if name == stuck_in:
                await asyncio.sleep(100)
            return value

        return give

    async def scenario():
        chaos = Chaos(generator("rate", 1.0), enabled=generator("enabled", True), outcome=generator("outcome", "chaos"))
        call = asyncio.ensure_future(chaos(asyncio.sleep, 0))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario())
    assert seen == asked


def test_ch_01_cancelled_before_it_begins():
    """Cancelled before its first step: no generator is asked."""
    asked = []

    async def scenario():
        call = asyncio.ensure_future(Chaos(1.0, enabled=lambda: asked.append(1) or True)(asyncio.sleep, 0))
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario())
    assert asked == []


def test_ch_03_a_fault_takes_the_place_of_the_call():
    """The fault is raised and the call not made; a generator that gives None lets it through, without an event."""
    events = []
    with pytest.raises(Injected):
        run(Chaos(1.0, fault=Injected, on_event=events.append))
    assert [event.what for event in events] == ["fault"]
    events.clear()
    assert run(Chaos(1.0, fault=lambda: None, on_event=events.append)) == "ok"
    assert events == []
