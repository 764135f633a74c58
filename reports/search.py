"""What `mesocosm logs` and `mesocosm traces` print: one request through all services, or the slowest and the failed ones.

Only the files of a run's folder are read. Logs are those of the traces that were written in full (see the manifest);
traces come from the table of all spans, so that the slowest one is the slowest of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import folder
from reports.export import columns
from reports.export.ids import Ids
from reports.export.logs import ECS, ECS_DURATION
from reports.export.traces import BACKGROUND, trace_numbers
from sim.errors import TargetNotFound
from sim.mistakes import did_you_mean
from sim.telemetry.codes import Outcome, SpanKind, status_text

if TYPE_CHECKING:
    from sim.telemetry.result import Names

LEVELS = ("debug", "info", "warn", "error")
PLAIN = {ecs: plain for plain, ecs in ECS.items()}
SHOWN_FIRST = ("time", "level", "instance", "message", "method", "path", "status", "error", "duration_ms")
NOT_SHOWN = ("service", "version", "env", "logger", "remote_ip", "user_agent", "response_size", "trace_id", "span_id", "ecs.version")
MOST_SPANS = 200  # of one trace
BAR = 24  # characters of a span's bar


# logs


def logs(
    directory: Path | str, *, trace: str | None = None, service: str | None = None, level: str | None = None, text: str | None = None
) -> Iterator[dict[str, Any]]:
    """Lines of the run's log that match all that is given: *level* or worse, *text* anywhere in the line.

    *trace* is a request's number or its id; *service* a service or one instance. Elastic's field names are put back into ours.
    """
    place = Path(directory)
    ids = Ids(folder.read_manifest(place)["seed"])
    trace_id = ids.trace(Ids.number(trace)) if trace else None
    levels = LEVELS[_level(level) :]
    if service:
        known = folder.names_in(place)
        if service not in known:
            raise TargetNotFound(f"no service or instance {service!r}: {did_you_mean(service, known)}")
    with (place / "logs.jsonl").open(encoding="utf-8") as file:
        for line in file:
            if (trace_id and trace_id not in line) or (text and text not in line):
                continue
            entry = _in_our_words(json.loads(line))
            if service and service not in (entry["service"], entry["instance"]):
                continue
            if entry["level"] in levels or entry["level"] not in LEVELS:
                yield entry


def _in_our_words(line: Mapping[str, Any]) -> dict[str, Any]:
    entry = {PLAIN.get(key, key): value for key, value in line.items()}
    if ECS_DURATION in entry:
        entry["duration_ms"] = entry.pop(ECS_DURATION) / 1e6
    return entry


def _level(level: str | None) -> int:
    if level is None:
        return 0
    if level not in LEVELS:
        raise TargetNotFound(f"no log level {level!r}: {did_you_mean(level, LEVELS)}")
    return LEVELS.index(level)


def log_text(entry: Mapping[str, Any]) -> str:
    """One line for people: the time within the run, who, what, and the fields that the service added."""
    own = [f"{key}={value}" for key, value in entry.items() if key not in SHOWN_FIRST and key not in NOT_SHOWN]
    did = " ".join(dict.fromkeys(str(entry[key]) for key in ("method", "path", "status", "error") if entry.get(key) is not None))
    took = f"{entry['duration_ms']:.1f} ms" if "duration_ms" in entry else ""
    trace = f"trace={Ids.number(entry['trace_id'])}" if "trace_id" in entry else ""
    parts = (str(entry["time"])[11:23], f"{entry['level']:<5}", f"{entry['instance']:<16}", str(entry["message"]), did, took, *own, trace)
    return "  ".join(part for part in parts if part)


# traces


@dataclass
class Span:
    """One span of a tree; times in seconds."""

    title: str
    status: str
    start: float
    end: float
    failed: bool
    children: list[Span] = field(default_factory=list)


class Traces:
    """The traces of the run in *directory*."""

    def __init__(self, directory: Path | str) -> None:
        place = Path(directory)
        manifest = folder.read_manifest(place)
        self.ids, self.duration = Ids(manifest["seed"]), float(manifest["duration_s"])
        self.rows: Any
        self.names: Names
        self.rows, self.names = columns.read(place / "spans.npz")
        self.number = trace_numbers(self.rows)
        self._place = place

    @cached_property
    def _why(self) -> dict[int, str]:
        """By span, what is written about its end: why it was refused, or what its code has raised."""
        return {span: why for span, attributes in folder.attributes_in(self._place) if (why := _told(attributes))}

    def slowest(self, count: int, *, failed: bool = False) -> list[int]:
        """The numbers of the *count* traces that took longest, or of those that *failed*; the longest first."""
        import numpy as np

        rows = self.rows
        roots = np.flatnonzero(rows["parent"] == 0)
        if failed:
            outcome = rows["outcome"][roots]
            roots = roots[(outcome == Outcome.FAILED) | (outcome == Outcome.REJECTED)]
        order = np.argsort(rows["start"][roots] - rows["end"][roots], kind="stable")
        numbers: list[int] = self.number[roots[order[:count]]].tolist()
        return numbers

    def find(self, text: str) -> int:
        """The trace that *text* means, a number or an id; raise TargetNotFound if the run has none of it."""
        number = Ids.number(text)
        if not (self.number == number).any():
            raise TargetNotFound(f"no trace {text!r}: the run has requests 1 to {int(self.rows['trace'].max(initial=0))}")
        return number

    def trees(self, number: int) -> list[Span]:
        """The trace as trees, children in the order of their starts. There is more than one where a parent did not end in the run."""
        import numpy as np

        mine = self.rows[self.number == number]
        mine = mine[np.lexsort((mine["id"], mine["start"]))]
        spans = {int(row["id"]): self._span(row) for row in mine}
        roots: list[Span] = []
        for row in mine:
            parent = spans.get(int(row["parent"]))
            (parent.children if parent is not None else roots).append(spans[int(row["id"])])
        return roots

    def _span(self, row: Any) -> Span:
        names, kind = self.names, SpanKind(row["kind"])
        node, peer, operation = names.nodes[row["node"]], names.nodes[row["peer"]], names.operations[row["operation"]]
        who = names.instances[row["instance"]] or node
        many = f" ({row['attempt']} attempts)" if row["attempt"] > 1 else ""
        tried = f" #{row['attempt']}" if kind == SpanKind.ATTEMPT else many
        calls = kind in (SpanKind.CLIENT, SpanKind.ATTEMPT)
        queued = f" (queued {_duration(float(row['queued']))})" if row["queued"] > 0 else ""
        title = f"{who} → {peer}  {operation}{tried}" if calls else f"{who}  {operation}{queued}"
        why = self._why.get(int(row["id"]))
        title += f": {why}" if why else ""
        outcome = Outcome(row["outcome"])
        status = status_text(int(row["status"])) or outcome.name.lower()
        if outcome == Outcome.DEGRADED:
            status += " degraded"
        return Span(title, status, float(row["start"]), float(row["end"]), outcome in (Outcome.FAILED, Outcome.REJECTED))

    def text(self, number: int) -> str:
        """The trace for people: a tree, and for each span its status, its duration, and where it lies in the whole."""
        roots = self.trees(number)
        drawn = list(_drawn(roots))
        start, answered = min(span.start for span in roots), max(span.end for span in roots)
        end = max(span.end for _, span in drawn)
        what = f"request {number}" if number < BACKGROUND else "background work"
        later = f"; work went on for {_duration(end - answered)}" if end > answered else ""
        head = f"{what}  trace {self.ids.trace(number)}  at {start:.3f} s, {_duration(answered - start)}{later}"
        width = max(len(branch) + len(span.title) for branch, span in drawn[:MOST_SPANS])
        lines = [_line(branch, span, width, start, end) for branch, span in drawn[:MOST_SPANS]]
        if len(drawn) > MOST_SPANS:
            lines.append(f"... and {len(drawn) - MOST_SPANS} spans more")
        return "\n".join([head, *lines])


def _told(attributes: Mapping[str, Any]) -> str:
    """`queue full`, or `KeyError: 'sku'`; nothing where nothing is said."""
    kind, message = attributes.get("exception.type"), attributes.get("exception.message")
    return f"{kind}: {message}" if kind else str(attributes.get("error.message", ""))


def _drawn(roots: list[Span]) -> Iterator[tuple[str, Span]]:
    """Every span with the branch to draw in front of it. A loop with a stack: a chain of calls may be deeper than Python's."""
    stack = [("", "", span) for span in reversed(roots)]
    while stack:
        branch, below, span = stack.pop()
        yield branch, span
        for index, child in enumerate(reversed(span.children)):
            corner, beside = ("└─ ", "   ") if index == 0 else ("├─ ", "│  ")
            stack.append((below + corner, below + beside, child))


def _line(branch: str, span: Span, width: int, start: float, end: float) -> str:
    mark, took = "✗" if span.failed else " ", _duration(span.end - span.start)
    return f"{branch + span.title:<{width}}  {mark} {span.status:<16} {took:>9}  {_bar(span, start, end)}"


def _bar(span: Span, start: float, end: float) -> str:
    """Where in the trace the span lies; the shortest one is still a sign wide."""
    scale = BAR / (end - start) if end > start else 0.0
    before = min(BAR - 1, int((span.start - start) * scale))
    return " " * before + "━" * max(1, round((span.end - start) * scale) - before)


def _duration(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms" if seconds >= 0.001 else f"{seconds * 1e6:.0f} µs"
