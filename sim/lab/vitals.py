"""What a live view is told at each sample. Only the clock and two counts are reckoned; the rest if somebody looks.

    vitals = Vitals(world, loads, driver.active, scenario.duration)
    on_sample(vitals.now())        # a Progress, to be read before the run goes on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import Outcome

if TYPE_CHECKING:
    from sim.model.world import World
    from sim.workload.load import Load

TRANSITION = "circuit_breaker.state_transition"
WORST_FIRST = ("forced_open", "open", "half_open")  # what is none of these lets calls through


@dataclass(frozen=True)
class Progress:
    """How far a run is (simulated seconds), and figures of the *window* seconds since the sample before."""

    at: float
    duration: float
    started: int
    events: int
    window: float
    in_flight: int
    _ended: Callable[[], Any] = field(repr=False)
    _breakers: Callable[[], Mapping[str, str]] = field(repr=False)
    _faults: Callable[[], Sequence[str]] = field(repr=False)

    @cached_property
    def _rows(self) -> Any:
        return self._ended()

    @property
    def outcomes(self) -> dict[str, int]:
        """Requests that ended in the window, by how."""
        return {outcome.name.lower(): int((self._rows["outcome"] == outcome).sum()) for outcome in Outcome if outcome != Outcome.UNFINISHED}

    @property
    def latency(self) -> dict[str, float | None]:
        """p50, p90 and p99 of those, in seconds from the intended start; None if there are none."""
        import numpy as np

        rows = self._rows
        if not len(rows):
            return dict.fromkeys(("p50", "p90", "p99"))
        found = np.quantile(rows["end"] - rows["intended"], [0.5, 0.9, 0.99])
        return dict(zip(("p50", "p90", "p99"), map(float, found), strict=True))

    @property
    def breakers(self) -> Mapping[str, str]:
        """By call edge the worst state of its callers' breakers; edges whose breakers never moved are left out."""
        return self._breakers()

    @property
    def faults(self) -> Sequence[str]:
        """Names of the faults that are on."""
        return self._faults()


class Vitals:
    """Remembers where the sample before ended, and what state each breaker is in."""

    def __init__(self, world: World, loads: Mapping[str, Load], faults: Callable[[], Sequence[str]], duration: float) -> None:
        self.world, self.loads, self.faults, self.duration = world, loads, faults, duration
        self._sampled_at = world.loop.time()
        self._rows = 0
        self._events = 0
        self._states: dict[str, dict[str, str]] = {}  # by edge and caller

    def now(self) -> Progress:
        """The state of the run, and what happened since this was last called."""
        world, at, first = self.world, self.world.loop.time(), self._rows
        window, self._sampled_at = at - self._sampled_at, at
        self._rows = len(world.recorder.requests)
        started, in_flight = (sum(counts) for counts in ((load.started for load in self.loads.values()),
                                                         (len(load.open) for load in self.loads.values())))
        return Progress(at, self.duration, started, world.loop.steps, window, in_flight,
                        lambda: world.recorder.requests.since(first), self._breakers, self.faults)

    def _breakers(self) -> Mapping[str, str]:
        events = self.world.recorder.events
        for event in events[self._events :]:
            if event["kind"] == TRANSITION:
                self._states.setdefault(event["edge"], {})[event["caller"]] = event["target"]
        self._events = len(events)
        return {edge: next((state for state in WORST_FIRST if state in states.values()), "closed") for edge, states in self._states.items()}
