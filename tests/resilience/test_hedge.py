"""Hedge: when another call goes out, who wins, and what becomes of the others."""

import asyncio

import pytest

from sim.kernel import SimLoop
from sim.resilience.budgets import InFlightBudget, TokenBudget
from sim.resilience.hedge import Hedge, HedgeSpec
from sim.resilience.hedge_delay import Average, Quantile
from sim.resilience.policy import PolicyParts, Worst


class Calls:
    """A dependency whose n-th call takes durations[n] seconds and then answers n, or raises if its entry in *errors* is true."""

    def __init__(self, *durations, errors=()):
        self.durations, self.errors = durations, errors
        self.sent, self.cancelled, self.starts = 0, [], []

    async def __call__(self):
        number, self.sent = self.sent, self.sent + 1
        self.starts.append(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(self.durations[number])
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if number < len(self.errors) and self.errors[number]:
            raise RuntimeError(f"call {number}")
        return number


def run(hedge, calls):
    with SimLoop(seed=1) as loop:
        try:
            result = loop.run_until_complete(hedge(calls))
        except RuntimeError as error:
            result = str(error)
        return result, loop.time()


def test_a_fast_answer_is_passed_on_and_nothing_more_is_sent():
    """10 ms of 50 ms: one call."""
    calls = Calls(0.01)
    assert run(Hedge(delay=0.05), calls) == (0, pytest.approx(0.01))
    assert calls.sent == 1


def test_a_slow_one_is_sent_again_and_the_faster_answer_wins():
    """1 s and 10 ms, hedged after 50 ms: the hedge answers at 60 ms, the primary is cancelled; listeners hear of both."""
    calls, events = Calls(1.0, 0.01), []
    assert run(Hedge(delay=0.05, on_event=events.append), calls) == (1, pytest.approx(0.06))
    assert calls.cancelled == [0]
    assert [event.kind for event in events] == ["hedge", "hedge_won"]


def test_losers_are_awaited():
    """A loser that needs 20 ms to clean up has ended before the answer is returned."""
    ended = []

    async def call():
        first = not ended and asyncio.get_running_loop().time() == 0
        try:
            await asyncio.sleep(1 if first else 0.01)
        finally:
            if first:
                await asyncio.sleep(0.02)
            ended.append(first)

    with SimLoop(seed=1) as loop:
        loop.run_until_complete(Hedge(delay=0.05)(call))
        assert ended == [False, True]
        assert loop.time() == pytest.approx(0.08)


def test_a_primary_that_fails_before_the_delay_ends_the_call():
    """An error after 10 ms of 50 ms is raised at once; it is no case for a hedge."""
    calls = Calls(0.01, 0.01, errors=[True])
    assert run(Hedge(delay=0.05), calls) == ("call 0", pytest.approx(0.01))
    assert calls.sent == 1


def test_a_primary_that_fails_later_leaves_it_to_the_hedge():
    """It fails at 80 ms, the hedge answers at 150 ms: the answer counts."""
    assert run(Hedge(delay=0.05), Calls(0.08, 0.1, errors=[True])) == (1, pytest.approx(0.15))


def test_if_all_fail_the_error_is_that_of_the_primary():
    """Also where a hedge failed first."""
    assert run(Hedge(delay=0.05), Calls(0.2, 0.01, errors=[True, True])) == ("call 0", pytest.approx(0.2))


def test_hedges_go_out_one_delay_after_the_other():
    """Three of them, 50 ms apart."""
    calls = Calls(1, 1, 1, 0.01)
    assert run(Hedge(max_hedges=3, delay=0.05), calls) == (3, pytest.approx(0.16))
    assert calls.starts == pytest.approx([0, 0.05, 0.1, 0.15])


@pytest.mark.parametrize("after", [0.0, 0.03, 0.07])
def test_a_cancelled_caller_takes_all_its_calls_with_it(loop, after):
    """Cancelled before and after the hedge went out: nothing of the call is left, and the budget has everything back."""
    calls, budget = Calls(1, 1), InFlightBudget()
    hedge = Hedge(delay=0.05, budget=budget)

    async def scenario():
        task = asyncio.ensure_future(hedge(calls))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert loop.run_until_complete(scenario())
    assert len(calls.cancelled) == calls.sent
    assert not asyncio.all_tasks(loop)
    assert (budget.calls, budget.retries) == (0, 0)


def test_without_budget_left_no_hedge_goes_out():
    """A share of 0 % with no reserve: the slow answer is waited for, and an event says why."""
    calls, events = Calls(1.0, 0.01), []
    hedge = Hedge(delay=0.05, budget=TokenBudget(share=0.0, min_per_second=0), on_event=events.append)
    assert run(hedge, calls) == (0, pytest.approx(1.0))
    assert [event.kind for event in events] == ["hedge_refused"]


def test_a_budget_bounds_the_extra_load():
    """10 % of 200 slow calls: 20 hedges."""
    sent = 0

    async def call():
        nonlocal sent
        sent += 1
        await asyncio.sleep(0.2)

    with SimLoop(seed=1) as loop:
        hedge = Hedge(delay=0.05, budget=TokenBudget(share=0.1, min_per_second=0, ttl=60))

        async def scenario():
            await asyncio.gather(*(hedge(call) for _ in range(200)))

        loop.run_until_complete(scenario())
    assert sent == 220


def test_a_quantile_follows_the_latest_latencies():
    """Of 1 ... 100 ms the 95th is 95 ms; 200 fast ones later the slow ones are forgotten."""
    quantile = Quantile(0.95, warmup=20, window=200)
    for number in range(1, 101):
        quantile.observe(number / 1000)
        assert (quantile.value() is None) == (number < 20)
    assert quantile.value() == 0.095
    for _ in range(200):
        quantile.observe(0.001)
    assert quantile.value() == 0.001


def test_a_win_of_the_hedge_does_not_make_slow_primaries_look_fast():
    """A primary that lost counts with the time it had been out: the quantile does not sink under its own hedges."""
    hedge = Hedge(delay=Quantile(0.5, warmup=1))
    hedge.observe(0.1)
    run(hedge, Calls(1.0, 0.05))
    run(hedge, Calls(1.0, 0.05))
    assert hedge.delay(0) >= 0.1


def test_from_a_scenario():
    """By delay or by quantile, with a budget of the client's; both delays together are a mistake."""
    parts = PolicyParts()
    assert HedgeSpec.model_validate({"delay": "20ms"}).build(parts).delay(0) == 0.02
    spec = HedgeSpec.model_validate({"quantile": "95%", "max_hedges": 2, "budget": {"share": "5%"}})
    assert spec.build(parts).delay(0) is None
    assert spec.build(parts).budget is spec.build(parts).budget
    with pytest.raises(ValueError, match="not for both"):
        HedgeSpec.model_validate({"quantile": "95%", "delay": "20ms"})


def test_what_it_can_cost():
    """Two hedges 50 ms apart: three times the attempts, 100 ms more."""
    assert Hedge(max_hedges=2, delay=0.05).worst(Worst(1, 0.4)) == Worst(3, 0.5)


def test_the_average_is_scaled_and_shifted():
    """Mean 550 ms, twice that plus 100 ms."""
    average = Average(factor=2, plus=0.1)
    for latency in (1.0, 0.1):
        average.observe(latency)
    assert average.value() == pytest.approx(1.2)
