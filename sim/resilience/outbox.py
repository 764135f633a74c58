"""Transactional outbox: a message is written where the state is written, in one transaction, and sent afterwards.

    handler ──one transaction──▶ state + outbox ◀──poll── publisher ──send──▶ broker
                                       └──────mark as sent──────┘     a crash between the two sends it again

So no message is lost and none is sent for a change that was rolled back; it may be sent more than once, in order for each key
(the aggregate): whoever receives it needs an `IdempotentConsumer`. One that cannot be sent holds back those of its key only, however
many these are, and is tried again after all others. Source: Richardson, Microservices Patterns, ch. 3; MassTransit.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class OutboxMessage:
    """One message: a *message_id* that stays the same when it is sent again, and the time (seconds) at which it was written."""

    message_id: str
    body: Any
    key: Hashable | None
    written_at: float

    @property
    def line(self) -> Hashable:
        """What it must not overtake: the messages of its *key*; without one it stands in a line of its own."""
        return self.message_id if self.key is None else self.key


class OutboxStore(Protocol):
    """A table beside the state. `add` has to take part in the caller's transaction."""

    def number(self) -> int:
        """One that it has never given before, also not before a restart: a sequence of the database."""

    def add(self, message: OutboxMessage) -> None:
        """Keep *message* as the last one."""

    def pending(self, limit: int, held_back: Collection[Hashable] = ()) -> Iterable[OutboxMessage]:
        """The oldest messages that were not marked as sent, at most *limit*, without those whose `line` is *held_back*."""

    def mark_sent(self, message_id: str) -> None:
        """It need not be sent again."""


class MemoryOutboxStore:
    """In memory, for tests and simulations."""

    def __init__(self) -> None:
        self.messages: dict[str, OutboxMessage] = {}  # unsent, oldest first
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The next one."""
        return next(self._numbers)

    def add(self, message: OutboxMessage) -> None:
        """Keep *message* as the last one; raise ValueError where one with its id is unsent, since that would be lost."""
        if message.message_id in self.messages:
            raise ValueError(f"message {message.message_id!r} is pending already: another message needs an id of its own")
        self.messages[message.message_id] = message

    def pending(self, limit: int, held_back: Collection[Hashable] = ()) -> list[OutboxMessage]:
        """The oldest unsent messages that are not held back."""
        return list(itertools.islice((message for message in self.messages.values() if message.line not in held_back), limit))

    def mark_sent(self, message_id: str) -> None:
        """Forget it."""
        self.messages.pop(message_id, None)


class Outbox:
    """Write with `add`, send with `deliver` or `run`. Each pass takes up to *limit* messages from *store* (in memory, if there is none).

    Messages are numbered by the store and called after *name*: where one consumer listens to several outboxes, give each a name.
    """

    def __init__(self, store: OutboxStore | None = None, limit: int = 100, *, name: str = "message") -> None:
        if limit < 1:
            raise ValueError("a pass takes at least one message")
        self.store: OutboxStore = MemoryOutboxStore() if store is None else store
        self.limit = limit
        self.name = name
        self._held_back: set[Hashable] = set()  # lines whose first message could not be sent, until all others have had their turn

    def add(self, body: Any, now: float, key: Hashable | None = None, message_id: str | None = None) -> OutboxMessage:
        """Write a message, inside the transaction of what it tells. Messages with the same *key* are sent in order."""
        message = OutboxMessage(message_id or f"{self.name}-{self.store.number()}", body, key, now)
        self.store.add(message)
        return message

    def lag(self, now: float) -> float:
        """Seconds since the oldest unsent message was written; 0 if there is none."""
        return max((now - message.written_at for message in self.store.pending(1)), default=0.0)

    async def deliver(self, send: Callable[[OutboxMessage], Awaitable[Any]]) -> int:
        """One pass: *send* what is pending and mark it; returns how many were sent. One that fails holds back those of its key only."""
        sent, held_back = 0, self._held_back
        messages = list(self.store.pending(self.limit, held_back))
        for message in messages:
            if message.line in held_back:
                continue
            try:
                await send(message)
            except Exception:  # it stays pending, and is sent again once the others have had their turn
                held_back.add(message.line)
            else:
                self.store.mark_sent(message.message_id)
                sent += 1
        if len(messages) < self.limit:  # there were no others
            held_back.clear()
        return sent

    async def run(self, send: Callable[[OutboxMessage], Awaitable[Any]], interval: float = 0.1) -> None:
        """Deliver until cancelled, with *interval* seconds of rest whenever nothing could be sent."""
        while True:
            if await self.deliver(send) == 0:
                await asyncio.sleep(interval)
