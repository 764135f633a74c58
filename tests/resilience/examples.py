"""One example of every policy that a scenario can name, small and quick: what a test builds when it means all of them."""

import random

from pydantic import TypeAdapter

from sim.resilience import POLICIES, AnyPolicy, PolicyParts

WRITTEN = {
    "stale_cache": {"ttl": "1h", "stale_ttl": "1h"},
    "deadline": "2s",
    "client_throttle": {"minimum_number_of_calls": 100},  # to it, a call that was given up is one that was not accepted
    "retry": {"max_attempts": 2, "backoff": "1ms", "on": ["any"]},
    "hedge": {"delay": "1s"},
    "rate_limiter": {"rate": "1000/s", "burst": 50},
    "adaptive_concurrency": {"algorithm": "aimd"},
    "circuit_breaker": {"sliding_window": {"consecutive": 3}, "wait_duration_in_open_state": "1h"},
    "bulkhead": {"max_concurrent_calls": 2, "max_queued_calls": 2, "max_wait_duration": "1s"},
    "bulkhead_pools": {"pools": {"normal": {"max_concurrent_calls": 2, "max_queued_calls": 2, "max_wait_duration": "1s"}}},
    "timeout": "1s",
}


def spec(word):
    """The example for *word*; without one, the policy with all its defaults. A policy that has a required field needs a line above."""
    return TypeAdapter(AnyPolicy).validate_python({word: WRITTEN.get(word, {})})


def build(word, on_event=None):
    """A new policy by that example, with a listener."""
    parts = PolicyParts(rng=random.Random(1), make_response=lambda status, degraded: "substitute", read=lambda what: lambda *args: args)
    policy = spec(word).build(parts)
    policy.bind(word, random.Random(1), on_event)
    return policy


WORDS = list(POLICIES)
