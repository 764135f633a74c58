"""Time integrals of every instance, read at the end of the warm-up and at the end of the run: their difference is what counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sim.model.node import UNBOUNDED, Node
from sim.model.world import World


@dataclass(frozen=True)
class Account:
    """Of one node, from the start to `at`, all instances together; level times seconds, except for counts."""

    at: float
    busy: float
    queue: float
    worked: float  # seconds of work
    wasted: float  # seconds of work that nobody waited for
    rejected: int
    shed: Counter[str]  # of the rejected, by what refused them at the door
    capacity: float  # workers of all instances
    bounded: bool  # their number is limited


def account_of(node: Node, now: float) -> Account:
    """The state of *node*'s integrals at *now*."""
    some = node.ever
    return Account(
        at=now,
        busy=sum(instance.busy.integral(now) for instance in some),
        queue=sum(instance.waiting.integral(now) for instance in some),
        worked=sum(instance.worked for instance in some),
        wasted=sum(instance.wasted for instance in some),
        rejected=sum(instance.rejected for instance in some),
        shed=sum((instance.shed for instance in some), Counter()),
        capacity=node.workforce.integral(now),
        bounded=node.workers < UNBOUNDED,
    )


def accounts(world: World) -> Mapping[str, Account]:
    """Of all nodes, now."""
    now = world.loop.time()
    return {name: account_of(node, now) for name, node in world.nodes.items()}
