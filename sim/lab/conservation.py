"""Nothing is lost: what was started has ended or is still under way, and each call that ended is one row. Checked on every run."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter

from sim.model.edge import Edge
from sim.model.world import World
from sim.telemetry.codes import SpanKind
from sim.workload.load import Load


class ConservationError(AssertionError):
    """Requests or calls went missing: our own bug."""


def check_conservation(world: World, loads: Mapping[str, Load]) -> None:
    """started = ok + degraded + failed + rejected + unfinished, for requests and for every call edge; or raise ConservationError."""
    started = sum(load.started for load in loads.values())
    if started != len(world.recorder.requests):
        raise ConservationError(f"{started} requests started, {len(world.recorder.requests)} recorded")
    for edge, rows in _calls_recorded(world):
        if not edge.started >= edge.finished == rows:
            raise ConservationError(f"{edge.name}: {edge.started} calls started, {edge.finished} ended, {rows} recorded")
    for node in world.nodes.values():
        node.check_books()


def _calls_recorded(world: World) -> list[tuple[Edge, int]]:
    """How many calls have ended on each edge."""
    import numpy as np

    node_of = world.recorder.node
    edges = sorted(((node_of(edge.caller) << 16 | node_of(edge.callee), edge) for edge in world.edges.values()), key=itemgetter(0))
    keys = np.array([key for key, _ in edges], dtype="<u4")
    counts = np.zeros(len(edges) + 1, dtype=int)
    for part in world.recorder.spans.chunks():
        calls = part["kind"] == SpanKind.CLIENT
        rows = part["node"][calls].astype("<u4") << 16 | part["peer"][calls]
        counts += np.bincount(np.searchsorted(keys, rows), minlength=len(counts))
    return [(edge, int(number)) for (_, edge), number in zip(edges, counts, strict=False)]
