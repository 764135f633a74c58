"""The books of a run: time integrals and counts, read at the end of the warm-up and at the end of the run; the difference counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sim.model.edge import Edge
from sim.model.node import UNBOUNDED, Node
from sim.model.world import World
from sim.workload.load import Load

NANO = 9  # digits: seconds of work are differences of large sums, and where none has ended they are to come to nothing


@dataclass(frozen=True)
class Account:
    """Of one node, from the start to `at`, all instances together; level times seconds, except for counts."""

    at: float
    busy: float
    queue: float
    worked: float  # seconds of work that has ended
    wasted: float  # seconds of work that nobody waited for
    rejected: int
    shed: Counter[str]  # of the rejected, by what refused them at the door
    capacity: float  # workers of all instances
    bounded: bool  # their number is limited
    cpu: float  # cores that worked
    cores: float  # of all instances; 0 where work needs none


@dataclass(frozen=True)
class CallAccount:
    """Of one call edge, from the start, all callers together."""

    counts: Counter[str]  # of what happened in no call
    opened: int  # times that a breaker opened
    open_s: float  # seconds that breakers were open
    under_way: int  # calls that have begun and not ended


NO_CALLS = CallAccount(Counter(), 0, 0.0, 0)


@dataclass(frozen=True)
class Books:
    """Of everything, at one time."""

    at: float
    nodes: Mapping[str, Account]
    edges: Mapping[str, CallAccount]
    dropped: Mapping[str, int]  # arrivals that were not sent, by workload


def account_of(node: Node, now: float, under_way: float) -> Account:
    """The state of *node*'s integrals at *now*; what is in service there has taken *under_way* seconds so far."""
    some = node.ever
    capacity = node.workforce.integral(now)
    busy = sum(instance.busy.integral(now) for instance in some)
    return Account(
        at=now,
        busy=busy,
        queue=sum(instance.waiting.integral(now) for instance in some),
        worked=round(busy - under_way, NANO),
        wasted=round(sum(instance.wasted for instance in some), NANO),
        rejected=sum(instance.rejected for instance in some),
        shed=sum((instance.shed for instance in some), Counter()),
        capacity=capacity,
        bounded=node.workers < UNBOUNDED,
        cpu=sum(instance.cpu.used(now) for instance in some if instance.cpu is not None),
        cores=capacity / node.workers * (node.cores or 0.0),
    )


def call_account_of(edge: Edge, now: float) -> CallAccount:
    """The state of *edge*'s counts at *now*."""
    return CallAccount(Counter(edge.counts), edge.opened, edge.open_seconds(now), edge.started - edge.finished)


def books(world: World, loads: Mapping[str, Load]) -> Books:
    """As they stand now."""
    now = world.loop.time()
    under_way: defaultdict[Node, float] = defaultdict(float)
    for exchange in world.in_service:
        under_way[exchange.instance.node] += now - exchange.started
    return Books(
        at=now,
        nodes={name: account_of(node, now, under_way[node]) for name, node in world.nodes.items()},
        edges={name: call_account_of(edge, now) for name, edge in world.edges.items()},
        dropped={name: load.dropped for name, load in loads.items()},
    )
