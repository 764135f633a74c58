"""Nothing is lost: what was started has ended or is still under way, and each call that ended is one row. Checked on every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sim.model.world import World
from sim.telemetry.codes import SpanKind
from sim.telemetry.recorder import Recorder
from sim.workload.load import Load


class ConservationError(AssertionError):
    """Requests or calls went missing: our own bug."""


def check_conservation(world: World, loads: Mapping[str, Load]) -> None:
    """started = ok + degraded + failed + rejected + unfinished, for requests and for every call edge; or raise ConservationError."""
    started = sum(load.started for load in loads.values())
    if started != len(world.recorder.requests):
        raise ConservationError(f"{started} requests started, {len(world.recorder.requests)} recorded")
    recorded, node_of = _calls_recorded(world.recorder), world.recorder.node
    for edge in world.edges.values():
        rows = recorded[node_of(edge.caller), node_of(edge.callee)]
        if not edge.started >= edge.finished == rows:
            raise ConservationError(f"{edge.name}: {edge.started} calls started, {edge.finished} ended, {rows} recorded")
    for node in world.nodes.values():
        node.check_books()


def _calls_recorded(recorder: Recorder) -> Counter[tuple[int, int]]:
    """How many calls have ended, by caller and callee."""
    import numpy as np

    counts: Counter[tuple[int, int]] = Counter()
    for part in recorder.spans.chunks():
        calls = part[part["kind"] == SpanKind.CLIENT]
        edges, numbers = np.unique(calls["node"].astype("<u4") << 16 | calls["peer"], return_counts=True)
        for edge, number in zip(edges.tolist(), numbers.tolist(), strict=True):
            counts[edge >> 16, edge & 0xFFFF] += number
    return counts
