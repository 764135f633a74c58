"""Bulkhead: a fixed number of calls at once, a bounded line in front, everyone else turned away.

One dependency that hangs then costs its own slots and not the whole service (Nygard, *Release It!*, 2nd ed., 4.4).

    enter ──free slot──────────▶ inside ──leave──▶ out        a leaving call hands its slot to the head of the line
      ├───line not full──▶ in line ──let in──▶ inside
      │                      └──too long, or the caller gave up──▶ out
      └───line full, or shut down──▶ refused
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from sim.units import Duration

from .errors import BulkheadFull
from .events import Listener
from .permits import Permit
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed, Worst


class BulkheadSpec(PolicySpec):
    """At most *max_concurrent_calls* at once; *max_queued_calls* more wait for up to *max_wait_duration*; others are refused."""

    max_concurrent_calls: int = Field(ge=1)
    max_queued_calls: int = Field(default=0, ge=0)
    max_wait_duration: Duration = 0.0

    def build(self, parts: PolicyParts) -> Bulkhead:
        return Bulkhead(self.max_concurrent_calls, self.max_queued_calls, self.max_wait_duration)


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the line until *expires_at* (seconds); `permit` is set when its turn comes, and `on_turn` called."""

    expires_at: float
    permit: Permit | None = None
    on_turn: Callable[[], None] = field(default=lambda: None, repr=False)


class Bulkhead(Policy):
    """At most *max_concurrent_calls* inside, *max_queued_calls* in line for at most *max_wait_duration* seconds each.

    The line is first come, first served, and a slot changes hands in the instant in which it is free: a newcomer cannot take it.
    One whose turn comes in the instant in which its patience ends is let in. Times are seconds on any clock that does not run backwards.
    """

    word = "bulkhead"

    def __init__(self, max_concurrent_calls: int, max_queued_calls: int = 0, max_wait_duration: float = 0.0, *,
                 name: str | None = None, on_event: Listener | None = None) -> None:
        if max_concurrent_calls < 1 or max_queued_calls < 0 or max_wait_duration < 0:
            raise ValueError("a bulkhead needs at least one slot, and no negative line or wait")
        self.max_concurrent_calls = max_concurrent_calls
        self.max_queued_calls = max_queued_calls
        self.max_wait_duration = max_wait_duration
        self.inside = 0
        self.closed = False
        self._line: OrderedDict[int, Ticket] = OrderedDict()  # by id: leaving from the middle is O(1)
        self._name = name
        self.on_event = on_event

    # what it decides

    @property
    def available(self) -> int:
        """Free slots; 0 also while more are inside than a smaller bulkhead has."""
        return max(0, self.max_concurrent_calls - self.inside)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    def try_enter(self, now: float) -> Permit | Ticket | None:
        """Permit: go in. Ticket: wait for your turn. None: refused."""
        if self.closed:
            return None
        if self.inside < self.max_concurrent_calls:
            self.inside += 1
            return Permit()
        if len(self._line) >= self.max_queued_calls:
            return None
        ticket = Ticket(now + self.max_wait_duration)
        self._line[id(ticket)] = ticket
        return ticket

    def leave(self, permit: Permit, now: float) -> Ticket | None:
        """Give the slot back; return the ticket that was let in with it, if anyone waited."""
        assert permit.held, "a call left the bulkhead twice"
        permit.held = False
        self.inside -= 1
        return self._let_in(now) if self._line else None

    def abandon(self, ticket: Ticket, now: float) -> None:
        """The waiter has left. A slot that reached it in the same instant goes to the next in line."""
        if self._line.pop(id(ticket), None) is None and ticket.permit is not None:
            self.leave(ticket.permit, now)

    def resize(self, max_concurrent_calls: int, now: float) -> None:
        """Change the number of slots: a smaller one sends nobody out, a larger one lets waiters in at once."""
        if max_concurrent_calls < 1:
            raise ValueError("a bulkhead needs at least one slot")
        self.max_concurrent_calls = max_concurrent_calls
        while self._let_in(now):
            pass

    def shutdown(self, now: float) -> None:
        """Let nobody in any more: newcomers and all who wait are refused, those inside finish. `inside` then falls to 0."""
        self.closed = True
        while self._line:
            _, ticket = self._line.popitem(last=False)
            ticket.on_turn()

    def _let_in(self, now: float) -> Ticket | None:
        while self._line and self.inside < self.max_concurrent_calls:
            _, ticket = self._line.popitem(last=False)
            if ticket.expires_at < now - SAME:  # its timer has not run yet, but its time is over
                continue
            self.inside += 1
            ticket.permit = Permit()
            ticket.on_turn()
            return ticket
        return None

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Run *proceed* inside; raise BulkheadFull if there is no slot and no place in line, or the wait took too long."""
        if self.inside < self.max_concurrent_calls and not self.closed:
            self.inside += 1  # as try_enter does, for the call that need not wait: no permit to carry, no clock to read
        else:
            await self._turn()
        try:
            return await proceed(*args)
        finally:
            self.inside -= 1
            if self._line:
                self._let_in(get_running_loop().time())

    async def _turn(self) -> None:
        loop = get_running_loop()
        now = loop.time()
        ticket = self.try_enter(now)
        if not isinstance(ticket, Ticket):
            raise self.refusal(BulkheadFull(self, "shut down" if self.closed else "no slot and no place in line"), now)
        turn: Future[None] = loop.create_future()

        def wake() -> None:
            if not turn.done():
                turn.set_result(None)

        ticket.on_turn = wake
        timer = loop.call_at(ticket.expires_at, wake)
        try:
            await turn
        except BaseException:  # cancelled: the place in line is given up, or the slot that came in the same instant
            self.abandon(ticket, loop.time())
            raise
        finally:
            timer.cancel()
        if ticket.permit is None:
            self.abandon(ticket, loop.time())
            reason = "shut down" if self.closed else f"waited {self.max_wait_duration:g} s"
            raise self.refusal(BulkheadFull(self, reason), loop.time())

    def worst(self, inner: Worst) -> Worst:
        return Worst(inner.attempts, inner.latency + (self.max_wait_duration if self.max_queued_calls else 0.0))
