"""What every policy is: a callable around a call, and the spec that builds it.

    result = await policy(proceed, *args)          # the policy itself calls `await proceed(*args)`, or does not

`proceed` is any async callable, so composition is one loop, outermost first as listed:

    for policy in reversed(policies):
        proceed = partial(policy.__call__, proceed)

A policy keeps what concerns one call in local variables, and waits with asyncio's own means only.
"""

from __future__ import annotations

import functools
import random
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sim.spec import Spec

from .errors import Rejected
from .events import CallRejected, Event, Listener, tell

if TYPE_CHECKING:
    from .budgets import BudgetSpec, RetryBudget

R = TypeVar("R", bound=Rejected)
Proceed = Callable[..., Awaitable[Any]]
SAME = 1e-9  # seconds; two times that are closer are the same


@dataclass(frozen=True)
class Worst:
    """The most that one call can cost: *attempts* sent, *latency* in seconds; either may be infinite."""

    attempts: float = 1
    latency: float = float("inf")

    def within(self, limit: float) -> Worst:
        """The same, given up after *limit* seconds."""
        return replace(self, latency=min(self.latency, limit))


class Policy:
    """Base of all policies. *word* is its key in a scenario; *name*, *rng* and *on_event* may come from the pipeline."""

    word: ClassVar[str] = "policy"
    rng: random.Random | None = None
    on_event: Listener | None = None
    budget: RetryBudget | None = None  # for those who send more than they were asked to: retry, hedge
    keeps_account: bool = True  # False: an outer policy with the same budget reports calls and results to it
    _name: str | None = None

    @property
    def name(self) -> str:
        """What errors and events call it."""
        return self._name or self.word

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        raise NotImplementedError

    def bind(self, name: str, rng: random.Random | None = None, on_event: Listener | None = None) -> None:
        """Take what the policy has none of yet. A policy that several pipelines share keeps what the first one gave."""
        self._name = self._name or name
        self.rng = self.rng or rng
        self.on_event = self.on_event or on_event

    def speaks_for(self, by: object) -> bool:
        """Is a refusal by *by* this policy's own?"""
        return by is self

    def readings(self, now: float) -> dict[str, float | None]:
        """What can be read off it at any time, by name; None for what is not known. To look changes nothing."""
        return {}

    def process_ended(self, now: float) -> None:
        """The process that it belongs to has ended: there is nothing any more that it keeps open."""

    def worst(self, inner: Worst) -> Worst:
        """What a call can cost at most when what is inside costs at most *inner*."""
        return inner

    def dice(self) -> random.Random:
        """The generator to draw from: the one handed in, or one of its own, seeded by the operating system."""
        if self.rng is None:
            self.rng = random.Random()
        return self.rng

    def refusal(self, error: R, now: float) -> R:
        """*error*, after the listener has heard of it: `raise self.refusal(BulkheadFull(self, "..."), now)`."""
        if self.on_event is not None:
            self.emit(CallRejected(at=now, policy=self.name, reason=error.reason, retry_after=error.retry_after))
        return error

    def emit(self, event: Event) -> None:
        """Tell the listener. Ask `if self.on_event is not None` before creating the event."""
        if self.on_event is not None:
            tell(self.on_event, event)


def loop_time() -> float:
    """Seconds on the clock of the running loop."""
    return get_running_loop().time()


def refused_inside(error: BaseException, proceed: Proceed) -> bool:
    """True if *error* is the refusal of a policy that *proceed* goes through.

    A refusal that the call itself raised, because it uses a client of its own, is the call's own error. So the class does not
    decide, but whether the refusing policy (`error.by`) is found on the way from here to the call.
    """
    by = getattr(error, "by", None)
    while by is not None and isinstance(proceed, functools.partial):
        here = getattr(proceed.func, "__self__", proceed.func)
        if isinstance(here, Policy) and here.speaks_for(by):
            return True
        if not proceed.args:
            return False
        proceed = proceed.args[0]
    return False


def _same(result: Any) -> Any:
    return result


def _no_response(status: int, degraded: bool) -> Any:
    raise ValueError(f"nothing here knows how to make a response with status {status}")


def _nothing_to_read(attribute: str) -> Callable[..., Any]:
    raise ValueError(f"nothing here knows how to read the {attribute} of a call")


@dataclass
class PolicyParts:
    """What a spec needs from its surroundings to build a policy.

    *now* is the start of time windows. *make_response(status, degraded)* makes a fallback's answer, *mark_degraded(result)* a
    copy of a stale one that is counted apart. *read("priority")* gives a function that is handed the arguments of a call and
    reads that of it. Policies of one client whose specs state the same budget share it through *budgets*.
    """

    now: float = 0.0
    rng: random.Random | None = None
    make_response: Callable[[int, bool], Any] = _no_response
    mark_degraded: Callable[[Any], Any] = _same
    read: Callable[[str], Callable[..., Any]] = _nothing_to_read
    budgets: dict[BudgetSpec, RetryBudget] = field(default_factory=dict)

    def budget(self, spec: BudgetSpec | None) -> RetryBudget | None:
        """The budget that *spec* describes: the one that is there already, or a new one."""
        if spec is not None and spec not in self.budgets:
            self.budgets[spec] = spec.build()
        return None if spec is None else self.budgets[spec]


class PolicySpec(Spec):
    """Base of the specs of policies, as listed in `policies.POLICIES`."""

    def build(self, parts: PolicyParts) -> Policy:
        """The policy that this describes."""
        raise NotImplementedError
