"""An event store among the tables of a database: streams of events, snapshots, and a log of all events in order for projections.

    tables["events"][stream]       the events of one aggregate, oldest first; their number is the aggregate's version
    tables["snapshots"][stream]    (version, state): what the first *version* events add up to
    tables["log"][position]        (stream, event) of every event, by its position from 1 on
    tables["positions"][name]      how far a projection has come
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sim.model.tables import Tables

State = TypeVar("State")
Event = Mapping[str, Any]
Fold = Callable[[State, Event], State]
Change = Callable[[Tables], Any]


class VersionConflict(Exception):
    """Somebody else has appended to *stream* since it was read: read it again and decide anew."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class Recorded(NamedTuple):
    """An event of the log, with its *position* and the *stream* that it belongs to."""

    position: int
    stream: str
    event: Event


def append(tables: Tables, stream: str, events: Sequence[Event], expected_version: int | None = None) -> int:
    """Add *events* and return the new version; raise VersionConflict where *expected_version* is not the present one."""
    before = tables["events"].get(stream, ())
    if expected_version is not None and len(before) != expected_version:
        raise VersionConflict(stream, expected_version, len(before))
    tables["events"][stream] = (*before, *events)
    log = tables["log"]
    for event in events:
        log[len(log) + 1] = (stream, event)
    return len(before) + len(events)


def read(tables: Tables, stream: str, fold: Fold[State], initial: State) -> tuple[int, State]:
    """Version and state of *stream*: its snapshot, and what came after it."""
    version, state = tables["snapshots"].get(stream, (0, initial))
    events = tables["events"].get(stream, ())
    for event in events[version:]:
        state = fold(state, event)
    return len(events), state


def take_snapshot(tables: Tables, stream: str, fold: Fold[State], initial: State, every: int) -> bool:
    """Keep the state of *stream* where *every* or more events have come since its last snapshot; was one taken?"""
    version, _ = tables["snapshots"].get(stream, (0, initial))
    if len(tables["events"].get(stream, ())) - version < every:
        return False
    tables["snapshots"][stream] = read(tables, stream, fold, initial)
    return True


def position(tables: Tables, name: str) -> int:
    """How far the projection *name* has come."""
    return int(tables["positions"].get(name, 0))


def advance(tables: Tables, name: str, apply: Callable[[Tables, Recorded], None], batch: int, start: int | None = None) -> int:
    """Let the projection *name* apply the next events, up to *batch*; return how many there were. Position and effects change together.

    Where it does not stand at *start* any more, somebody else has advanced it, and there is nothing to do.
    """
    log, at = tables["log"], position(tables, name)
    if start is not None and start != at:
        return 0
    until = min(at + batch, len(log))
    for number in range(at + 1, until + 1):
        apply(tables, Recorded(number, *log[number]))
    tables["positions"][name] = until
    return until - at


def lag(tables: Tables, name: str) -> int:
    """How many events the projection *name* is behind."""
    return len(tables["log"]) - position(tables, name)
