"""Resilience policies in plain asyncio, for the lab and for production: README.md beside this file is the way in.

    pipeline = Pipeline("payments", [Deadline(1.5), Retry(), CircuitBreaker(), Bulkhead(20), Timeout(0.4)])
    answer = await pipeline.call(charge, order)

Names are loaded when they are first used: whoever needs a rate limiter does not pay for sagas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adaptive_concurrency import AdaptiveConcurrency
    from .admission import Admission, AdmissionSpec
    from .backoff import Backoff, Constant, Decorrelated, Exponential, Fibonacci, Linear, Sequence
    from .balancers import (
        BALANCERS,
        AnyBalancer,
        Balancer,
        LeastRequest,
        Maglev,
        PeakEwma,
        PowerOfTwoChoices,
        Random,
        RingHash,
        RoundRobin,
        SlowStart,
        Weighted,
        ZoneAware,
    )
    from .breaker_options import BreakerOptions
    from .breaker_states import BreakerMetrics, IllegalTransition, State
    from .budgets import InFlightBudget, RetryBudget, SuccessBudget, ThrottleBudget, TokenBudget
    from .bulkhead import Bulkhead, Ticket
    from .chaos import Chaos
    from .circuit_breaker import CircuitBreaker
    from .client_throttle import ClientThrottle
    from .codel import CoDel
    from .dead_letters import DeadLetters, DeadLettersFull
    from .deadline import Deadline, current_deadline, deadline_at, from_grpc_timeout, remaining, to_grpc_timeout
    from .drop_expired import DropExpired
    from .errors import AttemptTimeout, BudgetExhausted, BulkheadFull, CircuitOpen, DeadlineExceeded, LoadShed, RateLimited, Rejected
    from .event_store import ConcurrencyConflict, EventStore, Projection, SnapshotPolicy, Sourced
    from .events import Event
    from .explain import Explanation, explain_specs
    from .fallback import Fallback
    from .fixed_window import FixedWindow
    from .gcra import Gcra
    from .hedge import Hedge
    from .hedge_delay import Average, Quantile
    from .idempotency import Idempotency, KeyReused
    from .idempotent_consumer import IdempotentConsumer
    from .limiter import Reservation
    from .limits import Aimd, Gradient2, Vegas
    from .outbox import Outbox
    from .outcomes import Outcome
    from .outlier_detection import OutlierDetector
    from .permits import Permit
    from .pipeline import Pipeline
    from .policies import POLICIES, AnyPolicy
    from .policy import Policy, PolicyParts, PolicySpec
    from .pools import BulkheadPools
    from .priority_shedder import Priority, PriorityShedder
    from .rate_limiter import RateLimiter
    from .retry import Retry, Stop
    from .saga import Saga, SagaResult, Step
    from .saga_log import MemorySagaStore, SagaLog
    from .sliding_counter import SlidingCounter
    from .sliding_log import SlidingLog
    from .stale_cache import StaleCache
    from .timeout import Timeout
    from .token_bucket import TokenBucket
    from .windows import Consecutive, CountWindow, TimeWindow

_HOMES = {  # module: its public names
    "adaptive_concurrency": "AdaptiveConcurrency",
    "admission": "Admission AdmissionSpec",
    "backoff": "Backoff Constant Decorrelated Exponential Fibonacci Linear Sequence",
    "balancers": "BALANCERS AnyBalancer Balancer LeastRequest Maglev PeakEwma PowerOfTwoChoices Random RingHash RoundRobin "
                 "SlowStart Weighted ZoneAware",
    "breaker_options": "BreakerOptions",
    "budgets": "InFlightBudget RetryBudget SuccessBudget ThrottleBudget TokenBudget",
    "bulkhead": "Bulkhead Ticket",
    "breaker_states": "BreakerMetrics IllegalTransition State",
    "chaos": "Chaos",
    "circuit_breaker": "CircuitBreaker",
    "client_throttle": "ClientThrottle",
    "codel": "CoDel",
    "dead_letters": "DeadLetters DeadLettersFull",
    "deadline": "Deadline current_deadline deadline_at from_grpc_timeout remaining to_grpc_timeout",
    "drop_expired": "DropExpired",
    "errors": "AttemptTimeout BudgetExhausted BulkheadFull CircuitOpen DeadlineExceeded LoadShed RateLimited Rejected",
    "event_store": "ConcurrencyConflict EventStore Projection SnapshotPolicy Sourced",
    "events": "Event",
    "explain": "Explanation explain_specs",
    "fallback": "Fallback",
    "fixed_window": "FixedWindow",
    "gcra": "Gcra",
    "hedge": "Hedge",
    "hedge_delay": "Average Quantile",
    "idempotency": "Idempotency KeyReused",
    "idempotent_consumer": "IdempotentConsumer",
    "limiter": "Reservation",
    "limits": "Aimd Gradient2 Vegas",
    "outbox": "Outbox",
    "outcomes": "Outcome",
    "outlier_detection": "OutlierDetector",
    "permits": "Permit",
    "pipeline": "Pipeline",
    "policies": "POLICIES AnyPolicy",
    "policy": "Policy PolicyParts PolicySpec",
    "pools": "BulkheadPools",
    "priority_shedder": "Priority PriorityShedder",
    "rate_limiter": "RateLimiter",
    "retry": "Retry Stop",
    "saga": "Saga SagaResult Step",
    "saga_log": "MemorySagaStore SagaLog",
    "sliding_counter": "SlidingCounter",
    "sliding_log": "SlidingLog",
    "stale_cache": "StaleCache",
    "timeout": "Timeout",
    "token_bucket": "TokenBucket",
    "windows": "Consecutive CountWindow TimeWindow",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}
__all__ = [
    "BALANCERS",
    "POLICIES",
    "AdaptiveConcurrency",
    "Admission",
    "AdmissionSpec",
    "Aimd",
    "AnyBalancer",
    "AnyPolicy",
    "AttemptTimeout",
    "Average",
    "Backoff",
    "Balancer",
    "BreakerMetrics",
    "BreakerOptions",
    "BudgetExhausted",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadPools",
    "Chaos",
    "CircuitBreaker",
    "CircuitOpen",
    "ClientThrottle",
    "CoDel",
    "ConcurrencyConflict",
    "Consecutive",
    "Constant",
    "CountWindow",
    "DeadLetters",
    "DeadLettersFull",
    "Deadline",
    "DeadlineExceeded",
    "Decorrelated",
    "DropExpired",
    "Event",
    "EventStore",
    "Explanation",
    "Exponential",
    "Fallback",
    "Fibonacci",
    "FixedWindow",
    "Gcra",
    "Gradient2",
    "Hedge",
    "Idempotency",
    "IdempotentConsumer",
    "IllegalTransition",
    "InFlightBudget",
    "KeyReused",
    "LeastRequest",
    "Linear",
    "LoadShed",
    "Maglev",
    "MemorySagaStore",
    "Outbox",
    "Outcome",
    "OutlierDetector",
    "PeakEwma",
    "Permit",
    "Pipeline",
    "Policy",
    "PolicyParts",
    "PolicySpec",
    "PowerOfTwoChoices",
    "Priority",
    "PriorityShedder",
    "Projection",
    "Quantile",
    "Random",
    "RateLimited",
    "RateLimiter",
    "Rejected",
    "Reservation",
    "Retry",
    "RetryBudget",
    "RingHash",
    "RoundRobin",
    "Saga",
    "SagaLog",
    "SagaResult",
    "Sequence",
    "SlidingCounter",
    "SlidingLog",
    "SlowStart",
    "SnapshotPolicy",
    "Sourced",
    "StaleCache",
    "State",
    "Step",
    "Stop",
    "SuccessBudget",
    "ThrottleBudget",
    "Ticket",
    "TimeWindow",
    "Timeout",
    "TokenBucket",
    "TokenBudget",
    "Vegas",
    "Weighted",
    "ZoneAware",
    "current_deadline",
    "deadline_at",
    "explain_specs",
    "from_grpc_timeout",
    "remaining",
    "to_grpc_timeout",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
