"""A discovery that knows one instance: for who is told whom to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.model.instance import Instance


class OneInstance:
    """What a client discovers that is to reach *instance* and nobody else, alive or not."""

    def __init__(self, instance: Instance) -> None:
        self.reachable: Sequence[Instance] = (instance,)
