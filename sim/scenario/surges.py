"""What surges make of the load, added up before a run: no run may come to more requests, or calls, than without them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from sim.faults.fault import Fault, names_of
from sim.faults.schedule import WholeRun
from sim.mistakes import Mistake
from sim.scenario.scenario import Scenario
from sim.streams import Streams
from sim.units import format_duration

from .flow import Flow
from .hints import MOST_CALLS, MOST_REQUESTS

if TYPE_CHECKING:
    from sim.faults.load import LoadSurge

SURGE = "load.surge"
CURE = "lower it, or let it last shorter"
LARGEST_LOGARITHM = 500.0  # of a factor; beyond it would be no number any more


def too_many_surged(scenario: Scenario, flow: Flow, faults: Sequence[Fault]) -> Iterator[Mistake]:
    """A mistake where the surges among *faults*, all those of a run, make more of a load than can be run; placed at the strongest of
    them, from the list of faults on. The load itself is one that can be."""
    surges = {index: cast("LoadSurge", fault) for index, fault in enumerate(faults) if fault.kind == SURGE}
    if not surges:
        return
    times = Times(faults, scenario.seed, scenario.duration)
    requests: dict[str, float] = {}
    for name, workload in scenario.workloads.items():
        mine = {index: surge for index, surge in surges.items() if surge.target.workload in (None, name)}
        number = workload.expected_requests(scenario.duration) * mean_factor(mine, times, scenario.duration)
        requests[name] = number
        if number > MOST_REQUESTS:
            who = f"{len(mine)} surges together make" if len(mine) > 1 else "the surge makes"
            many = f"about {_counted(number)} requests of {name!r} in {format_duration(scenario.duration)}"
            yield Mistake((_strongest(mine), "factor"), f"{who} {many}; the limit is {MOST_REQUESTS:,}", CURE)
            return
    demand = flow.demand(requests)
    calls = sum(demand.calls.values()) if demand is not None else math.inf
    if calls > MOST_CALLS:
        what = f"with the surges the load makes about {_counted(calls)} calls; the limit is {MOST_CALLS:,}"
        yield Mistake((_strongest(surges), "factor"), what, CURE)


def _counted(number: float) -> str:
    return f"{number:,.0f}" if number < 1e15 else f"{number:.0e}"


def _strongest(surges: Mapping[int, LoadSurge]) -> int:
    return max(surges, key=lambda index: surges[index].factor)


def mean_factor(surges: Mapping[int, LoadSurge], times: Times, duration: float) -> float:
    """By what the *surges* multiply a load together, averaged over the run; their ramps are left out."""
    from sim.faults.load import MOST_SURGE  # not before a file names a surge

    changes = sorted((at, index, come) for index in surges for span in times.of(index) for at, come in zip(span, (1, -1), strict=True))
    zeros, logarithm, since, area = 0, 0.0, 0.0, 0.0
    for at, index, come in [*changes, (duration, None, 0)]:
        now = min(max(at, since), duration)
        area += (now - since) * (0.0 if zeros else min(MOST_SURGE, math.exp(min(logarithm, LARGEST_LOGARITHM))))
        since = now
        if index is not None:
            factor = surges[index].factor
            zeros += come * (not factor)
            logarithm += come * math.log(factor) if factor else 0.0
    return area / duration


class Times:
    """When each of *faults* is on in a run of *duration* seconds; random times are those of the run with that *seed*."""

    def __init__(self, faults: Sequence[Fault], seed: int, duration: float) -> None:
        self.faults, self.duration = faults, duration
        self._streams, self._names = Streams(seed), names_of(faults)
        self._found: dict[int, list[tuple[float, float]]] = {}

    def of(self, index: int) -> list[tuple[float, float]]:
        """Begins and ends (seconds) of the fault of that number."""
        if index not in self._found:
            self._found[index] = []  # of one that waits for itself
            self._found[index] = list(self._reckoned(index))
        return self._found[index]

    def _reckoned(self, index: int) -> Iterator[tuple[float, float]]:
        fault, stream = self.faults[index], self._streams[f"fault {self._names[index]} times"]
        schedule = fault.schedule or WholeRun()
        before = schedule.follows
        ends = [0.0] if before is None else [end for _, end in self.of(self._names.index(before))] if before in self._names else []
        for since in ends:
            for start, lasts in schedule.windows(stream, self.duration):
                own = fault.own_length()
                length = lasts if own is None else own
                if since + start < self.duration:
                    yield since + start, self.duration if length is None else since + start + length
