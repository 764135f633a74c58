"""Resilience libraries in a user's app, unmodified: what they do depends on time, and the time is simulated."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.kernel.clock import virtual_clock
from tests.model.small_world import SmallWorld


@pytest.fixture
def loop():
    with SimLoop(seed=7) as loop, virtual_clock(loop):
        yield loop


def shop(loop, well_from):
    small = SmallWorld(loop, {"front": {"asgi": "tests.model.apps.libraries:app"},
                              "backend": {"code": "tests.model.sample_services:Moody", "config": {"well_from": well_from}}})
    loop.run_until(0)
    return small


@pytest.mark.parametrize("library", ["purgatory", "pybreaker", "aiobreaker", "circuitbreaker", "hyx"])
def test_a_breaker_opens_and_probes_after_its_time(loop, library):
    """A request each second, the backend is well from t=5 on: three failures, ten seconds of refusals, a probe, and then all go through."""
    small = shop(loop, well_from=5)

    async def each_second():
        answers = []
        for second in range(16):
            await asyncio.sleep(max(0.0, second - loop.time()))
            answers.append((await small.sending("front", "GET", f"/with_{library}")).status)
        return answers

    answers = loop.run_until_complete(each_second())
    calls = small.process("backend").asked
    assert calls[:3] == [0, 1, 2]
    assert calls[3:] in ([12, 13, 14, 15], [13, 14, 15])  # the tenth second is over at t=12, give or take the way of the third answer
    assert set(answers[3:12]) == {503} and answers[-3:] == [200] * 3


def test_tenacity_stops_after_a_delay(loop):
    """Every two seconds, until seven are over: it reads the monotonic clock itself."""
    small = shop(loop, well_from=1e9)
    assert small.send("front", "GET", "/with_tenacity").status == 502
    assert small.process("backend").asked == [0, 2, 4, 6, 8]


def test_stamina_backs_off(loop):
    """After 1, 2 and 4 seconds."""
    small = shop(loop, well_from=5)
    assert small.send("front", "GET", "/with_stamina").status == 200
    assert small.process("backend").asked == [0, 1, 3, 7]


def test_aiolimiter_lets_two_a_second_through(loop):
    """Six at once: two go at once, the others half a second apart."""
    small = shop(loop, well_from=0)

    async def six():
        await asyncio.gather(*(small.sending("front", "GET", "/with_aiolimiter") for _ in range(6)))

    loop.run_until_complete(six())
    assert small.process("backend").asked == [0, 0, 0.5, 1.0, 1.5, 2.0]
