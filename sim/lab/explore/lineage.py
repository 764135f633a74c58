"""Where good outcomes came from: for each part of a system the share of them that it carried, read from the traces of a run.

A call carries an outcome if it went well, if its caller waited for it, and if the calls above it carried it too:

    users ──▶ front ──▶ prices            carries
                   ──▶ ads                went wrong, and the page came all the same: carries nothing
                   ──▶ events ··▶ mails   delivered after the answer was given: carries nothing

Parts are edges `caller->callee` and nodes, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.telemetry.codes import Outcome, SpanKind
from sim.telemetry.result import RunResult

Absorbed = tuple[int, int]  # how many calls went wrong, and how often the caller gave a good answer all the same


@dataclass(frozen=True)
class Carried:
    """*parts*: the share (0..1) of so many good *outcomes* that each part carried; what is missing carried none."""

    outcomes: int
    parts: Mapping[str, float]


class Lineage:
    """The spans of a run as trees. *down* lists them in the order of their depth, for what is handed down from parent to child."""

    def __init__(self, result: RunResult) -> None:
        import numpy as np

        spans = result.spans.rows
        self.names = result.names
        self._rows = rows = spans[np.argsort(spans["id"], kind="stable")]
        place = np.minimum(np.searchsorted(rows["id"], rows["parent"]), max(0, len(rows) - 1))
        self._up = np.where(rows["id"][place] == rows["parent"], place, -1) if len(rows) else place
        self._down = _by_depth(self._up)
        self._keys = (rows["node"].astype(np.int64) << 16) | rows["peer"]  # of the edge
        self._calls = rows["kind"] == SpanKind.CLIENT
        self._well = rows["outcome"] <= Outcome.DEGRADED
        self._waited_for = (self._up < 0) | (rows["end"] <= rows["end"][self._up])

    def carried(self, of: str | None, hardness: Mapping[str, float], since: float = 0.0, until: float = float("inf")) -> Carried:
        """What carried the good outcomes *of* a workload, a service or an edge (None: of all users) that began in that time.

        An edge with a *hardness* below 1 carries so much less, and so does all that is behind it.
        """
        import numpy as np

        rows, up = self._rows, self._up
        begins = self._outcomes(of) & self._well & (rows["start"] >= since) & (rows["start"] < until)
        weight = (self._well & self._waited_for).astype(float)
        if hardness:
            soft = np.array(sorted((self._key(edge), share) for edge, share in hardness.items()))
            place = np.minimum(np.searchsorted(soft[:, 0], self._keys), len(soft) - 1)
            weight *= np.where(self._calls & (soft[place, 0] == self._keys), soft[place, 1], 1.0)
        weight[begins] = 1.0
        root = np.where(begins, np.arange(len(rows)), -1)
        for level in self._down:
            inherits = level[~begins[level]]
            weight[inherits] *= weight[up[inherits]]
            root[inherits] = root[up[inherits]]
        counts = self._calls & (root >= 0) & (weight > 0)
        number = int(begins.sum())
        edges = _greatest(root[counts], self._keys[counts], weight[counts])
        nodes = _greatest(root[counts], rows["peer"][counts].astype(np.int64), weight[counts])
        nodes_named = self.names.nodes
        parts = {self._edge(key): total / number for key, total in edges} | {nodes_named[key]: total / number for key, total in nodes}
        if of is not None and of in nodes_named and number:
            parts[of] = 1.0
        return Carried(number, parts)

    def absorbed(self, since: float = 0.0, until: float = float("inf")) -> dict[str, Absorbed]:
        """By edge, of the calls that began in that time."""
        import numpy as np

        rows, up = self._rows, self._up
        serves = rows["kind"] == SpanKind.SERVER
        owner = np.where(serves, np.arange(len(rows)), -1)
        for level in self._down:
            inherits = level[~serves[level]]
            owner[inherits] = owner[up[inherits]]
        wrong = self._calls & (owner >= 0) & (rows["start"] >= since) & (rows["start"] < until)
        wrong &= ~self._well | ((rows["outcome"] == Outcome.DEGRADED) & ~self._answered())
        saved = self._well[owner[wrong]]
        ways, way = np.unique(self._keys[wrong], return_inverse=True)
        many, kept = np.bincount(way, minlength=len(ways)), np.bincount(way, weights=saved, minlength=len(ways))
        return {self._edge(key): (int(failed), int(good))
                for key, failed, good in zip(ways.tolist(), many.tolist(), kept.tolist(), strict=True)}

    def edges(self) -> list[str]:
        """All on which anything was called."""
        import numpy as np

        return sorted(self._edge(way) for way in np.unique(self._keys[self._calls]).tolist())

    def _outcomes(self, of: str | None) -> Any:
        """Which spans stand for an outcome: what a workload asks, what a service serves and a broker delivers, what goes over an edge."""
        import numpy as np

        rows, names = self._rows, self.names
        calls, serves = self._calls, rows["kind"] == SpanKind.SERVER
        if of is None:
            return calls & np.isin(rows["node"], [index for index, kind in enumerate(names.node_kinds) if kind == "workload"])
        if "->" in of:
            return calls & (self._keys == self._key(of))
        if of in names.workloads:
            return calls & (rows["node"] == self._node(of))
        kind = names.node_kinds[self._node(of)] if of in names.nodes else ""
        return (serves | (calls if kind == "broker" else False)) & (rows["node"] == self._node(of))

    def _answered(self) -> Any:
        """The calls that got a good answer from the callee itself, and not from a policy of the caller's."""
        import numpy as np

        rows, up = self._rows, self._up
        answers = np.flatnonzero((rows["kind"] == SpanKind.SERVER) & self._well & self._waited_for & (up >= 0))
        calls = up[answers]
        attempts = rows["kind"][calls] == SpanKind.ATTEMPT
        calls[attempts] = up[calls[attempts]]
        answered = np.zeros(len(rows), bool)
        answered[calls[calls >= 0]] = True
        return answered

    def _edge(self, key: int) -> str:
        return f"{self.names.nodes[key >> 16]}->{self.names.nodes[key & 0xFFFF]}"

    def _key(self, edge: str) -> int:
        caller, _, callee = edge.partition("->")
        return (self._node(caller) << 16) | self._node(callee)

    def _node(self, name: str) -> int:
        return self.names.nodes.index(name) if name in self.names.nodes else -1


def _by_depth(up: Any) -> list[Any]:
    """The indices of all that have a parent, those nearest to the root first; *up* is the parent's index, -1 for none."""
    import numpy as np

    depth = np.zeros(len(up), int)
    above = up
    while (deeper := above >= 0).any():
        depth += deeper
        above = np.where(deeper, up[above], -1)
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.searchsorted(depth[order], np.arange(1, depth.max(initial=0) + 1)))[1:]


def _greatest(root: Any, key: Any, weight: Any) -> list[tuple[int, float]]:
    """For each key the sum over the roots of its greatest weight there: what is called twice for one outcome carries it once."""
    import numpy as np

    if not len(root):
        return []
    order = np.lexsort((key, root))
    root, key, weight = root[order], key[order], weight[order]
    first = np.flatnonzero(np.r_[True, (root[1:] != root[:-1]) | (key[1:] != key[:-1])])
    keys, which = np.unique(key[first], return_inverse=True)
    totals = np.bincount(which, weights=np.maximum.reduceat(weight, first))
    return list(zip(keys.tolist(), totals.tolist(), strict=True))
