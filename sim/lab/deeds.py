"""What policies did, and what else was noted, in the calls that count: those that began after the warm-up and have ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.model.edge import Edge
from sim.telemetry.codes import SpanKind
from sim.telemetry.columns import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Deeds:
    """Of one edge: *counts* of what happened, and how many of the attempts were *hedges*."""

    counts: Counter[str]
    hedges: int

    def by_policy(self, policy: str, kind: str) -> int:
        """How often a policy of that word did it, whichever there is: `retry`, `retry-2` (the second in a list), `mesh.retry`."""
        return sum(number for what, number in self.counts.items() if _without_place(what) == [policy, kind])


def _without_place(what: str) -> list[str]:
    """Policy and kind of `mesh.retry-2.rejected`."""
    *_, policy, kind = what.split(".")
    return [policy.partition("-")[0], kind]


class CallsThatCount:
    """Found once for all *edges*, by going over the recorded *rows*; not at all where nothing was noted."""

    def __init__(self, edges: Collection[Edge], rows: Rows, warmup: float) -> None:
        import numpy as np

        last = max((max(calls) for edge in edges for calls in edge.noted.values()), default=-1)
        self._counts, self._attempts = np.zeros(last + 1, bool), np.zeros(last + 1, "<u2")  # by the span of the call
        for part in rows.chunks() if last >= 0 else ():
            some = part[(part["kind"] == SpanKind.CLIENT) & (part["start"] >= warmup) & (part["id"] <= last)]
            self._counts[some["id"]] = True
            self._attempts[some["id"]] = some["attempt"]

    def deeds(self, edge: Edge) -> Deeds:
        """What happened in those of one edge."""
        import numpy as np

        counts: Counter[str] = Counter()
        hedges = 0
        for what, noted in edge.noted.items():
            calls = np.asarray(noted)
            calls = calls[self._counts[calls]]
            counts[what] = len(calls)
            hedges += self._sent(calls) if what.endswith(".hedge") else 0
        return Deeds(+counts, hedges)

    def _sent(self, hedged: NDArray[Any]) -> int:
        """How many hedges of these calls (one entry for each) became attempts: a policy inside may have refused one."""
        import numpy as np

        calls, often = np.unique(hedged, return_counts=True)
        return int(np.minimum(often, np.maximum(self._attempts[calls], 1) - 1).sum())
