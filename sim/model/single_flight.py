"""Single flight: of all who want to load the same thing at the same time one does, and the others share what comes of it.

    first ──loads──▶ result or error ──▶ all who have asked meanwhile
      └──is cancelled──▶ the next of them loads instead
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sim.kernel import SimLoop

T = TypeVar("T")


class SingleFlight:
    """Of one process; *counts*, if there are any, are told under `coalesced` of everyone who waits for somebody else."""

    def __init__(self, loop: SimLoop, counts: Counter[str] | None) -> None:
        self._loop = loop
        self._counts: Counter[str] = Counter() if counts is None else counts
        self._loading: dict[str, Future[Any]] = {}

    async def load(self, key: str, do: Callable[[], Awaitable[T]]) -> T:
        """What *do* gives, or what it gives to the one who is loading *key* already."""
        while (first := self._loading.get(key)) is not None:
            self._counts["coalesced"] += 1
            try:
                result: T = await asyncio.shield(first)
                return result
            except CancelledError:
                if not first.cancelled():  # it is this one that was cancelled, and not who loads
                    raise
        mine: Future[Any] = Future(loop=self._loop)
        self._loading[key] = mine
        try:
            result = await do()
            mine.set_result(result)
            return result
        except Exception as error:
            mine.set_exception(error)
            mine.exception()  # nobody need be waiting for it
            raise
        finally:
            del self._loading[key]
            mine.cancel()  # without an effect unless there is neither result nor error
