"""Transactional outbox: a message is written where the state is written, in one transaction, and sent afterwards.

    handler ──one transaction──▶ state + outbox ◀──poll── publisher ──send──▶ broker
                                       └──────mark as sent──────┘     a crash between the two sends it again

So no message is lost and none is sent for a change that was rolled back; it may be sent more than once, in order for each key
(the aggregate): whoever receives it needs an `IdempotentConsumer`. Source: Richardson, Microservices Patterns, ch. 3; MassTransit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class OutboxMessage:
    """One message: a *message_id* that stays the same when it is sent again, and the time (seconds) at which it was written."""

    message_id: str
    body: Any
    key: Hashable | None
    written_at: float


class OutboxStore(Protocol):
    """A table beside the state. `add` has to take part in the caller's transaction."""

    def add(self, message: OutboxMessage) -> None:
        """Keep *message* as the last one."""

    def pending(self, limit: int) -> Iterable[OutboxMessage]:
        """The oldest messages that were not marked as sent."""

    def mark_sent(self, message_id: str) -> None:
        """It need not be sent again."""


class MemoryOutboxStore:
    """In memory, for tests and simulations."""

    def __init__(self) -> None:
        self.messages: dict[str, OutboxMessage] = {}  # unsent, oldest first

    def add(self, message: OutboxMessage) -> None:
        """Keep *message* as the last one."""
        self.messages[message.message_id] = message

    def pending(self, limit: int) -> list[OutboxMessage]:
        """The oldest unsent messages."""
        return [message for message, _ in zip(self.messages.values(), range(limit), strict=False)]

    def mark_sent(self, message_id: str) -> None:
        """Forget it."""
        self.messages.pop(message_id, None)


class Outbox:
    """Write with `add`, send with `deliver` or `run`. Each pass takes up to *limit* messages from *store* (in memory, if there is none)."""

    def __init__(self, store: OutboxStore | None = None, limit: int = 100) -> None:
        if limit < 1:
            raise ValueError("a pass takes at least one message")
        self.store: OutboxStore = MemoryOutboxStore() if store is None else store
        self.limit = limit
        self._written = 0

    def add(self, body: Any, now: float, key: Hashable | None = None, message_id: str | None = None) -> OutboxMessage:
        """Write a message, inside the transaction of what it tells. Messages with the same *key* are sent in order."""
        self._written += 1
        message = OutboxMessage(message_id or f"message-{self._written}", body, key, now)
        self.store.add(message)
        return message

    def lag(self, now: float) -> float:
        """Seconds since the oldest unsent message was written; 0 if there is none."""
        return max((now - message.written_at for message in self.store.pending(1)), default=0.0)

    async def deliver(self, send: Callable[[OutboxMessage], Awaitable[Any]]) -> int:
        """One pass: *send* what is pending and mark it; returns how many were sent. One that fails holds back those of its key only."""
        sent, held_back = 0, set()
        for message in list(self.store.pending(self.limit)):
            if message.key is not None and message.key in held_back:
                continue
            try:
                await send(message)
            except Exception:  # it stays pending: the next pass sends it again
                held_back.add(message.key)
            else:
                self.store.mark_sent(message.message_id)
                sent += 1
        return sent

    async def run(self, send: Callable[[OutboxMessage], Awaitable[Any]], interval: float = 0.1) -> None:
        """Deliver until cancelled, with *interval* seconds of rest whenever nothing could be sent."""
        while True:
            if await self.deliver(send) == 0:
                await asyncio.sleep(interval)
