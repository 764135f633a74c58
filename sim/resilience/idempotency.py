"""Idempotency: calls with the same key are one call. The first success is the answer to all of them, also to those that come later.

    call with a new key ────────▶ runs ──success──▶ kept for *ttl*
    same key while it runs ─────▶ waits for its end   └──error──▶ raised to all who wait, and forgotten: the next one runs
    same key afterwards ────────▶ the kept answer     └──cancelled──▶ the next who waits runs
    same key, another content ──▶ KeyReused

So a client may retry what must not happen twice. Source: the Idempotency-Key header (IETF draft), Stripe's API.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from sim.units import PositiveDuration

from .events import Listener
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed


class KeyReused(ValueError):
    """The same key came with another content: the caller's mistake."""


class IdempotencySpec(PolicySpec):
    """One answer for each *key* of a call (what of the call says it; calls without one run as they are), kept for *ttl*."""

    key: str = "idempotency_key"
    ttl: PositiveDuration = 86_400.0
    max_entries: Annotated[int, Field(ge=1)] = 100_000

    def build(self, parts: PolicyParts) -> Idempotency:
        return Idempotency(parts.read(self.key), self.ttl, max_entries=self.max_entries)


@dataclass(slots=True)
class _Entry:
    content: Hashable
    running: asyncio.Future[None] | None  # None once there is an answer
    result: Any = None
    error: Exception | None = None
    expires_at: float = 0.0


class Idempotency(Policy):
    """*key* and *content* are called with the arguments of a call; a key of None means that the call is not one of these.

    An answer is kept for *ttl* seconds, and at most *max_entries* are, the oldest go first. Without *content*, equal keys are
    taken as equal calls.
    """

    word = "idempotency"

    def __init__(self, key: Callable[..., Hashable | None], ttl: float = 86_400.0, *, content: Callable[..., Hashable] | None = None,
                 max_entries: int = 100_000, name: str | None = None, on_event: Listener | None = None) -> None:
        if not ttl > 0 or max_entries < 1:
            raise ValueError("answers are kept for more than 0 s, and at least one of them is")
        self.ttl = ttl
        self.max_entries = max_entries
        self.replayed = 0  # answers that were given again
        self._key = key
        self._content = content
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # in the order in which they expire
        self._name, self.on_event = name, on_event

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """The answer of *proceed*, or the one it gave before; raise KeyReused if that was to something else."""
        key = self._key(*args)
        if key is None:
            return await proceed(*args)
        loop = asyncio.get_running_loop()
        content = None if self._content is None else self._content(*args)
        while (entry := self._look_up(key, loop.time())) is not None:
            if entry.content != content:
                raise KeyReused(f"{self.name}: key {key!r} was used for another call")
            if entry.running is None:
                self.replayed += 1
                return entry.result
            await asyncio.shield(entry.running)  # a waiter that is cancelled must not take the others along
            if entry.error is not None:
                raise entry.error
        return await self._run(key, content, loop, proceed, args)

    async def _run(self, key: Hashable, content: Hashable, loop: asyncio.AbstractEventLoop, proceed: Proceed, args: tuple[Any, ...]) -> Any:
        running: asyncio.Future[None] = loop.create_future()
        entry = self._entries[key] = _Entry(content, running, expires_at=float("inf"))
        try:
            entry.result = await proceed(*args)
            entry.running, entry.expires_at = None, loop.time() + self.ttl
        except Exception as error:
            entry.error = error
            raise
        finally:
            if entry.running is not None:
                del self._entries[key]
            running.set_result(None)
        self._entries.move_to_end(key)
        self._make_room()
        return entry.result

    def _look_up(self, key: Hashable, now: float) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and now >= entry.expires_at - SAME:
            del self._entries[key]
            return None
        return entry

    def _make_room(self) -> None:
        """Forget the oldest answers; a call that runs is not forgotten, since others wait for it."""
        surplus = len(self._entries) - self.max_entries
        if surplus > 0:
            for key in [key for key, entry in self._entries.items() if entry.running is None][:surplus]:
                del self._entries[key]
