"""Pipeline: policies around a call, outermost first as listed.

    call ──▶ fallback ──▶ deadline ──▶ retry ──▶ circuit breaker ──▶ bulkhead ──▶ timeout ──▶ fn
"""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Coroutine, Iterable
from types import BuiltinMethodType, MethodType
from typing import Any, ParamSpec, TypeVar

from .events import Event, Listener, tell
from .explain import Explanation, explain
from .policy import Policy, Worst

P = ParamSpec("P")
T = TypeVar("T")
CHAINS = 64  # remembered compositions; more different functions than that are composed anew now and then


class Pipeline:
    """*policies* around whatever is called through it. One pipeline stands for one dependency: its policies keep their state over calls.

    Policies without a name, generator or listener of their own get those of the pipeline: *name* and their word, *rng*, *on_event*.
    """

    def __init__(self, name: str, policies: Iterable[Policy] = (), *,
                 rng: random.Random | None = None, on_event: Listener | None = None) -> None:
        self.name = name
        self.policies: tuple[Policy, ...] = ()
        self._rng = rng
        self._listeners: tuple[Listener, ...] = () if on_event is None else (on_event,)
        self._chains: dict[Any, Callable[..., Coroutine[Any, Any, Any]]] = {}
        self.reconfigure(policies)

    def call(self, fn: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """What `await fn(*args, **kwargs)` gives, through all policies; await it."""
        if kwargs:
            return self._compose(functools.partial(fn, **kwargs))(*args)  # nothing to remember: the next partial is another object
        try:
            chain = self._chains.get(fn)
        except TypeError:  # it cannot be hashed
            return self._compose(fn)(*args)
        if chain is None:
            chain = self._compose(fn)
            if _equals_only_itself(fn):
                if len(self._chains) >= CHAINS:
                    self._chains.clear()
                self._chains[fn] = chain
        return chain(*args)

    def __call__(self, fn: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """As a decorator: every call of *fn* goes through the pipeline."""

        @functools.wraps(fn)
        async def through(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self.call(fn, *args, **kwargs)

        return through

    def reconfigure(self, policies: Iterable[Policy]) -> None:
        """Use *policies* from the next call on; calls under way end by the old ones. A policy that stays keeps its state."""
        policies = tuple(policies)
        for policy in policies:
            if not isinstance(policy, Policy):
                raise TypeError(f"pipeline {self.name!r}: {policy!r} is no policy: write objects such as Retry() or Timeout(0.4); "
                                "a class of your own extends sim.resilience.Policy")
        self.policies = policies
        self._chains.clear()
        words: list[str] = []
        for policy in self.policies:
            words.append(policy.word)
            nth = words.count(policy.word)
            name = f"{self.name}.{policy.word}" + (f"-{nth}" if nth > 1 else "")
            policy.bind(name, self._rng, self._publish if self._listeners else None)
        budgets: list[object] = []
        for policy in self.policies:
            policy.keeps_account = not any(policy.budget is budget for budget in budgets)
            budgets.append(policy.budget)

    def listen(self, listener: Listener) -> None:
        """Hand every event of the policies that have no listener of their own to *listener* as well."""
        self._listeners = (*self._listeners, listener)
        for policy in self.policies:
            policy.bind(self.name, on_event=self._publish)

    def explain(self, call: Worst | None = None) -> Explanation:
        """Attempts and latency of one call at worst, and warnings about the order; *call* is what `fn` costs at worst, if that is known."""
        return explain(self.policies, call)

    def _compose(self, fn: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        proceed = fn if _is_async(fn) else _checked(fn)
        for policy in reversed(self.policies):
            proceed = functools.partial(policy.__call__, proceed)
        return proceed

    def _publish(self, event: Event) -> None:
        for listener in self._listeners:
            tell(listener, event)


def _equals_only_itself(fn: Callable[..., Any]) -> bool:
    """So it does where its class has no equality of its own, and where it is a method: those are equal if they are of the same object."""
    equality: object = type(fn).__eq__
    return equality is object.__eq__ or isinstance(fn, MethodType | BuiltinMethodType)


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


def _checked(fn: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Around what may give an awaitable, such as a lambda, or not."""

    async def checked(*args: Any) -> Any:
        result = fn(*args)
        if not inspect.isawaitable(result):
            name = getattr(fn, "__qualname__", repr(fn))
            raise TypeError(f"{name} is not async: it returned {result!r:.80}, for which nobody can wait; write it as `async def`, "
                            f"or if it blocks, `call(asyncio.to_thread, {name}, ...)`")
        return await result

    return checked
