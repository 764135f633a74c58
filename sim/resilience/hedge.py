"""Hedge: if an answer takes longer than usual, send the same call once more and take the answer that comes first.

    primary ──answer or error before the delay──▶ passed on, nothing more is sent
      └──delay over──▶ hedge 1 ──delay over──▶ hedge 2 ...
             first success: the answer; the others are cancelled and awaited
             all fail: the primary's error

It cuts the tail of latency for a few percent of extra load, if the tail comes from single slow hosts and not from overload: so
send hedges to another host, give them a budget, and hedge idempotent calls only. Source: Dean and Barroso, The Tail at
Scale, CACM 56 (2013).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, model_validator

from sim.units import Duration, Share

from .budgets import AnyBudget, RetryBudget
from .errors import Rejected
from .events import Event, Listener
from .hedge_delay import Average, Delay, Fixed, Quantile
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed, Worst


@dataclass(frozen=True, kw_only=True)
class HedgeSent(Event):
    """The call was sent once more, for the *number*th time, since there was no answer after *delay* seconds."""

    kind: str = "hedge"
    number: int
    delay: float


@dataclass(frozen=True, kw_only=True)
class HedgeWon(Event):
    """Hedge *number* answered before all others."""

    kind: str = "hedge_won"
    number: int


@dataclass(frozen=True, kw_only=True)
class HedgeRefused(Event):
    """There was no budget for another hedge."""

    kind: str = "hedge_refused"


class HedgeSpec(PolicySpec):
    """Up to *max_hedges* more calls, each after *delay*, or after the *quantile* of the latest latencies."""

    max_hedges: Annotated[int, Field(ge=1, le=10)] = 1
    delay: Duration | None = None
    quantile: Share | None = None
    warmup: Annotated[int, Field(ge=1)] = 20
    budget: AnyBudget | None = None

    @model_validator(mode="after")
    def _one_delay(self) -> HedgeSpec:
        if self.delay is not None and self.quantile is not None:
            raise ValueError("a hedge waits for a `delay` or for a `quantile` of the latencies, not for both")
        return self

    def build(self, parts: PolicyParts) -> Hedge:
        delay = Quantile(self.quantile, self.warmup) if self.quantile is not None else 0.05 if self.delay is None else self.delay
        return Hedge(self.max_hedges, delay, parts.budget(self.budget))


class Hedge(Policy):
    """At most *max_hedges* more calls, *delay* seconds apart: a number, a `Quantile`, an `Average` or a function. 0: all at once.

    *accept* says which results are successes (all, if it is not given). With a budget every hedge takes one out of it. Each
    call runs in a task of its own, with a copy of the caller's context.
    """

    word = "hedge"

    def __init__(self, max_hedges: int = 1, delay: float | Quantile | Average | Callable[[], float | None] = 0.05,
                 budget: RetryBudget | None = None, *, accept: Callable[[Any], bool] | None = None, name: str | None = None,
                 on_event: Listener | None = None) -> None:
        if max_hedges < 1:
            raise ValueError("a hedge sends at least one more call")
        self.max_hedges = max_hedges
        self.budget = budget
        self._accept = accept
        self._delay: Delay = delay if isinstance(delay, Quantile | Average) else Fixed(delay)
        self._name, self.on_event = name, on_event
        self._leaving: set[asyncio.Task[Any]] = set()  # cancelled losers, kept alive until they have ended

    # what it decides

    def delay(self, now: float) -> float | None:
        """Seconds after which the next hedge goes out; None: no hedge."""
        seconds = self._delay.value()
        return seconds if seconds is not None and 0 <= seconds < math.inf else None

    def observe(self, latency: float) -> None:
        """A primary succeeded after *latency* seconds, or was still out when a hedge won."""
        self._delay.observe(latency)

    def worst(self, inner: Worst) -> Worst:
        waits = self.max_hedges * (self.delay(0.0) or 0.0)
        return Worst(inner.attempts * (1 + self.max_hedges), inner.latency + waits)

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """The first success of *proceed*; the primary's error if nobody succeeds."""
        budget = self.budget if self.keeps_account else None
        if budget is None:
            return await self._call(proceed, args)
        clock = asyncio.get_running_loop().time
        budget.deposit(clock())
        budget.started(clock())
        try:
            return await self._call(proceed, args)
        finally:
            budget.ended(clock())

    async def _call(self, proceed: Proceed, args: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        started = loop.time()
        delay = self.delay(started)
        tasks = [self._start(loop, proceed, args)]
        why = None
        try:
            winner = await self._race(loop, tasks, proceed, args, delay)
            if winner > 0 and self.on_event is not None:
                self.emit(HedgeWon(at=loop.time(), policy=self.name, number=winner))
            result = tasks[winner].result()
            self.observe(loop.time() - started)
            return result
        except asyncio.CancelledError as cancelled:
            why = cancelled.args[0] if cancelled.args else None
            raise
        finally:
            await self._dismiss(tasks, why)

    async def _race(self, loop: asyncio.AbstractEventLoop, tasks: list[asyncio.Task[Any]], proceed: Proceed, args: tuple[Any, ...],
                    delay: float | None) -> int:
        """Which of *tasks* counts: the first that succeeded, else the primary; hedges are added to them as they become due."""
        due = loop.time() + delay if delay is not None else math.inf
        while True:
            while due <= loop.time() + SAME and len(tasks) <= self.max_hedges:
                if not self._may_hedge(loop.time(), len(tasks), delay or 0.0):
                    due = math.inf
                    break
                tasks.append(self._start(loop, proceed, args, hedge=True))
                delay = self.delay(loop.time())
                due = loop.time() + delay if delay is not None else math.inf
            await _any_done([task for task in tasks if not task.done()], due if len(tasks) <= self.max_hedges else math.inf)
            for number, task in enumerate(tasks):
                if task.done() and self._good(task):
                    return number
            if all(task.done() for task in tasks):
                return 0

    def _good(self, task: asyncio.Task[Any]) -> bool:
        if task.cancelled() or task.exception() is not None:
            return False
        return self._accept is None or self._accept(task.result())

    def _may_hedge(self, now: float, number: int, delay: float) -> bool:
        allowed = self.budget is None or self.budget.try_withdraw(now)
        if self.on_event is not None:
            sent = HedgeSent(at=now, policy=self.name, number=number, delay=delay)
            self.emit(sent if allowed else HedgeRefused(at=now, policy=self.name))
        return allowed

    def _start(self, loop: asyncio.AbstractEventLoop, proceed: Proceed, args: tuple[Any, ...], hedge: bool = False) -> asyncio.Task[Any]:
        task = loop.create_task(_run(proceed, args))
        if self.budget is not None and (hedge or self.keeps_account):
            task.add_done_callback(lambda task: self._settle(task, hedge, loop.time()))
        return task

    def _settle(self, task: asyncio.Task[Any], hedge: bool, now: float) -> None:
        """Tell the budget how one of the calls ended; a refusal or a cancellation is neither a success nor a failure."""
        assert self.budget is not None
        if hedge:
            self.budget.retry_ended(now)
        if task.cancelled() or not self.keeps_account:
            return
        error = task.exception()
        if error is None:
            self.budget.on_success(now)
        elif not isinstance(error, Rejected):
            self.budget.on_failure(now)

    async def _dismiss(self, tasks: list[asyncio.Task[Any]], why: str | None) -> None:
        """Cancel who is still out, because of *why*, and wait until all have ended, so that nothing of the call goes on behind its back."""
        for task in tasks:
            self._leaving.add(task)
            task.add_done_callback(self._left)
            task.cancel(why)
        for task in tasks:
            while not task.done():
                await _any_done([task], math.inf)

    def _left(self, task: asyncio.Task[Any]) -> None:
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else will ask for it


async def _run(proceed: Proceed, args: tuple[Any, ...]) -> Any:
    return await proceed(*args)


async def _any_done(tasks: list[asyncio.Task[Any]], until: float) -> None:
    """Wait for one of *tasks*, at most until the moment *until*. As `asyncio.wait`, but without its sets, whose order is by address."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_at(until, wake) if until < math.inf else None
    for task in tasks:
        task.add_done_callback(wake)
    try:
        await waiter
    finally:
        if timer is not None:
            timer.cancel()
        for task in tasks:
            task.remove_done_callback(wake)
