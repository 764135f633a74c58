"""Retry budgets: what may be spent, and when it is there again."""

import pytest

from sim.resilience import InFlightBudget, SuccessBudget, ThrottleBudget, TokenBudget


def spend(budget, now, tries):
    return sum(budget.try_withdraw(now) for _ in range(tries))


def test_ten_calls_buy_one_retry_at_ten_percent():
    """Without a reserve: none at nine calls, exactly one at ten, in spite of rounding."""
    budget = TokenBudget(share=0.1, min_per_second=0)
    for _ in range(9):
        budget.deposit(now=0)
    assert spend(budget, 0, 5) == 0
    budget.deposit(now=0)
    assert spend(budget, 0, 5) == 1


def test_the_reserve_is_for_ten_seconds_and_comes_back():
    """One a second for ten seconds: ten at once, none after, ten again when they are forgotten."""
    budget = TokenBudget(share=0, min_per_second=1, ttl=10)
    assert spend(budget, 0, 20) == 10
    assert spend(budget, 5, 20) == 0
    assert spend(budget, 10, 20) == 10


def test_deposits_expire():
    """A hundred calls buy ten retries now, and none eleven seconds later."""
    budget = TokenBudget(share=0.1, min_per_second=0, ttl=10)
    for _ in range(100):
        budget.deposit(now=0)
    assert spend(budget, 11, 20) == 0


def test_a_long_run_spends_its_share():
    """A hundred seconds of ten calls a second, all failing: 10 % of the calls plus the reserve, to within a reserve."""
    budget, spent = TokenBudget(share=0.1, min_per_second=1, ttl=10), 0
    for call in range(1000):
        budget.deposit(now=call / 10)
        spent += budget.try_withdraw(now=call / 10)
    assert 190 <= spent <= 210


def test_successes_earn_retries():
    """Two saved at first; ten successes buy one, in spite of rounding; failures and new calls buy none; a hundred buy no more than two."""
    budget = SuccessBudget(share=0.1, max_tokens=2)
    assert spend(budget, 0, 5) == 2
    for _ in range(10):
        budget.deposit(now=0)
        budget.on_failure(now=0)
    assert spend(budget, 0, 5) == 0
    for _ in range(10):
        budget.on_success(now=0)
    assert spend(budget, 0, 5) == 1
    for _ in range(100):
        budget.on_success(now=0)
    assert spend(budget, 0, 5) == 2


def test_throttled_while_half_of_the_tokens_is_gone():
    """Ten tokens: five failures stop it, one success of a tenth starts it, never more than ten."""
    budget = ThrottleBudget(10, 0.1)
    for _ in range(5):
        assert budget.try_withdraw(now=0)
        budget.on_failure(now=0)
    assert not budget.try_withdraw(now=0)
    budget.on_success(now=0)
    assert budget.try_withdraw(now=0)
    for _ in range(1000):
        budget.on_success(now=0)
    assert budget.tokens == 10


def test_never_below_no_tokens():
    """A thousand failures are made good by fifty-one successes of a tenth."""
    budget = ThrottleBudget(10, 0.1)
    for _ in range(1000):
        budget.on_failure(now=0)
    for _ in range(51):
        budget.on_success(now=0)
    assert budget.try_withdraw(now=0)


def test_a_share_of_what_is_in_flight():
    """A hundred calls at 20 %: twenty-five retries, which are a fifth of the hundred and twenty-five in flight."""
    budget = InFlightBudget(share=0.2, min_concurrent=3)
    for _ in range(100):
        budget.started(now=0)
    assert spend(budget, 0, 100) == 25
    for _ in range(100):
        budget.ended(now=0)
    assert spend(budget, 0, 1) == 0
    for _ in range(25):
        budget.retry_ended(now=0)
    assert spend(budget, 0, 100) == 3


@pytest.mark.parametrize("make", [
    lambda: TokenBudget(share=-1), lambda: TokenBudget(ttl=0), lambda: SuccessBudget(0.1, 0), lambda: ThrottleBudget(0),
    lambda: InFlightBudget(share=2),
])
def test_budgets_that_make_no_sense_are_refused(make):
    """Negative, or without an end."""
    with pytest.raises(ValueError, match="budget needs"):
        make()
