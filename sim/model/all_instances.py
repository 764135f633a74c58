"""A discovery that knows the missing too: for balancers that reckon with how many of all are well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.node import Node


class AllInstances:
    """Those of *node*, up or down, that have once taken requests and are not about to leave. A lone one that is down is nobody."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._known: dict[Instance, None] = {}
        self.reachable: Sequence[Instance] = ()
        self._look()
        node.watchers.append(self._look)

    def _look(self) -> None:
        staying = self._node.staying()
        self._known = dict.fromkeys(instance for instance in staying if instance.healthy or instance in self._known)
        present = tuple(self._known) if len(self._known) > 1 else tuple(instance for instance in self._known if instance.healthy)
        if present != self.reachable:
            self.reachable = present
