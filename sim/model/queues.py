"""The line in front of workers: first come first served, newest first, or by priority; and how long anybody stays in it."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Protocol

from sim.model.messages import Exchange

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.kernel.timers import Timer
    from sim.sampling import Sampler


class Queue(Protocol):
    """Waiting exchanges."""

    def push(self, exchange: Exchange) -> None: ...
    def pop(self) -> Exchange: ...
    def remove(self, exchange: Exchange) -> bool: ...
    def drain(self) -> list[Exchange]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Exchange]: ...


class Fifo:
    """First come, first served."""

    def __init__(self) -> None:
        self.waiting: deque[Exchange] = deque()
        self.push = self.waiting.append
        self.pop: Callable[[], Exchange] = self.waiting.popleft

    def __len__(self) -> int:
        return len(self.waiting)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.waiting)

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

    def __iter__(self) -> Iterator[Exchange]:
        return (entry[2] for entry in self._heap)

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


class Impatient:
    """A *line* that everybody leaves who has waited in it for a time of his own, drawn from *patience* (seconds); *gone* is told."""

    def __init__(self, line: Queue, loop: SimLoop, patience: Sampler, gone: Callable[[Exchange], None]) -> None:
        self._line, self._loop, self._patience, self._gone = line, loop, patience, gone
        self._timers: dict[Exchange, Timer] = {}

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._line)

    def push(self, exchange: Exchange) -> None:
        self._timers[exchange] = self._loop.after(self._patience(), self._give_up, exchange)
        self._line.push(exchange)

    def pop(self) -> Exchange:
        exchange = self._line.pop()
        self._timers.pop(exchange).cancel()
        return exchange

    def remove(self, exchange: Exchange) -> bool:
        """Take *exchange* out of the line; False if it is not in it."""
        timer = self._timers.pop(exchange, None)
        if timer is None:
            return False
        timer.cancel()
        return self._line.remove(exchange)

    def drain(self) -> list[Exchange]:
        """Take everybody out."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        return self._line.drain()

    def _give_up(self, exchange: Exchange) -> None:
        del self._timers[exchange]
        self._line.remove(exchange)
        self._gone(exchange)


QUEUES: dict[str, Callable[[], Queue]] = {"fifo": Fifo, "lifo": Lifo, "priority": Priority, "codel": Fifo}
