"""The table of all policies that a scenario can name; a new policy is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.spec import OneKey

from .adaptive_concurrency import AdaptiveConcurrencySpec
from .breaker_options import CircuitBreakerSpec
from .bulkhead import BulkheadSpec
from .client_throttle import ClientThrottleSpec
from .deadline import DeadlineSpec
from .fallback import FallbackSpec
from .hedge import HedgeSpec
from .idempotency import IdempotencySpec
from .policy import PolicySpec
from .pools import BulkheadPoolsSpec
from .rate_limiter import RateLimiterSpec
from .retry import RetrySpec
from .stale_cache import StaleCacheSpec
from .timeout import TimeoutSpec

POLICIES: dict[str, type[PolicySpec]] = {
    "fallback": FallbackSpec,
    "idempotency": IdempotencySpec,
    "stale_cache": StaleCacheSpec,
    "deadline": DeadlineSpec,
    "retry": RetrySpec,
    "client_throttle": ClientThrottleSpec,
    "circuit_breaker": CircuitBreakerSpec,
    "rate_limiter": RateLimiterSpec,
    "hedge": HedgeSpec,
    "adaptive_concurrency": AdaptiveConcurrencySpec,
    "bulkhead": BulkheadSpec,
    "bulkhead_pools": BulkheadPoolsSpec,
    "timeout": TimeoutSpec,
}

AnyPolicy = Annotated[PolicySpec, OneKey("policy", lambda: POLICIES, group="policies")]
