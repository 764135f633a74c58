"""A real, small system around a stack of policies: users, a service `front` that calls `back` under the policies, and what befalls `back`.

    users 60/s, 1.5 s of patience ──▶ front ──policies──▶ back: two instances of four workers, 20 ms, a line of eight
    0 s ───── 0.5 s ─── in trouble ─── 1.5 s ── 2 s: nobody comes any more ──────── 5 s: all must be over
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sim import RunResult, World, loads, run
from sim.resilience import POLICIES
from sim.telemetry.codes import SpanKind

# One example of each policy, small enough to bite here; a new policy has its defaults
WRITTEN = {
    "fallback": "{status: 200, on: [any]}",
    "idempotency": "{key: path, ttl: 100ms}",
    "stale_cache": "{ttl: 50ms, stale_ttl: 1s}",
    "deadline": "400ms",
    "retry": "{max_attempts: 3, backoff: 20ms, budget: {kind: in_flight, share: 50%}}",
    "client_throttle": "{window: 5s, minimum_number_of_calls: 20}",
    "circuit_breaker": "{sliding_window: {consecutive: 5}, wait_duration_in_open_state: 200ms}",
    "rate_limiter": "{rate: 50/s, burst: 5, max_wait: 20ms}",
    "hedge": "{delay: 60ms}",
    "adaptive_concurrency": "{algorithm: {aimd: {initial_limit: 4, min_limit: 2}}, max_queued_calls: 2, max_wait_duration: 50ms}",
    "bulkhead": "{max_concurrent_calls: 4, max_queued_calls: 3, max_wait_duration: 50ms}",
    "bulkhead_pools": "{pools: {normal: {max_concurrent_calls: 4, max_queued_calls: 3, max_wait_duration: 50ms}}}",
    "timeout": "150ms",
}
WORDS = list(POLICIES)  # outermost first, as they are meant to be stacked
TROUBLE = {
    "healthy": "",
    "slow": "{kind: instance.slow, target: {service: back}, factor: 20, schedule: {at: 500ms, for: 1s}}",
    "failing": "{kind: http.abort, target: {service: back}, status: 503, probability: 80%, schedule: {at: 500ms, for: 1s}}",
    "hanging": "{kind: instance.pause, target: {service: back}, schedule: {at: 500ms, for: 1s}}",
    "killed": "{kind: instance.kill, target: {service: back, mode: one}, restart_after: 200ms, "
              "schedule: {every: 300ms, from: 500ms, until: 1500ms}}",
    "partitioned": "{kind: network.partition, target: {link: front->back, direction: both}, how: drop, schedule: {at: 500ms, for: 1s}}",
}


def stack(words: Iterable[str], written: Mapping[str, str] = WRITTEN) -> str:
    """The policies as YAML, outermost first."""
    return "[" + ", ".join(f"{word}: {written.get(word, '{}')}" for word in words) + "]"


def scenario(policies: str, fault: str, rate: int = 60) -> str:
    """The system in text."""
    return f"""
name: composition
duration: 5s
network: {{default: {{latency: 1ms}}}}
services:
  front:
    workers: 1000
    on_caller_gone: cancel
    uses: {{back: {{policies: {policies}}}}}
    endpoints: {{GET /: [{{call: "back GET /items/{{zipf:20}}"}}]}}
  back:
    instances: 2
    workers: 4
    queue: {{limit: 8}}
    endpoints: {{"GET /items/{{id}}": [{{work: {{exponential: 20ms}}}}]}}
workloads:
  users:
    executor: ramping-arrival-rate
    start_rate: {rate}/s
    stages: [{{duration: 2s, target: {rate}/s}}, {{duration: 1ms, target: 0/s}}]
    to: front
    timeout: 1500ms
    mix: [{{send: GET /}}]
faults: [{fault}]
"""


# What a policy still holds for calls that are under way
HELD = {
    "idempotency": lambda policy: sum(entry.running is not None for entry in policy._entries.values()),
    "stale_cache": lambda policy: len(policy._flights) + len(policy._refreshing),
    "deadline": lambda policy: alarms(policy),
    "retry": lambda policy: getattr(policy.budget, "calls", 0) + getattr(policy.budget, "retries", 0),
    "circuit_breaker": lambda policy: len(policy._probes._out),
    "rate_limiter": lambda policy: policy.waiting + len(policy._promises),
    "hedge": lambda policy: len(policy._leaving),
    "adaptive_concurrency": lambda policy: policy.inside + len(policy._line),
    "bulkhead": lambda policy: policy.inside + policy.waiting,
    "bulkhead_pools": lambda policy: sum(pool.inside + pool.waiting for pool in policy.pools.values()),
    "timeout": lambda policy: alarms(policy),
}
HOLDS_NOTHING = {"fallback", "client_throttle"}


def alarms(policy: Any) -> int:
    """Calls whose time is still measured."""
    return 0 if policy._alarms is None else sum(alarm.task is not None for alarm in policy._alarms._waiting)


@dataclass
class Story:
    """What became of a run: its result, and the world at its end."""

    result: RunResult
    sent: int  # attempts that went onto the link
    arrived: int  # that reached an instance, were it only to be refused
    lost: int
    left: dict[str, int]  # by policy: what it still holds
    busy: int  # requests in instances
    queue: int  # entries in the loop's queue
    events: dict[str, int]  # of policies, by word and kind

    @property
    def calls(self) -> Any:
        """Spans of the calls from front to back."""
        return self._spans(SpanKind.CLIENT, "front")

    @property
    def attempts(self) -> Any:
        """Spans of their attempts, where a policy can make more than one."""
        return self._spans(SpanKind.ATTEMPT, "front")

    @property
    def served(self) -> Any:
        """Spans of `back`."""
        return self._spans(SpanKind.SERVER, "back")

    def _spans(self, kind: SpanKind, node: str) -> Any:
        spans = self.result.spans.of(kind)
        return spans[spans.node == self.result.names.nodes.index(node)]

    def count(self, kind: str) -> int:
        """Events of all policies of that kind."""
        return sum(number for name, number in self.events.items() if name.rpartition(".")[2] == kind)


def tell(policies: str, fault: str, seed: int = 1, rate: int = 60) -> Story:
    """Run the system."""
    seen: dict[str, Any] = {}

    def look(world: World) -> None:
        edge, back, front = world.edges["front->back"], world.node("back"), world.node("front")
        rows = [row for chunk in world.recorder.spans.chunks() for row in chunk]
        served = sum(row["kind"] == SpanKind.SERVER and row["node"] == back.index for row in rows)
        policies = [policy for client in front.instances[0].clients if client.pipeline is not None for policy in client.pipeline.policies]
        seen.update(
            sent=edge.sent, lost=edge.lost, arrived=served + sum(instance.refused for instance in back.instances),
            busy=sum(instance.busy.value + instance.waiting.value for node in (front, back) for instance in node.instances),
            queue=len(world.loop.env._queue), events={**edge.counts, **{what: len(calls) for what, calls in edge.noted.items()}},
            left={policy.word: HELD[policy.word](policy) for policy in policies if policy.word not in HOLDS_NOTHING})

    return Story(run(loads(scenario(policies, fault, rate)), seed, on_end=look), **seen)
