"""What databases, caches and brokers are told, and steps about them say, that does nothing where something else is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sim.mistakes import Loc, Mistake
from sim.model.node import NodeSpec
from sim.model.queries import Query

from .walk import word_of, written

Said = Iterator[tuple[str, str, str]]  # a key, why it does nothing, and the cure


def in_vain(name: str, spec: NodeSpec, nodes: Mapping[str, NodeSpec]) -> Iterator[Mistake]:
    """What the node *name*, one of *nodes*, is told, and what its steps say."""
    loc: Loc = ("services", name)
    yield from _told(_OF_NODES.get(spec.word), spec, loc)
    for place, part in written(spec, loc):
        if isinstance(part, Query):
            yield from _told(lambda step: _session(step, nodes), part, place)
        elif not isinstance(part, tuple):
            yield from _told(_OF_STEPS.get(word_of(part)), part, place)


def _told(idle: Callable[[Any], Said] | None, spec: Any, loc: Loc) -> Iterator[Mistake]:
    for key, why, cure in idle(spec) if idle is not None else ():
        yield Mistake((*loc, key), f"`{key}` is of {why}", cure, at_key=True)


def _database(spec: Any) -> Said:
    says = {"replica_lag": spec.replica_lag.expectation() > 0, "reads": spec.reads != "replicas",
            "session_wait": "session_wait" in spec.written()}
    for key in says:
        if says[key] and not spec.replicas:
            yield key, "replicas, and this database has none", "add `replicas: 1`, or remove it"


def _cache(spec: Any) -> Said:
    if spec.jitter and spec.ttl is None:
        yield "jitter", "the time that entries live, and these live until they are pushed out", "add `ttl: 1m`, or remove it"


def _broker(spec: Any) -> Said:
    if spec.discard == "new" and spec.max_messages is None and spec.max_bytes is None:
        yield "discard", "a stream that is full, and this one never is", "add `max_messages: 10000`, or remove it"


def _append(step: Any) -> Said:
    for key in ("retries", "replay"):
        if key in step.written() and not step.expect_version:
            yield key, "an append that reads the stream first", "remove it, or `expect_version: false`"


def _session(step: Query, nodes: Mapping[str, NodeSpec]) -> Said:
    if step.consistency != "eventual" and not getattr(nodes.get(step.database), "replicas", 1):
        yield "consistency", f"replicas, and {step.database!r} has none", "add `replicas: 1` there, or remove it"


_OF_NODES: Mapping[str, Callable[[Any], Said]] = {"database": _database, "cache": _cache, "broker": _broker}
_OF_STEPS: Mapping[str, Callable[[Any], Said]] = {"append": _append}
