"""What a finished run leaves: columns, names, events. Everything downstream (summary, charts, exports) reads this alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Table:
    """Columns of equal length, by attribute: `spans.start`, `requests.latency`. `spans[mask]` keeps some of the rows."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} rows>"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> Any:
        return type(self)(self.rows[which])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "rows":
            raise AttributeError(name)
        try:
            return self.rows[name]
        except ValueError:
            raise AttributeError(f"no column {name!r}; there are: {', '.join(self.rows.dtype.names)}") from None


class Requests(Table):
    """User requests: id, workload, operation (indices into the names), intended, start, end (seconds), status, outcome.

    `end` is NaN for a request that was under way when the run ended.
    """

    @property
    def latency(self) -> NDArray[Any]:
        """Seconds from the intended start to the end, so that coordinated omission cannot hide; NaN if unfinished."""
        latency: NDArray[Any] = self.rows["end"] - self.rows["intended"]
        return latency

    @property
    def finished(self) -> Requests:
        """Those that ended within the run."""
        return Requests(self.rows[self.rows["outcome"] != 4])


class Spans(Table):
    """Spans (sim.telemetry.codes.SpanKind): id, parent, trace (0: none), start, end, queued (seconds; a server's wait for a
    worker), node, peer, operation, instance (indices into the names), status, attempt, kind, outcome.

    CLIENT and ATTEMPT: node is the caller, peer the callee, attempt how many it took or which one it was, instance the caller's.
    SERVER: node is the server, peer the caller, instance the server's, attempt which attempt of the caller's it was.
    """

    @property
    def duration(self) -> NDArray[Any]:
        """Seconds from start to end."""
        duration: NDArray[Any] = self.rows["end"] - self.rows["start"]
        return duration

    def of(self, kind: int) -> Spans:
        """The spans of one kind."""
        return Spans(self.rows[self.rows["kind"] == kind])


@dataclass(frozen=True)
class Names:
    """What the indices in the columns stand for."""

    nodes: Sequence[str]  # services, gateways, databases ... and the workloads' name, as callers
    node_kinds: Sequence[str]  # "service", "gateway", "database", "workload" ...: parallel to nodes
    instances: Sequence[str]  # "orders-0"; index 0 is "" for none
    operations: Sequence[str]  # "POST /orders"
    workloads: Sequence[str]
    gauges: Sequence[tuple[str, str, str]]  # (node, instance or "", measure): busy, queue, in_flight, capacity, breaker ...


@dataclass(frozen=True)
class FaultInterval:
    """One time that a fault was on. *until* is None where it still was when the run ended."""

    name: str
    kind: str
    targets: tuple[str, ...]
    start: float
    until: float | None


@dataclass(frozen=True)
class Series:
    """A gauge over time: the time-weighted mean and the maximum of each sampling interval that ends at `at` (seconds)."""

    at: NDArray[Any]
    mean: NDArray[Any]
    max: NDArray[Any]


@dataclass(frozen=True, repr=False)
class RunResult:
    """A finished run. `summary` is what summary.json holds (see the contract); `events` are dicts with `at`, `kind` and more, in order."""

    name: str
    title: str
    variant: str | None
    seed: int
    duration: float  # simulated seconds
    warmup: float
    names: Names
    requests: Requests
    spans: Spans
    samples: Any
    events: Sequence[Mapping[str, Any]]
    logs: Sequence[Mapping[str, Any]]  # those that service code wrote; request logs are made from server spans
    attributes: Mapping[int, Mapping[str, Any]]  # of spans, by span id: what service code set
    faults: Sequence[FaultInterval]
    summary: Mapping[str, Any]
    digest: str
    wall_s: float
    scenario: Mapping[str, Any] = field(default_factory=dict)  # resolved, as plain data
    description: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by node: see sim.lab.session.describe

    def __repr__(self) -> str:
        requests = f"{len(self.requests)} requests in {self.duration:g} s"
        return f"<{type(self).__name__} {self.name}, seed {self.seed}: {requests}, {self.summary.get('verdict') or 'not judged'}>"

    @cached_property
    def _gauge_rows(self) -> dict[tuple[str, str, str], Any]:
        return {gauge: self.samples[self.samples["gauge"] == index] for index, gauge in enumerate(self.names.gauges)}

    def series(self, node: str, measure: str, instance: str = "") -> Series | None:
        """One gauge over time, or None if it was not kept."""
        rows = self._gauge_rows.get((node, instance, measure))
        return None if rows is None else Series(rows["at"], rows["mean"], rows["max"])
