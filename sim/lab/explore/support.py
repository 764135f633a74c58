"""What carries the users' requests in a good run: for each call edge and each node, the share of requests that pass it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.resilience.fallback import FallbackSpec
from sim.resilience.stale_cache import StaleCacheSpec
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind
from sim.telemetry.result import RunResult

SOFTENING = (FallbackSpec, StaleCacheSpec)  # policies that answer in place of the dependency


@dataclass(frozen=True)
class Support:
    """*edges* `caller->callee` and *nodes*, each with the share of user requests that pass it (0..1); *soft* edges can be done without."""

    edges: Mapping[str, float]
    nodes: Mapping[str, float]
    soft: frozenset[str]


def support_of(result: RunResult, scenario: Scenario) -> Support:
    """Read it from the traces of *result*, a run in which everything went well."""
    import numpy as np

    calls = result.spans.of(SpanKind.CLIENT)
    traces = max(1, len(np.unique(result.requests.id)))
    keys = (calls.trace.astype(np.int64) << 32) | (calls.node.astype(np.int64) << 16) | calls.peer
    passed = np.unique(keys)  # an edge counts once in a request, however often it is called there
    ways, numbers = np.unique(passed & 0xFFFFFFFF, return_counts=True)
    names = result.names.nodes
    edges = {f"{names[way >> 16]}->{names[way & 0xFFFF]}": min(1.0, number / traces)
             for way, number in zip(ways.tolist(), numbers.tolist(), strict=True)}
    at_node = np.unique((calls.trace.astype(np.int64) << 16) | calls.peer)
    which, numbers = np.unique(at_node & 0xFFFF, return_counts=True)
    nodes = {names[node]: min(1.0, number / traces) for node, number in zip(which.tolist(), numbers.tolist(), strict=True)}
    return Support(edges, nodes, frozenset(edge for edge in edges if _is_soft(edge, scenario)))


def _is_soft(edge: str, scenario: Scenario) -> bool:
    caller, _, callee = edge.partition("->")
    spec = scenario.services.get(caller)
    use = spec.uses.get(callee) if spec is not None else None
    return use is not None and any(type(policy) in SOFTENING for policy in use.policies)
