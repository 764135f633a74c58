"""Stale cache: remember good answers, and serve an old one rather than none.

    no answer yet ──▶ fetch           (many callers at once: one fetches, the others wait for it)
    fresh, age < ttl ──▶ served
    stale, age < ttl + stale_ttl
      ├── refresh "on_error"   ──▶ fetch; the old answer is served, marked as degraded, if that fails
      └── refresh "background" ──▶ the old answer is served at once, marked as degraded, and a new one is fetched meanwhile
    older ──▶ forgotten

The directives stale-if-error and stale-while-revalidate of HTTP (RFC 5861).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from sim.units import Duration, PositiveDuration

from .deadline import without_deadline
from .events import Listener, RefreshFailed, StaleServed, describe
from .failures import Errors, FailureWords, answers, matcher, predicate
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed


class StaleCacheSpec(PolicySpec):
    """Answers are fresh for *ttl*; for *stale_ttl* more an old one is better than none. *key* is what of a call tells answers apart."""

    ttl: PositiveDuration
    stale_ttl: Duration = 0.0
    refresh: Literal["on_error", "background"] = "on_error"
    single_flight: bool = True
    max_entries: int = Field(default=10_000, ge=1)
    key: str = "path"
    on: FailureWords = ("any",)

    def build(self, parts: PolicyParts) -> StaleCache:
        return StaleCache(self.ttl, self.stale_ttl, refresh=self.refresh, single_flight=self.single_flight, max_entries=self.max_entries,
                          key=parts.read(self.key), mark=parts.mark_degraded, on=predicate(self.on), bad_result=answers(self.on))


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer and when it was fetched (seconds)."""

    result: Any
    at: float


@dataclass(eq=False, slots=True)
class Flight:
    """One caller's fetch, for which others wait. Neither arrived nor an error: that caller was cancelled."""

    landed: asyncio.Future[None]
    arrived: bool = False
    result: Any = None
    error: Exception | None = None


def all_arguments(*args: Any) -> Hashable:
    """The key where none is given: calls with equal arguments have equal answers."""
    return args


class StaleCache(Policy):
    """Serve answers that are younger than *ttl* seconds, and for *stale_ttl* more in place of an error of the kinds in *on*
    or of a result that *bad_result* says; such a one is never kept.

    *key* is called with the arguments of a call; *mark* makes a copy of a stale answer that says that it is one. With *single_flight*
    one caller fetches and the others wait; if that caller is cancelled, the next of them fetches. At most *max_entries* answers are kept,
    the least recently used go first. `hits`, `misses` and `stale` count answers.
    """

    word = "stale_cache"

    def __init__(self, ttl: float, stale_ttl: float = 0.0, *, refresh: str = "on_error", single_flight: bool = True,
                 max_entries: int = 10_000, key: Callable[..., Hashable] = all_arguments, mark: Callable[[Any], Any] | None = None,
                 on: Errors = (Exception,), bad_result: Callable[[Any], bool] | None = None, name: str | None = None,
                 on_event: Listener | None = None) -> None:
        if refresh not in ("on_error", "background"):
            raise ValueError(f"refresh is 'on_error' or 'background', not {refresh!r}")
        if ttl < 0 or stale_ttl < 0 or max_entries < 1:
            raise ValueError("a cache needs a ttl that is not negative, and room for an entry")
        self.ttl, self.stale_ttl, self.max_entries = ttl, stale_ttl, max_entries
        self.hits = self.misses = self.stale = 0
        self._in_background = refresh == "background"
        self._single_flight = single_flight
        self._key, self._mark, self._covers, self._bad_result = key, mark, matcher(on), bad_result
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._flights: dict[Hashable, Flight] = {}
        self._refreshing: dict[Hashable, asyncio.Task[None]] = {}  # asyncio itself keeps only weak references
        self._name, self.on_event = name, on_event

    # what it decides

    def look_up(self, key: Hashable, now: float) -> Entry | None:
        """What is known under *key* and not too old to be served, be it fresh or stale."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry.at + self.ttl + self.stale_ttl - SAME:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def is_fresh(self, entry: Entry, now: float) -> bool:
        """Fresh until its age is *ttl*."""
        return now < entry.at + self.ttl - SAME

    def store(self, key: Hashable, result: Any, now: float) -> None:
        """Remember *result*, fetched at *now*."""
        self._entries[key] = Entry(result, now)
        self._entries.move_to_end(key)
        if len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """A fresh answer, a new one, or a stale one where a new one cannot be had."""
        clock = asyncio.get_running_loop().time
        key, now = self._key(*args), clock()
        entry = self.look_up(key, now)
        if entry is not None and self.is_fresh(entry, now):
            self.hits += 1
            return entry.result
        if entry is not None and self._in_background:
            self._refresh(key, proceed, args)
            return self._serve_stale(entry, now, None)
        while self._single_flight and (flight := self._flights.get(key)) is not None:
            await asyncio.shield(flight.landed)  # a waiter that is cancelled must not take the others along
            if flight.error is not None:
                return self._instead_of(flight.error, key, clock())
            if flight.arrived:
                if self._is_bad(flight.result):
                    return self._instead_of_result(flight.result, key, clock())
                self.hits += 1
                return flight.result
        return await self._fetch(key, proceed, args)

    async def _fetch(self, key: Hashable, proceed: Proceed, args: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        self.misses += 1
        flight = self._flights[key] = Flight(loop.create_future())
        try:
            flight.result = await proceed(*args)
            flight.arrived = True
        except Exception as error:
            flight.error = error
            return self._instead_of(error, key, loop.time())
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.landed.set_result(None)
        if self._is_bad(flight.result):
            return self._instead_of_result(flight.result, key, loop.time())
        self.store(key, flight.result, loop.time())
        return flight.result

    def _is_bad(self, result: Any) -> bool:
        return self._bad_result is not None and self._bad_result(result)

    def _instead_of(self, error: Exception, key: Hashable, now: float) -> Any:
        entry = self.look_up(key, now)
        if entry is None or not self._covers(error):
            raise error
        return self._serve_stale(entry, now, describe(error))

    def _instead_of_result(self, result: Any, key: Hashable, now: float) -> Any:
        entry = self.look_up(key, now)
        return result if entry is None else self._serve_stale(entry, now, f"result {result!r}")

    def _serve_stale(self, entry: Entry, now: float, why: str | None) -> Any:
        self.stale += 1
        if self.on_event is not None:
            self.emit(StaleServed(at=now, policy=self.name, age=now - entry.at, error=why))
        return entry.result if self._mark is None else self._mark(entry.result)

    def _refresh(self, key: Hashable, proceed: Proceed, args: tuple[Any, ...]) -> None:
        """Fetch in a task of its own, which the deadline of the call that started it does not bind; one at a time for each key."""
        if key not in self._refreshing:
            task = asyncio.get_running_loop().create_task(self._fetch_quietly(key, proceed, args), context=without_deadline())
            self._refreshing[key] = task
            task.add_done_callback(lambda _: self._refreshing.pop(key, None))

    async def _fetch_quietly(self, key: Hashable, proceed: Proceed, args: tuple[Any, ...]) -> None:
        self.misses += 1
        clock = asyncio.get_running_loop().time
        try:
            result = await proceed(*args)
        except Exception as error:
            self._refresh_failed(describe(error), clock())
        else:
            if self._is_bad(result):
                self._refresh_failed(f"result {result!r}", clock())
            else:
                self.store(key, result, clock())

    def _refresh_failed(self, why: str, now: float) -> None:
        if self.on_event is not None:
            self.emit(RefreshFailed(at=now, policy=self.name, error=why))

    async def aclose(self) -> None:
        """Cancel the fetches in the background and wait until they have ended."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
