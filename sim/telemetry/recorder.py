"""The recorder: names become indices, rows become bytes, events a list. Sealed at the end, after which nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import count
from math import nan
from operator import itemgetter
from typing import Any

from sim.telemetry.columns import REQUEST, SAMPLE, SPAN, Rows, pack_sample
from sim.telemetry.result import Names

MOST_NAMES = 60_000  # an index has 16 bits
MOST_EVENTS = 1_000_000
MOST_READ = 600_000  # parts of gauges in a run; to read more would take longer than the run itself


@cache
def _numbers_from(first: int) -> tuple[int, ...]:
    return tuple(range(first, first + 512))


def _number(index: int) -> int:
    """*index*, as one object for all tables, beside its neighbours in memory: each row that is written looks at half a dozen of them."""
    return _numbers_from(index - index % 512)[index % 512]


class NameTable:
    """Names in the order in which they were first used, and their indices."""

    def __init__(self, *first: str) -> None:
        self.names: list[str] = list(first)
        self._index = {name: index for index, name in enumerate(first)}

    def index(self, name: str) -> int:
        """The index of *name*, which is added if it is new. Beyond the limit, all new names are `(others)`."""
        found = self._index.get(name)
        if found is None:
            if len(self.names) >= MOST_NAMES - 1:
                name = "(others)"
            found = self._index.setdefault(name, _number(len(self.names)))
            if found == len(self.names):
                self.names.append(name)
        return found


class Recorder:
    """Takes down one run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.requests, self.spans, self.samples = Rows(REQUEST), Rows(SPAN), Rows(SAMPLE)
        self.write_request: Callable[[bytes], None] = self.requests.write
        self.write_span: Callable[[bytes], None] = self.spans.write
        self.next_span: Callable[[], int] = count(1).__next__
        self.next_request: Callable[[], int] = count(1).__next__
        self.events: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.attributes: dict[int, dict[str, Any]] = {}
        self.dropped_events = 0
        self.sealed = False
        self._nodes, self._instances, self._operations, self._workloads = NameTable(), NameTable(""), NameTable(), NameTable()
        self._kinds: list[str] = []
        self._gauges: list[tuple[str, str, str]] = []
        self._parts, self._ticks, self._every = 0, 0, 1
        self._probes: list[Callable[[float], bytes]] = []

    # names

    def node(self, name: str, kind: str = "service") -> int:
        """The index of a node; its *kind* is that of the first time."""
        index = self._nodes.index(name)
        if index == len(self._kinds):
            self._kinds.append(kind)
        return index

    def instance(self, name: str) -> int:
        """The index of an instance; 0 is none."""
        return self._instances.index(name)

    def operation(self, name: str) -> int:
        """The index of an operation, `POST /orders`."""
        return self._operations.index(name)

    def workload(self, name: str) -> int:
        """The index of a workload."""
        return self._workloads.index(name)

    def names(self) -> Names:
        """All names by index."""
        return Names(tuple(self._nodes.names), tuple(self._kinds), tuple(self._instances.names), tuple(self._operations.names),
                     tuple(self._workloads.names), tuple(self._gauges))

    # events and samples

    def event(self, kind: str, **fields: Any) -> None:
        """Something happened that is worth a line."""
        if self.sealed:
            return
        if len(self.events) >= MOST_EVENTS:
            self.dropped_events += 1
            return
        self.events.append({"at": self._clock(), "kind": kind, **fields})

    def put_in_order(self) -> None:
        """Put events and log lines that were told late where they belong: behind all others of their time."""
        self.events.sort(key=itemgetter("at"))
        self.logs.sort(key=itemgetter("at"))

    def gauge(self, node: str, instance: str, measure: str, read: Callable[[float], tuple[float, float]], parts: int = 1) -> None:
        """Sample a level: *read(now)* gives its integral in level times seconds, and the highest since it was last asked; it is made of so
        many *parts*."""
        index = len(self._gauges)
        self._parts += parts
        self._gauges.append((node, instance, measure))
        at = self._clock()
        before, _ = read(at)

        def probe(now: float) -> bytes:
            nonlocal before, at
            if now <= at:
                return b""
            area, highest = read(now)
            mean = (area - before) / (now - at)
            before, at = area, now
            return pack_sample(now, index, mean, highest)

        self._probes.append(probe)

    def reading(self, node: str, instance: str, measure: str, read: Callable[[float], float | None]) -> None:
        """Sample what *read(now)* says at the moment; NaN stands for nothing (None)."""
        index = len(self._gauges)
        self._parts += 1
        self._gauges.append((node, instance, measure))

        def probe(now: float) -> bytes:
            found = read(now)
            value = nan if found is None else found
            return pack_sample(now, index, value, value)

        self._probes.append(probe)

    def thin(self, steps: int) -> None:
        """In *steps* calls of `sample`: where there is very much to read, do so only at every second, third ... of them, and the last."""
        wanted = -(-steps * self._parts // MOST_READ)
        self._every = next(every for every in range(max(1, wanted), steps + 1) if every == steps or steps % every == 0)

    def sample(self) -> None:
        """Take one sample of every gauge, and move rows to disk where they have become many."""
        now = self._clock()
        self._ticks += 1
        if self._ticks % self._every == 0:
            self.samples.write(b"".join([probe(now) for probe in self._probes]))
        self.requests.spill()
        self.spans.spill()

    # the end

    def seal(self) -> None:
        """Nothing is written from here on: what is closed afterwards was not part of the run."""
        self.sealed = True
        for rows in (self.requests, self.spans, self.samples):
            rows.seal()
        self.write_request, self.write_span = self.requests.write, self.spans.write

    def digest(self) -> str:
        """A hash over everything that was measured: requests, spans and events; nothing of the wall clock or the machine."""
        digest = hashlib.sha256()
        for rows in (self.requests, self.spans):
            for part in rows.chunks():
                digest.update(part.tobytes())
        for event in self.events:
            digest.update(json.dumps(event, sort_keys=True, separators=(",", ":")).encode())
        return f"sha256:{digest.hexdigest()}"
