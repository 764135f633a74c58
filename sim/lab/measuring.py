"""Measures over windows of time, from recorded rows. A window takes in what began within it (while a run goes on: what ended)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.lab.summary import ratio
from sim.scenario.measures import Asked, percentile
from sim.telemetry.codes import Outcome, Reason, SpanKind
from sim.telemetry.result import Names, RunResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANSWERED = (Outcome.OK, Outcome.DEGRADED, Outcome.FAILED)


@dataclass(frozen=True)
class Calls:
    """Requests or calls of one part, in order of *at* (seconds), by columns of equal length."""

    at: NDArray[Any]
    latency: NDArray[Any]
    outcome: NDArray[Any]
    status: NDArray[Any]
    attempts: NDArray[Any]

    def window(self, start: float, until: float) -> Calls:
        """Those from *start* up to and not including *until*."""
        import numpy as np

        low, high = np.searchsorted(self.at, (start, until))
        return self._of(slice(low, high))

    @property
    def wanted(self) -> Calls:
        """Those that their caller did not call off: how such a call would have ended nobody knows."""
        return self._of(self.status != Reason.CANCELLED)

    def _of(self, some: Any) -> Calls:
        return Calls(*(column[some] for column in (self.at, self.latency, self.outcome, self.status, self.attempts)))

    def count(self, outcomes: Iterable[int]) -> int:
        """How many ended in one of these ways."""
        import numpy as np

        return int(np.isin(self.outcome, list(outcomes)).sum())

    @property
    def finished(self) -> int:
        """How many came to an end."""
        return int((self.outcome != Outcome.UNFINISHED).sum())


class Evidence:
    """The rows of a run, or of its last moments. *by_end*: windows take in what ended in them, and not what began.

    Recorded rows are numpy structured arrays as in `sim.telemetry.columns`.
    """

    def __init__(self, names: Names, requests: Any, spans: Any, samples: Any, events: Sequence[Mapping[str, Any]], *,
                 by_end: bool = False) -> None:
        self.names, self.requests, self.spans, self.samples, self.events = names, requests, spans, samples, events
        self.by_end = by_end
        self._parts: dict[str, Calls] = {}
        self._series: dict[tuple[str, str, str], Any] = {}

    @classmethod
    def of(cls, result: RunResult) -> Evidence:
        """All that a finished run has left."""
        return cls(result.names, result.requests.rows, result.spans.rows, result.samples, result.events)

    def ended_before(self, time: float) -> Evidence:
        """The same without requests and calls that were still under way at that time, in seconds, or ended in that instant."""
        requests, spans = (rows[rows["end"] < time] for rows in (self.requests, self.spans))
        return Evidence(self.names, requests, spans, self.samples, self.events, by_end=self.by_end)

    def calls(self, part: str) -> Calls:
        """Of a workload, a service, or an edge `caller->callee`."""
        if part not in self._parts:
            self._parts[part] = self._of_workload(part) if part in self.names.workloads else self._of_spans(part)
        return self._parts[part]

    def _of_workload(self, name: str) -> Calls:
        import numpy as np

        rows = self.requests[self.requests["workload"] == self.names.workloads.index(name)]
        return self._in_order(rows["end" if self.by_end else "intended"], rows["end"] - rows["intended"], rows, np.ones(len(rows), int))

    def _of_spans(self, part: str) -> Calls:
        spans = self.spans
        caller, arrow, callee = part.partition("->")
        if arrow:
            mine = (spans["kind"] == SpanKind.CLIENT) & (spans["node"] == self._node(caller)) & (spans["peer"] == self._node(callee))
        else:
            mine = (spans["kind"] == SpanKind.SERVER) & (spans["node"] == self._node(part)) & (spans["status"] != Reason.CANCELLED)
        rows = spans[mine]
        return self._in_order(rows["end" if self.by_end else "start"], rows["end"] - rows["start"], rows, rows["attempt"])

    def _node(self, name: str) -> int:
        return self.names.nodes.index(name) if name in self.names.nodes else -1

    @staticmethod
    def _in_order(at: Any, latency: Any, rows: Any, attempts: Any) -> Calls:
        import numpy as np

        order = np.argsort(at, kind="stable")
        return Calls(at[order], latency[order], rows["outcome"][order], rows["status"][order], attempts[order])

    def series(self, node: str, measure: str, part: str = "") -> Any:
        """The samples of one gauge: of a whole node, or of a *part* of it (an instance, a consumer of a broker)."""
        key = (node, part, measure)
        if key not in self._series:
            gauge = (node, part, measure)
            index = self.names.gauges.index(gauge) if gauge in self.names.gauges else -1
            self._series[key] = self.samples[self.samples["gauge"] == index]
        return self._series[key]

    def sampled(self, node: str, measure: str, start: float, until: float, part: str = "") -> Any:
        """The samples that were taken after *start* and up to *until*."""
        rows = self.series(node, measure, part)
        return rows[(rows["at"] > start) & (rows["at"] <= until)]


Reader = Callable[[Evidence, Asked, float, float], float | None]


def measured(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    """The measure between two times; None where there is nothing to measure."""
    if until <= start:
        return None
    if asked.measure.startswith("latency."):
        return _latency(evidence, asked, start, until)
    return READERS[asked.measure](evidence, asked, start, until)


def _latency(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    import numpy as np

    calls = evidence.calls(asked.of or "").window(start, until)
    seconds = calls.latency[np.isin(calls.outcome, ANSWERED)]
    if not len(seconds):
        return None
    share = percentile(asked.measure)
    if share is not None:
        return float(np.quantile(seconds, share))
    return float(np.mean(seconds) if asked.measure == "latency.mean" else np.max(seconds))


def _success(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    calls = evidence.calls(asked.of or "").window(start, until).wanted
    return ratio(calls.count((Outcome.OK, Outcome.DEGRADED)), calls.finished)


def _errors(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    calls = evidence.calls(asked.of or "").window(start, until)
    wanted = str(asked.status or "")
    if wanted.upper() != Reason.CANCELLED.name:
        calls = calls.wanted
    bad = (calls.outcome == Outcome.FAILED) | (calls.outcome == Outcome.REJECTED)
    if wanted.endswith("xx"):
        bad = calls.status // 100 == int(wanted[0])
    elif wanted:
        bad = calls.status == (int(wanted) if wanted.isdecimal() else int(Reason[wanted.upper()]))
    return ratio(int(bad.sum()), calls.finished)


def _per_second(count: Callable[[Calls], float]) -> Reader:
    return lambda evidence, asked, start, until: count(evidence.calls(asked.of or "").window(start, until)) / (until - start)


def _amplification(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    calls = evidence.calls(asked.of or "").window(start, until)
    return ratio(float(calls.attempts.sum()), len(calls.at))


def _mean_of(gauge: str) -> Reader:
    def read(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
        rows = evidence.sampled(asked.of or "", gauge, start, until)
        return float(rows["mean"].mean()) if len(rows) else None

    return read


def _highest(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    rows = evidence.sampled(asked.of or "", "queue", start, until)
    return float(rows["max"].max()) if len(rows) else None


def _utilisation(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    busy, capacity = (_mean_of(gauge)(evidence, asked, start, until) for gauge in ("busy", "capacity"))
    return busy / capacity if busy is not None and capacity else None


def _open_share(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    """Averaged over the callers that have a breaker which ever changed; those whose breaker never did were closed all the time."""
    spent, callers = 0.0, set()
    opened: dict[str, float] = {}
    for event in evidence.events:
        if event["kind"] != "circuit_breaker.state_transition" or event["edge"] != asked.of:
            continue
        who = str(event["caller"])
        callers.add(who)
        if event["target"] == "open":
            opened.setdefault(who, event["at"])
        elif who in opened:
            spent += _overlap(opened.pop(who), event["at"], start, until)
    spent += sum(_overlap(since, until, start, until) for since in opened.values())
    return spent / (until - start) / len(callers) if callers else 0.0


def _lag(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    parts = [rows["mean"].mean() for rows in _lags(evidence, asked, start, until)]
    return float(sum(parts)) if parts else None


def _highest_lag(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    parts = [rows["max"].max() for rows in _lags(evidence, asked, start, until)]
    return float(sum(parts)) if parts else None


def _lags(evidence: Evidence, asked: Asked, start: float, until: float) -> list[Any]:
    """The samples of each consumer of a broker (gauges `lag`), or of each projection in a database (`lag NAME`)."""
    gauges = [(group, measure) for node, group, measure in evidence.names.gauges if node == asked.of and measure.partition(" ")[0] == "lag"]
    return [rows for group, measure in gauges if len(rows := evidence.sampled(asked.of or "", measure, start, until, group))]


def _stuck(evidence: Evidence, asked: Asked, start: float, until: float) -> float | None:
    return float(sum(event["kind"] == "saga.stuck" and start <= event["at"] < until for event in evidence.events))


def _overlap(begin: float, end: float, start: float, until: float) -> float:
    return max(0.0, min(end, until) - max(begin, start))


READERS: dict[str, Reader] = {
    "success_ratio": _success,
    "goodput": _per_second(lambda calls: calls.count((Outcome.OK,))),
    "throughput": _per_second(lambda calls: calls.count(ANSWERED)),
    "offered": _per_second(lambda calls: len(calls.at)),
    "error_share": _errors,
    "attempts": _per_second(lambda calls: float(calls.attempts.sum())),
    "amplification": _amplification,
    "breaker_open_share": _open_share,
    "queue": _mean_of("queue"),
    "queue.max": _highest,
    "utilisation": _utilisation,
    "in_flight": _mean_of("in_flight"),
    "lag": _lag,
    "lag.max": _highest_lag,
    "stuck_sagas": _stuck,
}
