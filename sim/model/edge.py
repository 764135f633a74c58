"""An edge of the call graph: what all clients of one caller and callee share, and what policies did in their calls."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from sim.resilience.breaker_states import State
from sim.resilience.events import Event, StateTransition

if TYPE_CHECKING:
    from sim.model.network import Link

OF_NO_CALL = frozenset({"state_transition", "failure_rate_exceeded", "slow_call_rate_exceeded", "reset"})  # events of the policy itself
CALL: ContextVar[int] = ContextVar("call", default=0)  # the span of the call that policies are at work for: their events do not know it


class Edge:
    """The calls of one caller to one callee: the links *there* and *back*, and counts that cannot be read from the recorded rows.

    *free_there* and *free_back* are the free latencies of the links; *caller_index* and *callee_index* the recorder's numbers of the two.
    """

    # for the reason that a station has them
    __slots__ = ("__dict__", "callee_index", "caller_index", "finished", "free_back", "free_there", "sent", "started")

    def __init__(self, caller: str, callee: str, there: Link, back: Link, caller_index: int, callee_index: int) -> None:
        self.name = f"{caller}->{callee}"
        self.caller, self.callee = caller, callee
        self.there, self.back = there, back
        self.free_there, self.free_back = there.free, back.free
        self.caller_index, self.callee_index = caller_index, callee_index
        self.started = 0
        self.finished = 0
        self.sent = 0  # attempts that went onto the link
        self.lost = 0  # of those, that the network never delivered
        self.policies: list[str] = []
        self.counts: Counter[str] = Counter()  # of what happened in no call, "circuit_breaker.state_transition"
        self.noted: defaultdict[str, array[int]] = defaultdict(partial(array, "I"))  # of what happened in a call, the span of that call
        self.opened = 0
        self._open_since: dict[object, float] = {}
        self._open_for = 0.0

    def count(self, word: str, event: Event, now: float, who: object) -> None:
        """The policy *word* did something; *who* tells apart those that several callers, or several routes of one, have of their own."""
        call, what = CALL.get(), f"{word}.{event.kind}"
        if call and event.kind not in OF_NO_CALL:
            self.note(what, call)
        else:
            self.counts[what] += 1
        if isinstance(event, StateTransition):
            if event.target == State.OPEN.value:
                self.opened += 1
                self._open_since.setdefault(who, now)
            elif who in self._open_since:
                self._open_for += now - self._open_since.pop(who)

    def note(self, what: str, call: int) -> None:
        """*what* happened in the call with that span: it counts if the call does, so not before that has ended."""
        self.noted[what].append(call)

    def open_seconds(self, now: float) -> float:
        """How long breakers have been open, summed over the clients."""
        return self._open_for + sum(now - since for since in self._open_since.values())
