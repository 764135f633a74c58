"""Idempotency: one call a key."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience.idempotency import Idempotency, IdempotencySpec, KeyReused
from sim.resilience.policy import PolicyParts


class Charges:
    """A dependency that charges once a call and answers with the number of the charge."""

    def __init__(self, *errors, seconds=0.01):
        self.errors, self.count, self.seconds = list(errors), 0, seconds

    async def __call__(self, key, amount=0):
        self.count += 1
        number = self.count
        await asyncio.sleep(self.seconds)
        if self.errors and (error := self.errors.pop(0)):
            raise error
        return number


def by_key(**options):
    return Idempotency(lambda key, *_: key, **options)


def test_the_same_key_gets_the_same_answer(loop):
    """At the same time and afterwards; another key, and none, are other calls."""
    policy, charge = by_key(), Charges()

    async def scenario():
        first = await asyncio.gather(*(policy(charge, "a") for _ in range(3)))
        return first, await policy(charge, "a"), await policy(charge, "b"), await policy(charge, None), await policy(charge, None)

    assert loop.run_until_complete(scenario()) == ([1, 1, 1], 1, 2, 3, 4)
    assert policy.replayed == 3


def test_an_error_is_shared_by_those_who_wait_and_then_forgotten(loop):
    """Three at once fail together in one call; the next one is tried anew."""
    policy, charge = by_key(), Charges(ValueError("busy"))

    async def scenario():
        together = await asyncio.gather(*(policy(charge, "a") for _ in range(3)), return_exceptions=True)
        return [str(error) for error in together], await policy(charge, "a")

    assert loop.run_until_complete(scenario()) == (["busy"] * 3, 2)


@pytest.mark.parametrize("who", [0, 1])
def test_a_cancelled_caller_leaves_the_others_their_answer(loop, who):
    """The one who runs is cancelled: the next one runs; one who waits is cancelled: nothing happens to the others."""
    policy, charge = by_key(), Charges()

    async def scenario():
        callers = [asyncio.ensure_future(policy(charge, "a")) for _ in range(3)]
        await asyncio.sleep(0.004)
        callers[who].cancel()
        return await asyncio.gather(*callers, return_exceptions=True)

    answers = loop.run_until_complete(scenario())
    assert isinstance(answers[who], asyncio.CancelledError)
    assert [answer for number, answer in enumerate(answers) if number != who] == [2 - who, 2 - who]


def test_the_same_key_for_something_else_is_a_mistake(loop):
    """Key a for 10 and then for 20."""
    policy, charge = Idempotency(lambda key, _: key, content=lambda _, amount: amount), Charges()

    async def scenario():
        await policy(charge, "a", 10)
        assert await policy(charge, "a", 10) == 1
        with pytest.raises(KeyReused, match="'a' was used for another call"):
            await policy(charge, "a", 20)

    loop.run_until_complete(scenario())


def test_answers_are_forgotten_after_their_time_and_the_oldest_when_there_are_too_many():
    """Kept for 60 s, and at most two of them."""
    with SimLoop(seed=1) as loop:
        policy, charge = by_key(ttl=60, max_entries=2), Charges()

        async def scenario():
            numbers = [await policy(charge, key) for key in "abca"]
            await asyncio.sleep(59)
            numbers.append(await policy(charge, "a"))
            await asyncio.sleep(2)
            numbers.append(await policy(charge, "a"))
            return numbers

        assert loop.run_until_complete(scenario()) == [1, 2, 3, 4, 4, 5]


def test_from_a_scenario(loop):
    """The key is what the surroundings read of a call."""
    parts = PolicyParts(read=lambda attribute: lambda request, *_: request[attribute])
    policy, charge = IdempotencySpec.model_validate({"ttl": "1h"}).build(parts), Charges()

    async def scenario():
        return [await policy(charge, {"idempotency_key": "a"}) for _ in range(2)]

    assert loop.run_until_complete(scenario()) == [1, 1]
