"""Fallback: for which errors, with what, and what if that fails too."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience import Fallback
from sim.resilience.fallback import FallbackSpec
from sim.resilience.policy import PolicyParts


class Down(Exception):
    status = 503


async def down():
    raise Down("503")


def run(fallback, fn=down):
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(fallback(fn))


def test_a_good_answer_is_passed_on():
    """Nothing is substituted, nothing told."""
    events = []
    assert run(Fallback(value="substitute", on_event=events.append), lambda: asyncio.sleep(1, "good")) == "good"
    assert events == []


async def later(error):
    await asyncio.sleep(1)
    return f"for {error}"


@pytest.mark.parametrize(("value", "answer"), [
    ("fixed", "fixed"), (None, None), (lambda error: f"for {error}", "for 503"), (later, "for 503"),
])
def test_a_value_or_what_a_function_gives(value, answer):
    """A value, a function of the error, an asynchronous one."""
    assert run(Fallback(value=value)) == answer


def test_only_for_the_listed_errors():
    """Another error is passed on."""
    with pytest.raises(Down):
        run(Fallback(on=(TimeoutError,), value="substitute"))


def test_its_own_error_is_raised_and_caused_by_the_first():
    """The function fails: its error, with the cause, and an event."""
    events = []

    def broken(error):
        raise KeyError("cache empty")

    with pytest.raises(KeyError) as error:
        run(Fallback(value=broken, on_event=events.append))
    assert isinstance(error.value.__cause__, Down)
    assert [event.kind for event in events] == ["fallback_failed"]


def test_a_cancellation_is_not_replaced(loop):
    """Even for all errors."""

    async def scenario():
        call = asyncio.ensure_future(Fallback(on=lambda error: True, value="substitute")(asyncio.sleep, 1))
        await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    assert loop.run_until_complete(scenario())


def test_from_a_scenario():
    """`{status: 202, on: [unavailable], degraded: true}` makes its answer by the factory, and says that it is a degraded one."""
    events = []
    spec = FallbackSpec.model_validate({"status": 202, "on": ["unavailable"]})
    fallback = spec.build(PolicyParts(make_response=lambda status, degraded: (status, degraded)))
    fallback.on_event = events.append
    assert run(fallback) == (202, True)
    assert [(event.kind, event.error, event.degraded) for event in events] == [("fallback", "Down: 503", True)]
