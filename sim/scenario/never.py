"""Faults whose time comes when the run is over, or whose turn never comes because that of another does not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sim.faults.fault import Fault, names_of
from sim.faults.schedule import WholeRun
from sim.mistakes import Mistake
from sim.units import format_duration


def never(faults: Sequence[Fault], duration: float) -> Iterator[Mistake]:
    """A mistake for each of *faults* that cannot begin within a run of *duration* seconds, whatever chance does; placed from its number on.
    None waits for itself."""
    soonest = Soonest(faults)
    for index, fault in enumerate(faults):
        if fault.schedule is None or soonest.begin(index) < duration:
            continue
        follows, lasts = fault.schedule.follows, format_duration(duration)
        what, cure = f"the run has ended by then: it lasts {lasts}", "let it come earlier, or make `duration` longer"
        if follows is not None and (end := soonest.end_of(follows)) >= duration:
            when = f"only ends at {format_duration(end)}" if math.isfinite(end) else "does not end"
            what, cure = f"{follows!r} {when}, and the run lasts {lasts}", "let that one end sooner, or write `at` here"
        yield Mistake((index, "schedule", fault.schedule.begins_by), what, cure)


class Soonest:
    """When each of *faults* begins and ends at the earliest (seconds)."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults, self._names = faults, names_of(faults)
        self._begins: dict[int, float] = {}

    def begin(self, index: int) -> float:
        """Of the fault of that number."""
        if index not in self._begins:
            schedule = self._faults[index].schedule or WholeRun()
            since = 0.0 if schedule.follows is None else self.end_of(schedule.follows)
            self._begins[index] = since + schedule.soonest.start
        return self._begins[index]

    def end_of(self, name: str) -> float:
        """Of the fault of that name; of one that is not among them, 0."""
        if name not in self._names:
            return 0.0
        index = self._names.index(name)
        fault = self._faults[index]
        own = fault.own_length()
        length = (fault.schedule or WholeRun()).soonest.length if own is None else own
        return math.inf if length is None else self.begin(index) + length
