"""A run as a timeline for Perfetto, speedscope and chrome://tracing (the Trace Event Format; times in microseconds from t=0).

A service is a process. Slices on one thread must nest, so each instance has as many threads ("lanes") as requests it had at
once; calls that a request makes lie under it. Arrows lead from a call to the request that it became. Faults and circuit
breakers are processes of their own, with a slice for each time that a fault was on and for each state of a breaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reports.charts.states import breakers
from sim.telemetry.codes import SpanKind

from .jsontext import dumps, quote
from .lanes import Lane, Lanes
from .semantics import Semantics
from .time import EPOCH_NS
from .traces import Traces, ended

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


def lines(traces: Traces) -> Iterator[str]:
    """The document, one event a line."""
    yield '{"displayTimeUnit":"ms","traceEvents":[\n'
    result = traces.result
    tracks = _Tracks()
    yield from _faults(result, tracks, tracks.process("faults"))
    yield from _breakers(result, tracks, tracks.process("circuit breakers"))
    for node in result.names.nodes:
        tracks.nodes[node] = tracks.process(node)
    yield from _instants(result, tracks)
    yield from _counters(result, tracks)
    yield from _spans(traces, tracks)
    yield from tracks.names
    yield '{"ph":"M","name":"trace_name","pid":0,"args":{"name":' + quote(result.name) + "}}\n]}\n"


class _Tracks:
    """Process and thread numbers, and the events that name them. Thread numbers are unique in the file: Perfetto prefers it."""

    def __init__(self) -> None:
        self.nodes: dict[str, int] = {}  # process numbers by name
        self.lanes: dict[tuple[int, str], Lanes] = {}
        self.names: list[str] = []
        self.pids = self.tids = 0

    def process(self, name: str) -> int:
        """The number of a new process; they stand in the order in which they were made."""
        self.pids += 1
        pid = self.pids
        self.names.append(f'{{"ph":"M","name":"process_name","pid":{pid},"args":{{"name":{quote(name)}}}}},\n')
        self.names.append(f'{{"ph":"M","name":"process_sort_index","pid":{pid},"args":{{"sort_index":{pid}}}}},\n')
        return pid

    def lane(self, pid: int, thread: str, span: int, parent: int, start: int, end: int) -> int:
        """The thread number for a slice from *start* to *end* (nanoseconds)."""
        lanes = self.lanes.get((pid, thread))
        if lanes is None:
            lanes = self.lanes[pid, thread] = Lanes()
        lane = lanes.place(span, parent, start, end)
        if lane is None:
            self.tids += 1
            lane = Lane(len(lanes.all), self.tids)
            lanes.all.append(lane)
            lanes.take(lane, span, end)
            name = f"{thread} #{lane.number + 1}" if lane.number else thread
            self.names.append(f'{{"ph":"M","name":"thread_name","pid":{pid},"tid":{self.tids},"args":{{"name":{quote(name)}}}}},\n')
        return lane.tid


def _slice(name: str, category: str, pid: int, tid: int, start: int, end: int, arguments: str) -> str:
    return (
        f'{{"ph":"X","name":{name},"cat":"{category}","pid":{pid},"tid":{tid},"ts":{start / 1000:.3f},"dur":{(end - start) / 1000:.3f},'
        f'"args":{arguments}}},\n'
    )


def _spans(traces: Traces, tracks: _Tracks) -> Iterator[str]:
    """Every span as a slice, and the arrows. Slices come in the order of their starts, the longest first."""
    import numpy as np

    rows, which = traces.rows, traces.which
    end = ended(rows["end"][which], traces.result.duration)
    order = which[np.lexsort((rows["id"][which], -end, rows["start"][which]))]
    semantics, names = Semantics(traces.result), traces.result.names
    fixed: dict[tuple[Any, ...], tuple[int, str, str, str, str, str]] = {}
    for chunk in traces.chunks(order):
        for key, span, parent, trace, start, end, _ in traces.columns(chunk):
            if key not in fixed:
                described, kind = semantics.describe(key), SpanKind(key[6])
                calls, serves = kind in (SpanKind.CLIENT, SpanKind.ATTEMPT) and not key[-1], kind == SpanKind.SERVER
                arrow = "s" if calls else "f" if serves else ""
                thread = described.instance or described.service
                error = f',"error":{quote(described.error)}' if described.error else ""
                fixed[key] = (tracks.nodes[names.nodes[key[0]]], thread, quote(described.name), kind.name.lower(), error, arrow)
            pid, thread, name, category, error, arrow = fixed[key]
            start, end = start - EPOCH_NS, end - EPOCH_NS
            tid = tracks.lane(pid, thread, span, parent, start, end)
            text = _slice(name, category, pid, tid, start, end, f'{{"trace":{trace}{error}}}')
            if arrow:
                joins = f'"id":{span}' if arrow == "s" else f'"id":{parent},"bp":"e"'
                text += f'{{"ph":"{arrow}","name":"call","cat":"call",{joins},"pid":{pid},"tid":{tid},"ts":{start / 1000:.3f}}},\n'
            yield text


def _faults(result: RunResult, tracks: _Tracks, pid: int) -> Iterator[str]:
    for number, fault in enumerate(sorted(result.faults, key=lambda fault: fault.start), start=1):
        start, end = _ns(fault.start), _ns(result.duration if fault.until is None else fault.until)
        tid = tracks.lane(pid, fault.name, -number, 0, start, end)
        yield _slice(quote(fault.name), "fault", pid, tid, start, end, dumps({"kind": fault.kind, "targets": fault.targets}))


def _breakers(result: RunResult, tracks: _Tracks, pid: int) -> Iterator[str]:
    number = 0
    for (edge, caller), stays in breakers(result).items():
        for stay in stays:
            number += 1
            start, end = _ns(stay.start), _ns(stay.until)
            tid = tracks.lane(pid, f"{caller}: {edge}", -number, 0, start, end)
            yield _slice(quote(stay.state), "breaker", pid, tid, start, end, dumps({"edge": edge, "caller": caller}))


def _instants(result: RunResult, tracks: _Tracks) -> Iterator[str]:
    """Every event as a mark: on its service's process where it names one, across the whole timeline where it does not."""
    for event in result.events:
        pid = tracks.nodes.get(str(event.get("node", "")))
        place = f'"s":"p","pid":{pid},"tid":0' if pid else '"s":"g","pid":0,"tid":0'
        name, arguments = quote(str(event["kind"])), dumps({key: value for key, value in event.items() if key not in ("at", "kind")})
        yield f'{{"ph":"i","name":{name},"cat":"event",{place},"ts":{event["at"] * 1e6:.3f},"args":{arguments}}},\n'


def _counters(result: RunResult, tracks: _Tracks) -> Iterator[str]:
    for node, instance, measure in result.names.gauges:
        series, pid = result.series(node, measure, instance), tracks.nodes.get(node, 0)
        if series is None:
            continue
        name = quote(f"{measure} {instance}".strip())
        for at, mean in zip(series.at.tolist(), series.mean.tolist(), strict=True):
            yield f'{{"ph":"C","name":{name},"pid":{pid},"tid":0,"ts":{at * 1e6:.3f},"args":{{"mean":{dumps(mean)}}}}},\n'


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
