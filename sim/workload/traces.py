"""Requests at given times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from sim.files import NamedFile, read_seconds
from sim.mistakes import Mistake, invalid
from sim.units import Duration
from sim.workload.workload import ROUNDING, WorkloadSpec

if TYPE_CHECKING:
    from sim.workload.load import Executor, Load


class Trace(WorkloadSpec):
    """Requests at given times: `at` as a list of durations, or a *file* with one time in seconds on each line."""

    executor: Literal["trace"] = "trace"
    at: list[Duration] | None = None
    file: NamedFile | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Trace:
        if (self.at is None) == (self.file is None):
            raise invalid(Mistake((), "a trace needs either `at` or `file`", "write `at: [1s, 2s]`, or `file: times.csv`"))
        if self.file is not None:
            read_seconds(self.file)
        return self

    def times(self) -> list[float]:
        """Arrival times in seconds, in order."""
        return sorted(self.at if self.file is None else read_seconds(self.file))  # type: ignore[arg-type]

    def executor_for(self, load: Load) -> Executor:
        return TraceExecutor(load, self.times())

    def expected_requests(self, duration: float) -> float:
        return sum(time <= duration for time in self.times())


class TraceExecutor:
    """Arrivals at given times; a surge sends each of them several times over."""

    def __init__(self, load: Load, times: list[float]) -> None:
        self._load = load
        self._times = iter(times)
        self._began = 0.0
        self._factor = 1.0
        self._owed = 0.0

    def start(self) -> None:
        """Begin; times count from now."""
        self._began = self._load.loop.time()
        self._next()

    def surge(self, factor: float) -> None:
        """Send each request so many times."""
        self._factor = factor

    def _next(self) -> None:
        time = next(self._times, None)
        if time is not None:
            self._load.loop.after(max(0.0, self._began + time - self._load.loop.time()), self._arrive)

    def _arrive(self) -> None:
        self._owed += self._factor
        while self._owed >= 1 - ROUNDING:
            self._owed -= 1
            self._load.send()
        self._next()
