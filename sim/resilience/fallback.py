"""Fallback: a substitute answer where the real one cannot be had.

    call ──success──▶ answer
      ├──error of the listed kinds──▶ the substitute: a value, or what a function of the error gives
      └──any other error, a cancellation──▶ passed on

Belongs outside the retry: inside, it hides the failures from it. A substitute is an answer of lower quality, so it is reported and counted
apart. Source: Hystrix; Polly.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from pydantic import Field

from .events import FallbackFailed, FallbackUsed, Listener, describe
from .failures import Errors, FailureWords, answers, matcher, predicate
from .policy import Policy, PolicyParts, PolicySpec, Proceed


class FallbackSpec(PolicySpec):
    """Answers with *status* where the call fails in a way named in *on*; counted as degraded unless said otherwise."""

    status: int = Field(default=200, ge=100, le=599)
    on: FailureWords = ("any",)
    degraded: bool = True

    def build(self, parts: PolicyParts) -> Fallback:
        return Fallback(on=predicate(self.on), replace_result=answers(self.on), degraded=self.degraded,
                        value=lambda ending: parts.make_response(self.status, self.degraded))


class Fallback(Policy):
    """Answer *value* for the errors in *on*, and for the results that *replace_result* says.

    A callable value is called with the error or the result, and awaited if it is asynchronous. What it raises is raised, caused by the
    error that it was to replace.
    """

    word = "fallback"

    def __init__(self, *, value: Any, on: Errors = (Exception,), replace_result: Callable[[Any], bool] | None = None,
                 degraded: bool = True, name: str | None = None, on_event: Listener | None = None) -> None:
        self.value = value
        self.degraded = degraded
        self._covers, self._bad_result = matcher(on), replace_result
        self._name = name
        self.on_event = on_event

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed*, or answer in its place."""
        try:
            result = await proceed(*args)
        except Exception as error:
            if not self._covers(error):
                raise
            return await self._substitute(error, error)
        if self._bad_result is None or not self._bad_result(result):
            return result
        return await self._substitute(result, None)

    async def _substitute(self, ending: Any, error: Exception | None) -> Any:
        clock = asyncio.get_running_loop().time
        text = describe(error) if error is not None else f"result {ending!r}"
        try:
            answer = self.value(ending) if callable(self.value) else self.value
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as failure:
            if self.on_event is not None:
                self.emit(FallbackFailed(at=clock(), policy=self.name, error=text, failure=describe(failure)))
            raise failure from error
        if self.on_event is not None:
            self.emit(FallbackUsed(at=clock(), policy=self.name, error=text, degraded=self.degraded))
        return answer
