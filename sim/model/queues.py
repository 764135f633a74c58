"""In which order waiting requests get a worker: first come first served, newest first, or by priority."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from sim.model.messages import Exchange


class Queue(Protocol):
    """Waiting exchanges."""

    def push(self, exchange: Exchange) -> None: ...
    def pop(self) -> Exchange: ...
    def remove(self, exchange: Exchange) -> bool: ...
    def drain(self) -> list[Exchange]: ...
    def __len__(self) -> int: ...


class Fifo:
    """First come, first served."""

    def __init__(self) -> None:
        self.waiting: deque[Exchange] = deque()
        self.push = self.waiting.append
        self.pop: Callable[[], Exchange] = self.waiting.popleft

    def __len__(self) -> int:
        return len(self.waiting)

    def remove(self, exchange: Exchange) -> bool:
        """Take *exchange* out of the line; False if it is not in it."""
        try:
            self.waiting.remove(exchange)
        except ValueError:
            return False
        return True

    def drain(self) -> list[Exchange]:
        """Take everybody out."""
        waiting = list(self.waiting)
        self.waiting.clear()
        return waiting


class Lifo(Fifo):
    """Newest first: under overload those are the ones whose callers still wait."""

    def __init__(self) -> None:
        super().__init__()
        self.pop = self.waiting.pop


class Priority:
    """Highest priority first; first come, first served among equals."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Exchange]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, exchange: Exchange) -> None:
        heapq.heappush(self._heap, (-exchange.request.priority, next(self._number), exchange))

    def pop(self) -> Exchange:
        return heapq.heappop(self._heap)[2]

    def remove(self, exchange: Exchange) -> bool:
        """Take *exchange* out of the line; False if it is not in it."""
        kept = [entry for entry in self._heap if entry[2] is not exchange]
        found = len(kept) < len(self._heap)
        heapq.heapify(kept)
        self._heap = kept
        return found

    def drain(self) -> list[Exchange]:
        """Take everybody out."""
        waiting = [entry[2] for entry in sorted(self._heap)]
        self._heap = []
        return waiting


QUEUES: dict[str, Callable[[], Queue]] = {"fifo": Fifo, "lifo": Lifo, "priority": Priority, "codel": Fifo}
