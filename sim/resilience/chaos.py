"""Chaos: make a share of the calls fail, slow or wrong on purpose, in production or in a test; the innermost policy.

    call ──enabled, and the dice below the rate──▶ wait *latency* ──▶ raise *fault*, or give *outcome* ──▶ (neither) the call itself
      └──otherwise──▶ the call itself

A scenario has fault plans for that. Source: Polly's Simmy.
"""

from __future__ import annotations

import inspect
import random
from asyncio import sleep
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .events import Event, Listener
from .policy import Policy, Proceed, Worst, loop_time


@dataclass(frozen=True, kw_only=True)
class ChaosInjected(Event):
    """A call was tampered with: *what* is "latency", "fault" or "outcome"."""

    kind: str = "chaos"
    what: str


async def _value(source: Any) -> Any:
    """*source* itself, or what it gives when it is called, and awaited where it is asynchronous."""
    given = source() if callable(source) else source
    return await given if inspect.isawaitable(given) else given


class Chaos(Policy):
    """Tamper with a call if *enabled* and a throw of the dice is below *rate* (0..1; what is outside counts as its nearer end).

    *enabled*, *rate*, *fault* (an exception) and *outcome* (a result) may be values or callables, also asynchronous ones; a callable
    that gives None for fault or outcome injects nothing. *latency* is in seconds.
    """

    word = "chaos"

    def __init__(self, rate: float | Callable[[], Any] = 0.001, *, enabled: bool | Callable[[], Any] = True, latency: float = 0.0,
                 fault: Exception | Callable[[], Any] | None = None, outcome: Any = None, rng: random.Random | None = None,
                 name: str | None = None, on_event: Listener | None = None) -> None:
        self.rate, self.enabled, self.latency, self.fault, self.outcome = rate, enabled, latency, fault, outcome
        self.rng, self._name, self.on_event = rng, name, on_event

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed*, or tamper with it."""
        if not await _value(self.enabled) or self.dice().random() >= min(max(await _value(self.rate), 0.0), 1.0):
            return await proceed(*args)
        if self.latency > 0:
            self._tell("latency")
            await sleep(self.latency)
        fault = await _value(self.fault)
        if fault is not None:
            self._tell("fault")
            raise fault
        outcome = await _value(self.outcome)
        if outcome is not None:
            self._tell("outcome")
            return outcome
        return await proceed(*args)

    def _tell(self, what: str) -> None:
        if self.on_event is not None:
            self.emit(ChaosInjected(at=loop_time(), policy=self.name, what=what))

    def worst(self, inner: Worst) -> Worst:
        return Worst(inner.attempts, inner.latency + self.latency)
