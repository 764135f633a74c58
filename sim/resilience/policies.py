"""The table of all policies that a scenario can name, with the module and the class of each; a new policy is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from sim.spec import LateTable, OneKey

from .policy import PolicySpec

POLICIES: Mapping[str, type[PolicySpec]] = LateTable({
    "fallback": ("sim.resilience.fallback", "FallbackSpec"),
    "idempotency": ("sim.resilience.idempotency", "IdempotencySpec"),
    "stale_cache": ("sim.resilience.stale_cache", "StaleCacheSpec"),
    "deadline": ("sim.resilience.deadline", "DeadlineSpec"),
    "retry": ("sim.resilience.retry", "RetrySpec"),
    "client_throttle": ("sim.resilience.client_throttle", "ClientThrottleSpec"),
    "circuit_breaker": ("sim.resilience.breaker_options", "CircuitBreakerSpec"),
    "rate_limiter": ("sim.resilience.rate_limiter", "RateLimiterSpec"),
    "hedge": ("sim.resilience.hedge", "HedgeSpec"),
    "adaptive_concurrency": ("sim.resilience.adaptive_concurrency", "AdaptiveConcurrencySpec"),
    "bulkhead": ("sim.resilience.bulkhead", "BulkheadSpec"),
    "bulkhead_pools": ("sim.resilience.pools", "BulkheadPoolsSpec"),
    "timeout": ("sim.resilience.timeout", "TimeoutSpec"),
})

AnyPolicy = Annotated[PolicySpec, OneKey("policy", lambda: POLICIES, group="policies")]
