"""Hedging against the obvious model: who starts when, who wins, what comes out, and that nothing is left."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.kernel import SimLoop
from sim.resilience import Hedge, InFlightBudget

DELAY = 10  # ms
ATTEMPTS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=4, max_size=4).map(
    lambda drawn: [(number + 0.25 + index / 100, good) for index, (number, good) in enumerate(drawn)])  # no two end at the same time


def expected(attempts, hedges):
    """(what comes out, when the call ends, how many were sent); an attempt takes so many milliseconds and then succeeds or does not."""
    sent, ends = 1, {0: attempts[0][0]}
    while True:
        due = sent * DELAY if sent <= hedges else float("inf")
        good = min((at for number, at in ends.items() if attempts[number][1]), default=float("inf"))
        all_over = max(ends.values())
        if min(good, all_over) <= due:
            if good <= all_over:
                return min(number for number, at in ends.items() if at == good and attempts[number][1]), good, sent
            return "primary", all_over, sent
        ends[sent] = due + attempts[sent][0]
        sent += 1


@given(attempts=ATTEMPTS, hedges=st.integers(1, 3), cancel_at=st.none() | st.integers(0, 70))
@settings(max_examples=150, deadline=None)
def test_the_outcome_is_that_of_the_model(attempts, hedges, cancel_at):
    """Random durations and failures, and sometimes a caller who leaves: outcome, time, number of calls; all tasks and budgets are back."""
    budget, running, sent = InFlightBudget(share=1.0, min_concurrent=9), 0, 0
    hedge = Hedge(hedges, DELAY / 1000, budget)

    async def call():
        nonlocal running, sent
        number, sent, running = sent, sent + 1, running + 1
        try:
            await asyncio.sleep(attempts[number][0] / 1000)
        finally:
            running -= 1
        if not attempts[number][1]:
            raise RuntimeError("primary" if number == 0 else "hedge")
        return number

    async def scenario():
        task = asyncio.ensure_future(hedge(call))
        if cancel_at is not None:
            loop.call_later(cancel_at / 1000 + 1e-4, task.cancel)
        try:
            result = await task
        except RuntimeError as error:
            result = str(error)
        except asyncio.CancelledError:
            result = "cancelled"
        return result, loop.time() * 1000

    with SimLoop(seed=1) as loop:
        result, at = loop.run_until_complete(scenario())
        assert not asyncio.all_tasks(loop)
    outcome, end, number_sent = expected(attempts, hedges)
    if cancel_at is not None and cancel_at + 0.1 < end:
        assert result == "cancelled"
    else:
        assert (result, round(at, 6), sent) == (outcome, round(end, 6), number_sent)
    assert (running, budget.calls, budget.retries) == (0, 0, 0)
