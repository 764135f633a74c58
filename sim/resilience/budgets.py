"""Retry budgets: how much more than the original calls retries and hedges together may send.

Four rules of the field, with one face, so that retry and hedge need not know which it is:

    TokenBudget      every call deposits a share of a retry, every retry takes one out; both expire (Finagle, Linkerd)
    SuccessBudget    every success deposits a share of a retry, every retry takes one out; there is a most (AWS' SDKs)
    ThrottleBudget   failures take tokens, successes give a few back; nothing is retried while half of them is gone (gRPC A6)
    InFlightBudget   at most a share of what is in flight may be retries (Envoy, failsafe-go)

A budget may be shared by all that call one dependency. Where it is spent, the last real error is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from sim.spec import ByKind, Spec
from sim.units import PositiveDuration, Share

from .policy import SAME
from .windows import SlidingSums


class BudgetSpec(Spec):
    """Base of the specs of retry budgets. Policies of one client that state the same budget spend from one."""

    def build(self) -> RetryBudget:
        """A full budget."""
        raise NotImplementedError


class TokenBudgetSpec(BudgetSpec):
    """Retries may be *share* of the calls, and *min_per_second* more; counted over *ttl*."""

    kind: Literal["tokens"] = "tokens"
    share: Share = 0.1
    min_per_second: Annotated[float, Field(ge=0, strict=False)] = 1.0
    ttl: PositiveDuration = 10.0

    def build(self) -> RetryBudget:
        return TokenBudget(self.share, self.min_per_second, self.ttl)


class SuccessBudgetSpec(BudgetSpec):
    """Each success earns *share* of a retry, and each retry takes one; at most *max_tokens* are saved, and that many are there at first."""

    kind: Literal["per_success"] = "per_success"
    share: Share = 0.1
    max_tokens: Annotated[float, Field(ge=1, strict=False)] = 10.0

    def build(self) -> RetryBudget:
        return SuccessBudget(self.share, self.max_tokens)


class ThrottleBudgetSpec(BudgetSpec):
    """No retry while no more than half of *max_tokens* is left; a failure takes one, a success gives *token_ratio* back."""

    kind: Literal["throttle"] = "throttle"
    max_tokens: Annotated[float, Field(gt=0, strict=False)] = 10.0
    token_ratio: Annotated[float, Field(gt=0, strict=False)] = 0.1

    def build(self) -> RetryBudget:
        return ThrottleBudget(self.max_tokens, self.token_ratio)


class InFlightBudgetSpec(BudgetSpec):
    """At most *share* of what is in flight may be retries, but always *min_concurrent* of them."""

    kind: Literal["in_flight"] = "in_flight"
    share: Share = 0.2
    min_concurrent: int = Field(default=3, ge=0)

    def build(self) -> RetryBudget:
        return InFlightBudget(self.share, self.min_concurrent)


BUDGETS: Mapping[str, type[BudgetSpec]] = {
    "tokens": TokenBudgetSpec, "per_success": SuccessBudgetSpec, "throttle": ThrottleBudgetSpec, "in_flight": InFlightBudgetSpec}
AnyBudget = Annotated[BudgetSpec, ByKind("budget", lambda: BUDGETS, default="tokens", group="budgets")]


class RetryBudget:
    """What retry and hedge tell a budget and ask of it. *now* is in seconds; a rule overrides what it needs."""

    def deposit(self, now: float) -> None:
        """An original call begins."""

    def try_withdraw(self, now: float) -> bool:
        """May one more be sent?"""
        raise NotImplementedError

    def on_success(self, now: float) -> None:
        """An attempt, original or not, succeeded."""

    def on_failure(self, now: float) -> None:
        """An attempt, original or not, failed."""

    def started(self, now: float) -> None:
        """An original call is in flight."""

    def ended(self, now: float) -> None:
        """An original call is in flight no longer."""

    def retry_ended(self, now: float) -> None:
        """What a successful withdrawal allowed is in flight no longer."""


class TokenBudget(RetryBudget):
    """Per call a *share* (0..1) of a retry, and *min_per_second* whatever happens; what was paid in or out counts for *ttl* seconds.

    So at most `share * calls + min_per_second * ttl` retries in any *ttl* seconds; the reserve may be spent at once. Old payments
    are forgotten in ten steps. Source: Finagle's RetryBudget.
    """

    def __init__(self, share: float = 0.1, min_per_second: float = 1, ttl: float = 10) -> None:
        if share < 0 or min_per_second < 0 or ttl <= 0:
            raise ValueError("a token budget needs a share and a minimum of at least 0, and a ttl above 0")
        self.share = share
        self.reserve = min_per_second * ttl
        self._paid = SlidingSums(ttl, 10, origin=0.0, columns=2)  # calls, retries: whole numbers, so that nothing is lost in rounding

    def balance(self, now: float) -> float:
        """How many retries could be sent at *now*."""
        self._paid.advance(now)
        calls, retries = self._paid.sums
        return self.reserve + self.share * calls - retries

    def deposit(self, now: float) -> None:
        self._pay(0, now)

    def try_withdraw(self, now: float) -> bool:
        if self.balance(now) < 1 - SAME:
            return False
        self._pay(1, now)
        return True

    def _pay(self, column: int, now: float) -> None:
        self._paid.row(now)[column] += 1
        self._paid.sums[column] += 1


class SuccessBudget(RetryBudget):
    """A success, of a retry too, earns a *share* (0..1) of a token, a retry takes one; *max_tokens* at first, and never more.

    So where a share p of the attempts fails, at most 1 / (1 - share * (1 - p)) attempts are made for a call once the savings are
    spent: the worse it gets the fewer, and where everything fails none. Source: the retry quota of the AWS SDKs; Brooker, Fixing retries
    with token buckets and circuit breakers (2022).
    """

    def __init__(self, share: float = 0.1, max_tokens: float = 10) -> None:
        if share < 0 or max_tokens < 1:
            raise ValueError("a success budget needs a share of at least 0, and room for a token")
        self.share = share
        self.max_tokens = max_tokens
        self.tokens = float(max_tokens)

    def try_withdraw(self, now: float) -> bool:
        if self.tokens < 1 - SAME:
            return False
        self.tokens -= 1
        return True

    def on_success(self, now: float) -> None:
        self.tokens = min(self.max_tokens, self.tokens + self.share)


class ThrottleBudget(RetryBudget):
    """*max_tokens* at first; a failure takes one, a success gives *token_ratio* back; a retry needs more than half of them.

    Kept per server, not per call. Source: gRPC proposal A6, retryThrottling.
    """

    def __init__(self, max_tokens: float = 10, token_ratio: float = 0.1) -> None:
        if max_tokens <= 0 or token_ratio <= 0:
            raise ValueError("a throttle budget needs a positive number of tokens and a positive ratio")
        self.max_tokens = max_tokens
        self.token_ratio = token_ratio
        self.tokens = float(max_tokens)

    def try_withdraw(self, now: float) -> bool:
        return self.tokens > self.max_tokens / 2 + SAME

    def on_success(self, now: float) -> None:
        self.tokens = min(self.max_tokens, self.tokens + self.token_ratio)

    def on_failure(self, now: float) -> None:
        self.tokens = max(0.0, self.tokens - 1)


class InFlightBudget(RetryBudget):
    """Of all that is in flight at most a *share* (0..1) may be retries, but *min_concurrent* always may.

    What is in flight includes the retries and the one that asks, so the share is kept at every moment. Source: Envoy's
    retry_budget, failsafe-go's budget.
    """

    def __init__(self, share: float = 0.2, min_concurrent: int = 3) -> None:
        if not 0 <= share <= 1 or min_concurrent < 0:
            raise ValueError("an in-flight budget needs a share between 0 and 1 and no negative minimum")
        self.share = share
        self.min_concurrent = min_concurrent
        self.calls = 0
        self.retries = 0

    def started(self, now: float) -> None:
        self.calls += 1

    def ended(self, now: float) -> None:
        assert self.calls > 0, "more calls ended than had started"
        self.calls -= 1

    def try_withdraw(self, now: float) -> bool:
        wanted = self.retries + 1
        if wanted > max(self.min_concurrent, self.share * (self.calls + wanted) + SAME):
            return False
        self.retries = wanted
        return True

    def retry_ended(self, now: float) -> None:
        assert self.retries > 0, "more retries ended than were allowed"
        self.retries -= 1
