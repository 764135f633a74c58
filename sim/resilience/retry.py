"""Retry: call again what failed, a few times, after a while, and only if there is time and budget for it.

    attempt ──success──▶ answer
      └──failure──▶ next() ──delay──▶ wait ──▶ attempt ...
                      └──Stop (attempts, budget, deadline, ...)──▶ the last real error is raised

*max_attempts* counts the first call. An error class that is not to be retried, an open circuit, an exceeded deadline and a
cancellation end it at once. Sources: AWS Builders' Library, "Timeouts, retries and backoff with jitter"; gRPC proposal A6.
"""

from __future__ import annotations

import random
from asyncio import sleep
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from sim.units import PositiveDuration

from .backoff import AnyBackoff, Backoff, Dice, Exponential, ExponentialSpec
from .budgets import AnyBudget, RetryBudget
from .deadline import current_deadline
from .errors import CircuitOpen, DeadlineExceeded
from .events import Listener, RetryGaveUp, RetryScheduled, RetrySucceeded, describe
from .failures import Errors, FailureWords, answers, matcher, predicate, retry_after_of
from .outcomes import Outcome
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed, Worst, loop_time, refused_inside


class RetrySpec(PolicySpec):
    """Up to *max_attempts*, the first included, with *backoff* between them, for the failures named in *on*, within *budget*."""

    max_attempts: int = Field(default=3, ge=1)
    backoff: AnyBackoff = ExponentialSpec.model_construct(max=1.0)
    on: FailureWords = ("timeout", "connect", "reset", "5xx", "429", "rejected")
    abort_on: FailureWords = ()
    max_duration: PositiveDuration | None = None
    budget: AnyBudget | None = None

    def build(self, parts: PolicyParts) -> Retry:
        return Retry(max_attempts=self.max_attempts, backoff=self.backoff.build(), retry_on=predicate(self.on),
                     abort_on=predicate(self.abort_on), retry_result=answers(word for word in self.on if word not in self.abort_on),
                     max_duration=self.max_duration, budget=parts.budget(self.budget))


@dataclass(frozen=True)
class Stop:
    """No further attempt, because of *reason*: success, ignored, max_attempts, pushback, deadline, max_duration or budget."""

    reason: str


class Retry(Policy):
    """Call until it succeeds, at most *max_attempts* times (may be infinite) and for *max_duration* seconds.

    *retry_on* minus *abort_on* says which errors are tried again, *retry_result* which results; the last result is then returned
    as it is. A delay that would end at or after the deadline or *max_duration* is not waited. A server's own `retry_after` (seconds, on
    the error) takes the place of the computed delay; negative: not again.
    """

    word = "retry"

    def __init__(self, *, max_attempts: float = 3, backoff: Backoff | None = None, retry_on: Errors = (Exception,), abort_on: Errors = (),
                 retry_result: Callable[[Any], bool] | None = None, max_duration: float | None = None, budget: RetryBudget | None = None,
                 rng: random.Random | None = None, name: str | None = None, on_event: Listener | None = None) -> None:
        if not max_attempts >= 1:
            raise ValueError(f"max_attempts counts the first call, so it is at least 1, not {max_attempts}")
        self.max_attempts = max_attempts
        self.backoff = backoff if backoff is not None else Exponential(0.1, max=1.0, jitter="full")
        self.max_duration = max_duration
        self.budget = budget
        self.rng, self._name, self.on_event = rng, name, on_event
        self._wanted, self._unwanted, self._bad_result = matcher(retry_on), matcher(abort_on), retry_result

    # what it decides

    def next(self, attempt: int, outcome: Outcome, now: float, deadline: float, rng: random.Random | Dice, *, started: float | None = None,
             retry_after: float | None = None, previous: float | None = None) -> float | Stop:
        """Seconds to wait after *attempt* (from 1) ended with *outcome* at *now*, or why there is no other; takes one out of the budget.

        *started* is when the first attempt began, *previous* the delay before this one; the outcome is that of the attempt, and only
        a FAILURE is tried again.
        """
        if outcome is not Outcome.FAILURE:
            return Stop(outcome.value)
        if attempt >= self.max_attempts:
            return Stop("max_attempts")
        if retry_after is not None and retry_after < 0:
            return Stop("pushback")
        delay = self.backoff.delay(attempt, rng, previous) if retry_after is None else retry_after
        if now + delay >= deadline - SAME:
            return Stop("deadline")
        if self.max_duration is not None and started is not None and now + delay >= started + self.max_duration - SAME:
            return Stop("max_duration")
        if self.budget is not None and not self.budget.try_withdraw(now):
            return Stop("budget")
        return delay

    def classify(self, error: BaseException, proceed: Proceed) -> Outcome:
        """What *error* means here. The circuit that is open is one on the way to the call; another client's is an error like others."""
        if not isinstance(error, Exception):
            return Outcome.CANCELLED
        if isinstance(error, DeadlineExceeded) or (isinstance(error, CircuitOpen) and refused_inside(error, proceed)):
            return Outcome.IGNORED
        return Outcome.FAILURE if self._wanted(error) and not self._unwanted(error) else Outcome.IGNORED

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed* as often as it takes; raise the last real error, or return the last result, when there is no other attempt."""
        budget, started = self.budget, None
        if budget is not None or self.max_duration is not None:
            started = self._begin(loop_time())
        attempt, delay, borrowed = 1, None, False
        try:
            while True:
                try:
                    result = await proceed(*args)
                except Exception as error:
                    if borrowed:
                        borrowed = self._returned(loop_time())
                    delay = self._after_error(error, proceed, attempt, loop_time(), started, delay)
                    if delay is None:
                        raise
                else:
                    if borrowed:
                        borrowed = self._returned(loop_time())
                    if self._bad_result is None or not self._bad_result(result):
                        if attempt > 1 or budget is not None:
                            self._succeeded(attempt, loop_time())
                        return result
                    delay = self._decide(attempt, Outcome.FAILURE, loop_time(), started, None, delay, f"result {result!r}")
                    if delay is None:
                        return result
                borrowed = budget is not None
                await sleep(delay)
                attempt += 1
        finally:
            if borrowed:
                self._returned(loop_time())
            if budget is not None and self.keeps_account:
                budget.ended(loop_time())

    def _begin(self, now: float) -> float:
        if self.budget is not None and self.keeps_account:
            self.budget.deposit(now)
            self.budget.started(now)
        return now

    def _after_error(self, error: Exception, proceed: Proceed, attempt: int, now: float, started: float | None,
                     previous: float | None) -> float | None:
        outcome = self.classify(error, proceed)
        asked = None if refused_inside(error, proceed) else retry_after_of(error)  # our own refusal is an error like others
        return self._decide(attempt, outcome, now, started, asked, previous, error)

    def _decide(self, attempt: int, outcome: Outcome, now: float, started: float | None, retry_after: float | None,
                previous: float | None, failure: object) -> float | None:
        """The delay before the next attempt, or None; the budget and the listener are told."""
        if outcome is Outcome.FAILURE and self.budget is not None and self.keeps_account:
            self.budget.on_failure(now)
        verdict = self.next(attempt, outcome, now, current_deadline(), self.dice(),
                            started=started, retry_after=retry_after, previous=previous)
        if self.on_event is not None and outcome is Outcome.FAILURE:
            text = describe(failure) if isinstance(failure, BaseException) else str(failure)
            if isinstance(verdict, Stop):
                self.emit(RetryGaveUp(at=now, policy=self.name, attempts=attempt, reason=verdict.reason, error=text))
            else:
                self.emit(RetryScheduled(at=now, policy=self.name, attempt=attempt, delay=verdict, error=text))
        return None if isinstance(verdict, Stop) else verdict

    def _succeeded(self, attempts: int, now: float) -> None:
        if self.budget is not None and self.keeps_account:
            self.budget.on_success(now)
        if attempts > 1 and self.on_event is not None:
            self.emit(RetrySucceeded(at=now, policy=self.name, attempts=attempts))

    def _returned(self, now: float) -> bool:
        """What the budget allowed is in flight no longer; nothing is borrowed now."""
        if self.budget is not None:
            self.budget.retry_ended(now)
        return False

    def worst(self, inner: Worst) -> Worst:
        latency = self.max_attempts * inner.latency + self.backoff.longest(self.max_attempts)
        if self.max_duration is not None:
            latency = min(latency, self.max_duration + inner.latency)
        return Worst(self.max_attempts * inner.attempts, latency)
