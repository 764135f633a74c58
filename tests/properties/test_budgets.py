"""Retry budgets against models that keep every payment."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.resilience import InFlightBudget, ThrottleBudget, TokenBudget

STEPS = st.lists(st.tuples(st.sampled_from(["deposit", "withdraw", "wait"]), st.integers(1, 8)), max_size=60)


@given(steps=STEPS, share=st.sampled_from([0.0, 0.1, 0.25, 1.0]), per_second=st.sampled_from([0.0, 0.5, 2.0]))
@settings(max_examples=200, deadline=None)
def test_token_budget_pays_out_what_was_paid_in(steps, share, per_second):
    """A list of payments, each of which counts for the ten seconds that begin with its own; one second is a step."""
    budget, now, deposits, withdrawals = TokenBudget(share, per_second, ttl=10), 0, [], []
    for what, number in steps:
        if what == "wait":
            now += number
            continue
        for _ in range(number):
            if what == "deposit":
                budget.deposit(now)
                deposits.append(now)
                continue
            live = share * sum(at > now - 10 for at in deposits) - sum(at > now - 10 for at in withdrawals)
            allowed = 10 * per_second + live >= 1 - 1e-9
            assert budget.try_withdraw(now) == allowed
            withdrawals += [now] * allowed


@given(outcomes=st.lists(st.booleans(), max_size=200), max_tokens=st.integers(1, 20), ratio=st.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=100, deadline=None)
def test_throttle_budget_stays_in_its_bounds(outcomes, max_tokens, ratio):
    """Between none and all; a retry only above half; a failure never opens it, a success never closes it."""
    budget = ThrottleBudget(max_tokens, ratio)
    for success in outcomes:
        before = budget.try_withdraw(now=0)
        (budget.on_success if success else budget.on_failure)(now=0)
        assert 0 <= budget.tokens <= max_tokens
        after = budget.try_withdraw(now=0)
        assert after or not (success and before)
        assert before or success or not after


@given(steps=st.lists(st.sampled_from(["started", "ended", "retry", "retry_ended"]), max_size=200),
       share=st.sampled_from([0.0, 0.2, 0.5, 1.0]), floor=st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_in_flight_budget_keeps_the_share_at_every_admission(steps, share, floor):
    """An admitted retry leaves at most the share of all in flight, or the floor; a refused one would have gone beyond both."""
    budget, calls, retries = InFlightBudget(share, floor), 0, 0
    for step in steps:
        if step == "started":
            calls += 1
            budget.started(now=0)
        elif step == "ended" and calls:
            calls -= 1
            budget.ended(now=0)
        elif step == "retry_ended" and retries:
            retries -= 1
            budget.retry_ended(now=0)
        elif step == "retry":
            fits = retries + 1 <= max(floor, share * (calls + retries + 1) + 1e-9)
            assert budget.try_withdraw(now=0) == fits
            retries += fits
        assert (budget.calls, budget.retries) == (calls, retries)
