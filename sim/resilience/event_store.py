"""Event store: state is what happened, in order; a snapshot only saves time, and a projection is a view that follows.

    append(stream, events, expected_version) ──▶ log ──▶ projections (each at its own position, behind by its lag)
    load(stream) = snapshot + the events after it          a version that is not the expected one: ConcurrencyConflict, nothing is written

Sources: Vernon, Implementing Domain-Driven Design, app. A; Axon's snapshot policies.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

S = TypeVar("S")
ANY = -1  # expected_version: whatever it is


class ConcurrencyConflict(Exception):
    """Somebody else has written to the stream since it was read: read it again and decide anew."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"stream {stream!r} is at version {actual}, not {expected}: read it again and decide anew")
        self.stream, self.expected, self.actual = stream, expected, actual


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event as it was kept: *version* counts in its stream from 1, *position* in the whole store from 1."""

    stream: str
    version: int
    position: int
    event: Any


class EventStore:
    """Streams of events, in memory. A stream that is unknown is at version 0."""

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self._streams: dict[str, list[Recorded]] = {}
        self._snapshots: dict[str, tuple[int, Any]] = {}

    def append(self, stream: str, events: Iterable[Any], expected_version: int = ANY) -> int:
        """Write all *events* or none; returns the new version. Raise ConcurrencyConflict if the stream is not at *expected_version*."""
        events = list(events)  # first, since whatever makes them may fail half-way, or read the stream itself
        version = self.version(stream)
        if expected_version not in (ANY, version):
            raise ConcurrencyConflict(stream, expected_version, version)
        kept = self._streams.setdefault(stream, [])
        for event in events:
            version += 1
            recorded = Recorded(stream, version, len(self.log) + 1, event)
            kept.append(recorded)
            self.log.append(recorded)
        return version

    def version(self, stream: str) -> int:
        """How many events *stream* has."""
        return len(self._streams.get(stream, ()))

    @property
    def position(self) -> int:
        """How many events there are."""
        return len(self.log)

    def read(self, stream: str, after: int = 0) -> Sequence[Recorded]:
        """The events of *stream* after version *after*."""
        return self._streams.get(stream, [])[after:]

    def read_all(self, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """The events of all streams after position *after*, at most *limit*."""
        return self.log[after:None if limit is None else after + limit]

    def save_snapshot(self, stream: str, version: int, state: Any) -> None:
        """Keep a copy of *state* as it was at *version*; a later one takes the place of an earlier one."""
        self._snapshots[stream] = version, copy.deepcopy(state)

    def snapshot(self, stream: str) -> tuple[int, Any] | None:
        """A copy of the last snapshot; None if there is none, or if it claims more events than there are."""
        kept = self._snapshots.get(stream)
        if kept is None or kept[0] > self.version(stream):
            return None
        return kept[0], copy.deepcopy(kept[1])

    def discard_snapshot(self, stream: str) -> None:
        """It is only an optimisation."""
        self._snapshots.pop(stream, None)


@dataclass(frozen=True)
class SnapshotPolicy:
    """When a load is worth a snapshot: after more than *after_events* events, or more than *sourcing_time* seconds, both strict."""

    after_events: int | None = None
    sourcing_time: float | None = None

    def __post_init__(self) -> None:
        if (self.after_events is not None and self.after_events < 0) or (self.sourcing_time is not None and self.sourcing_time < 0):
            raise ValueError("neither a number of events nor a time is negative")

    def wants(self, events: int, seconds: float) -> bool:
        """Is a snapshot due where *events* were applied in *seconds*?"""
        many = self.after_events is not None and events > self.after_events
        return many or (self.sourcing_time is not None and seconds > self.sourcing_time)


class Sourced(Generic[S]):
    """State of type S made from events: *apply* gives the state after one, starting from *initial*()."""

    def __init__(self, store: EventStore, initial: Callable[[], S], apply: Callable[[S, Any], S], snapshots: SnapshotPolicy | None = None,
                 clock: Callable[[], float] = lambda: 0.0) -> None:
        self.store = store
        self.initial = initial
        self.apply = apply
        self.snapshots = snapshots or SnapshotPolicy()
        self.clock = clock

    def load(self, stream: str) -> tuple[S, int]:
        """The state of *stream* and its version. A snapshot that cannot be applied to is discarded, and all events are replayed."""
        started = self.clock()
        kept = self.store.snapshot(stream)
        try:
            version, state = kept if kept is not None else (0, self.initial())
            events = self.store.read(stream, after=version)
            state = self._replay(state, events)
        except Exception:
            if kept is None:
                raise
            self.store.discard_snapshot(stream)
            return self.load(stream)
        version += len(events)
        if self.snapshots.wants(len(events), self.clock() - started):
            self.store.save_snapshot(stream, version, state)
        return state, version

    def _replay(self, state: S, events: Iterable[Recorded]) -> S:
        for recorded in events:
            state = self.apply(state, recorded.event)
        return state


class Projection(Generic[S]):
    """A view of type S on all streams, which *apply* brings forward event by event. It keeps its position, lags, and can be rebuilt."""

    def __init__(self, store: EventStore, initial: Callable[[], S], apply: Callable[[S, Recorded], S]) -> None:
        self.store = store
        self.initial = initial
        self.apply = apply
        self.state = initial()
        self.position = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def lag(self) -> int:
        """Events that it has not seen."""
        return self.store.position - self.position

    def catch_up(self, limit: int | None = None) -> int:
        """Apply what is new, at most *limit* events; returns how many. One that cannot be applied stops it and is tried again."""
        count = 0
        try:
            for recorded in self.store.read_all(self.position, limit):
                self.state = self.apply(self.state, recorded)
                self.position = recorded.position
                count += 1
        finally:
            for position, waiter in self._waiting:
                if position <= self.position and not waiter.done():
                    waiter.set_result(None)
            self._waiting = [(position, waiter) for position, waiter in self._waiting if not waiter.done()]
        return count

    def rebuild(self) -> None:
        """Forget the view and make it anew from all events."""
        self.state, self.position = self.initial(), 0
        self.catch_up()

    async def seen(self, position: int) -> None:
        """Wait until the view has seen *position*: whoever has written can then read what it wrote."""
        if self.position < position:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((position, waiter))
            await waiter

    async def run(self, interval: float = 0.05) -> None:
        """Catch up every *interval* seconds until cancelled: the lag of this view."""
        while True:
            self.catch_up()
            await asyncio.sleep(interval)
