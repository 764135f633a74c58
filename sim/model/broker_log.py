"""What a stream keeps: messages by sequence, within limits of number, size and age, and the ids that it has seen lately."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sim.model.messaging import Message
from sim.model.subjects import matches

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.model.broker import BrokerSpec


class StoredMessages:
    """The log of one broker; *drop* is told of each message that goes before everybody has handled it."""

    def __init__(self, spec: BrokerSpec, loop: SimLoop, drop: Callable[[Message], None]) -> None:
        self.spec, self._loop, self._drop = spec, loop, drop
        self.messages: dict[int, Message] = {}  # oldest first
        self.size = 0  # bytes
        self.last = 0  # sequence
        self.dropped = 0
        self._ids: dict[str, tuple[int, float]] = {}  # sequence, and when it was stored
        self._ageing = False
        limits = spec.max_messages, spec.max_bytes, spec.max_age
        # without limits nobody can see whether what all have handled is still there, unless somebody comes later and asks for it
        self._keeps = spec.retention == "limits" and any(limit is not None for limit in limits)

    def keep(self) -> None:
        """Somebody may come later and want what all others have handled."""
        self._keeps = self.spec.retention == "limits"

    def matching(self, pattern: str) -> list[Message]:
        """What is there of *pattern*, oldest first."""
        return [message for message in self.messages.values() if matches(pattern, message.subject)]

    def known(self, message_id: str, now: float) -> int | None:
        """The sequence under which that id was stored within the window."""
        while self._ids:
            oldest = next(iter(self._ids))
            if self._ids[oldest][1] + self.spec.duplicate_window > now:
                break
            del self._ids[oldest]
        found = self._ids.get(message_id)
        return found[0] if found is not None else None

    def store(self, message: Message, message_id: str | None) -> bool:
        """Give *message* its sequence and keep it; False if there is no room and the old ones have precedence."""
        if not self._has_room(message):
            if self.spec.discard == "new":
                return False
            while self.messages and not self._has_room(message):
                self._give_up(next(iter(self.messages.values())))
            if not self._has_room(message):
                return False
        self.last += 1
        message.sequence = self.last
        if message_id is not None and self.spec.duplicate_window:
            self._ids[message_id] = self.last, message.at
        self.messages[self.last] = message
        self.size += message.size
        self._age()
        return True

    def _has_room(self, message: Message) -> bool:
        most, bytes_ = self.spec.max_messages, self.spec.max_bytes
        return (most is None or len(self.messages) < most) and (bytes_ is None or self.size + message.size <= bytes_)

    def settled(self, message: Message, holder: Any) -> None:
        """One group is done with *message*."""
        message.holders.remove(holder)
        self.tidy(message)

    def tidy(self, message: Message) -> None:
        """Forget *message* if nobody needs it any more."""
        if not message.holders and not self._keeps:
            self._remove(message)

    def _remove(self, message: Message) -> None:
        if self.messages.pop(message.sequence, None) is not None:
            self.size -= message.size

    def _give_up(self, message: Message) -> None:
        self._remove(message)
        if message.holders:
            self.dropped += 1
            self._drop(message)

    def _age(self) -> None:
        """Look again when the oldest message is too old."""
        if self.spec.max_age is not None and self.messages and not self._ageing:
            self._ageing = True
            oldest = next(iter(self.messages.values()))
            self._loop.after(max(0.0, oldest.at + self.spec.max_age - self._loop.time()), self._expire)

    def _expire(self) -> None:
        self._ageing = False
        now = self._loop.time()
        while self.messages:
            oldest = next(iter(self.messages.values()))
            if oldest.at + (self.spec.max_age or 0.0) > now + 1e-9:
                break
            self._give_up(oldest)
        self._age()
