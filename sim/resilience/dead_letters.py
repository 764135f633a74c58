"""Dead letters: a message that cannot be handled is put aside, and so are those that must not overtake it.

    handler fails for good ──park──▶ [order-7] m3 ◀──park_behind── m4, m5 of the same sequence (an order, an account)
                                     [order-9] m8                  other sequences go on
                      process ──▶ oldest free sequence, in order: handled ones leave, the first that fails again stays with its new cause

Source: Axon's sequenced dead letter queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any

from .events import describe


class DeadLettersFull(Exception):
    """No room for another letter or another sequence: somebody has to look before more is lost."""


@dataclass(eq=False, slots=True)
class DeadLetter:
    """A message put aside: why, since when, and when it was last tried (seconds). A cause of None: it only waits behind another."""

    message: Any
    sequence: Hashable
    cause: str | None
    parked_at: float
    touched_at: float
    attempts: int = 0


class DeadLetters:
    """At most *max_sequences* sequences of at most *max_size* letters each."""

    def __init__(self, max_sequences: int = 1024, max_size: int = 1024) -> None:
        if max_sequences < 1 or max_size < 1:
            raise ValueError("there has to be room for one letter")
        self.max_sequences = max_sequences
        self.max_size = max_size
        self.sequences: dict[Hashable, deque[DeadLetter]] = {}
        self._processed: set[Hashable] = set()  # sequences that somebody is at

    def __len__(self) -> int:
        return sum(map(len, self.sequences.values()))

    def park(self, sequence: Hashable, message: Any, cause: BaseException | str | None, now: float) -> DeadLetter:
        """Put *message* aside; raise DeadLettersFull if there is no room."""
        letters = self.sequences.get(sequence)
        if letters is None and len(self.sequences) >= self.max_sequences:
            raise DeadLettersFull(f"{len(self.sequences)} sequences are parked already; process or discard some")
        if letters is not None and len(letters) >= self.max_size:
            raise DeadLettersFull(f"{len(letters)} letters of {sequence!r} are parked already; process or discard some")
        text = describe(cause) if isinstance(cause, BaseException) else cause
        letter = DeadLetter(message, sequence, text, now, now)
        self.sequences.setdefault(sequence, deque()).append(letter)
        return letter

    def park_behind(self, sequence: Hashable, message: Any, now: float) -> bool:
        """Put *message* aside if one of its *sequence* is there already, since it must not overtake it; False: handle it."""
        if sequence not in self.sequences:
            return False
        self.park(sequence, message, None, now)
        return True

    async def process(self, handler: Callable[[Any], Awaitable[Any]], now: float) -> bool:
        """Try the sequence again that was touched longest ago and that nobody is at. True if all of it was handled or discarded.

        *handler* may discard the sequence that it is at: its letters are no longer tried, and what is parked anew waits for its turn.
        """
        free = [letters[0] for sequence, letters in self.sequences.items() if sequence not in self._processed]
        if not free:
            return False
        sequence = min(free, key=lambda letter: letter.touched_at).sequence
        self._processed.add(sequence)
        try:
            letters = self.sequences[sequence]
            while letters:
                letter = letters[0]
                try:
                    await handler(letter.message)
                except Exception as error:
                    letter.cause, letter.touched_at = describe(error), now
                    letter.attempts += 1
                    return False
                if letters:  # else it was discarded meanwhile
                    letters.popleft()
            if self.sequences.get(sequence) is letters:
                del self.sequences[sequence]
            return True
        finally:
            self._processed.discard(sequence)

    def discard(self, sequence: Hashable) -> list[DeadLetter]:
        """Give up all letters of *sequence* and return them."""
        letters = self.sequences.pop(sequence, deque())
        discarded = list(letters)
        letters.clear()  # whoever processes them sees that they are gone
        return discarded
