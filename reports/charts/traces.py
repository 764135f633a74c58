"""One trace as a tree of spans, and its critical path: what the request was waiting for at each moment.

    root   |#####=======================####|     # on the path itself, = waiting for a child
    child        |====##############|             the child that ends last leads; before it began, who ended last before that
    leaf          |###|

Source: Eaton et al., *CRISP: Critical Path Analysis of Large-Scale Microservice Architectures*, USENIX ATC 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sim.telemetry.codes import Outcome, SpanKind, status_text

from .style import NotApplicable

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

Pick = Literal["slowest", "failed", "median"]


@dataclass(frozen=True)
class Node:
    """A span in its tree; times in seconds of the run."""

    id: int
    parent: int
    start: float
    end: float
    queued: float
    kind: SpanKind
    outcome: Outcome
    where: str  # the node that the span belongs to, or that it calls
    label: str
    depth: int


@dataclass(frozen=True)
class Segment:
    """A stretch of the critical path, spent in one span."""

    span: int
    start: float
    end: float


def choose(result: RunResult, pick: Pick = "slowest") -> int:
    """The trace of the slowest, the slowest failed or the median request that has both ended and left spans."""
    import numpy as np

    done = result.requests.finished
    known = np.isin(done.id, np.unique(result.spans.trace))
    if pick == "failed":
        known &= (done.outcome == Outcome.FAILED) | (done.outcome == Outcome.REJECTED)
    done = done[known]
    if not len(done):
        raise NotApplicable("no failed request has left a trace" if pick == "failed" else "no finished request has left a trace")
    order = np.lexsort((done.id, done.latency))
    return int(done.id[order[len(order) // 2 if pick == "median" else -1]])


def tree(result: RunResult, trace: int) -> list[Node]:
    """The spans of *trace*, parents before children, children by start. A span without a recorded parent is a root."""
    rows = result.spans[result.spans.trace == trace].rows
    if not len(rows):
        raise NotApplicable(f"trace {trace} has left no spans")
    known = set(rows["id"].tolist())
    children: dict[int, list[int]] = {}
    for index in sorted(range(len(rows)), key=lambda index: (float(rows["start"][index]), int(rows["id"][index]))):
        parent = int(rows["parent"][index])
        children.setdefault(parent if parent in known else 0, []).append(index)
    found: list[Node] = []
    stack = [(index, 0) for index in reversed(children.get(0, []))]
    while stack:
        index, depth = stack.pop()
        found.append(_node(result, rows[index], depth))
        stack += [(child, depth + 1) for child in reversed(children.get(int(rows["id"][index]), []))]
    return found


def _node(result: RunResult, row: Any, depth: int) -> Node:
    names, kind, outcome = result.names, SpanKind(int(row["kind"])), Outcome(int(row["outcome"]))
    value = {name: int(row[name]) for name in ("id", "parent", "node", "peer", "operation", "instance", "status", "attempt")}
    operation = names.operations[value["operation"]] if value["operation"] < len(names.operations) else ""
    if kind in (SpanKind.CLIENT, SpanKind.PRODUCER):
        where, label = names.nodes[value["peer"]], f"→ {names.nodes[value['peer']]} {operation}"
    elif kind == SpanKind.ATTEMPT:
        where, label = names.nodes[value["peer"]], f"#{value['attempt']}"
    else:
        where = names.nodes[value["node"]]
        label = operation if kind == SpanKind.INTERNAL else names.instances[value["instance"]] or where
    if outcome in (Outcome.FAILED, Outcome.REJECTED):
        label += f" · {status_text(value['status'])}"
    return Node(value["id"], value["parent"], float(row["start"]), float(row["end"]), float(row["queued"]), kind, outcome, where,
                label.strip(), depth)


def critical_path(nodes: list[Node]) -> list[Segment]:
    """Segments that tile the first root's time from its start to its end, in order.

    A child that outlived its parent (the caller had left) counts until the parent's end: the parent was waiting for it.
    """
    children: dict[int, list[Node]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node)
    found: list[Segment] = []
    stack = [(nodes[0], nodes[0].start, nodes[0].end)]
    while stack:  # from the end back to the start
        node, since, until = stack.pop()
        before = [child for child in children.get(node.id, []) if child.start < until and min(child.end, until) > since]
        last = max(before, key=lambda child: (min(child.end, until), -child.start), default=None)
        if last is None:
            if until > since:
                found.append(Segment(node.id, since, until))
            continue
        end, start = min(last.end, until), max(last.start, since)
        if until > end:
            found.append(Segment(node.id, end, until))
        if start > since:
            stack.append((node, since, start))
        stack.append((last, start, end))
    return found[::-1]
