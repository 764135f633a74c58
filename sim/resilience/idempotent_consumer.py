"""Idempotent consumer: a message that is delivered again has no effect again.

    delivered ──new──▶ handler ──success──▶ remembered for *window*, acknowledged
      │                   └──error──▶ not remembered: the redelivery is handled
      ├──seen──▶ acknowledged, no effect
      └──being handled──▶ waits for the end of that

The note that a message was seen belongs into the transaction of its effect: give a store that takes part in it. A redelivery after
the window is handled twice; the window is what bounds the memory. Sources: Eventuate Tram; MassTransit's duplicate detection window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .policy import SAME

Seen = tuple[str, str]  # consumer, message id


class SeenStore(Protocol):
    """A table of (consumer, message id)."""

    def insert(self, consumer: str, message_id: str, now: float) -> bool:
        """Note it; False if it was there."""

    def remove(self, consumer: str, message_id: str) -> None:
        """Take the note back."""

    def forget(self, before: float) -> None:
        """Drop the notes made before that time (seconds)."""


class MemorySeenStore:
    """In memory, oldest first."""

    def __init__(self) -> None:
        self.seen: dict[Seen, float] = {}

    def insert(self, consumer: str, message_id: str, now: float) -> bool:
        """Note it; False if it was there."""
        if (consumer, message_id) in self.seen:
            return False
        self.seen[consumer, message_id] = now
        return True

    def remove(self, consumer: str, message_id: str) -> None:
        """Take the note back."""
        self.seen.pop((consumer, message_id), None)

    def forget(self, before: float) -> None:
        """Drop the oldest notes."""
        for note, at in list(self.seen.items()):
            if at >= before:
                break
            del self.seen[note]


class IdempotentConsumer:
    """Remembers the messages of the last *window* seconds in *store* (in memory, if there is none); `duplicates` counts the others."""

    def __init__(self, store: SeenStore | None = None, window: float = 1800) -> None:
        if not window > 0:
            raise ValueError("a window of 0 s remembers nothing")
        self.store: SeenStore = MemorySeenStore() if store is None else store
        self.window = window
        self.duplicates = 0
        self._handled: dict[Seen, asyncio.Future[None]] = {}

    def is_duplicate(self, consumer: str, message_id: str, now: float = 0.0) -> bool:
        """Has *consumer* seen *message_id*? It has from now on. A note counts until it is exactly a window old."""
        self.store.forget(now - self.window + SAME)
        if self.store.insert(consumer, message_id, now):
            return False
        self.duplicates += 1
        return True

    async def handle(self, consumer: str, message_id: str, handler: Callable[..., Awaitable[Any]], *args: Any) -> bool:
        """Await *handler* unless the message was handled; True if it has been now. If the handler raises, nothing is noted."""
        seen = consumer, message_id
        while (other := self._handled.get(seen)) is not None:
            await asyncio.shield(other)
        loop = asyncio.get_running_loop()
        if self.is_duplicate(consumer, message_id, loop.time()):
            return False
        handled = self._handled[seen] = loop.create_future()
        try:
            await handler(*args)
        except BaseException:  # also cancelled: the effect is rolled back with the note
            self.store.remove(consumer, message_id)
            raise
        finally:
            del self._handled[seen]
            handled.set_result(None)
        return True
