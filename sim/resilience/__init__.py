"""Resilience policies in plain asyncio, for the lab and for production: README.md beside this file is the way in.

    pipeline = Pipeline("payments", [Deadline(1.5), Retry(), CircuitBreaker(), Bulkhead(20), Timeout(0.4)])
    answer = await pipeline.call(charge, order)
"""

from .backoff import Backoff, Constant, Decorrelated, Exponential, Fibonacci, Linear, Sequence
from .breaker_options import BreakerOptions
from .budgets import InFlightBudget, RetryBudget, ThrottleBudget, TokenBudget
from .bulkhead import Bulkhead, Ticket
from .circuit_breaker import BreakerMetrics, CircuitBreaker, IllegalTransition, State
from .deadline import Deadline, current_deadline, deadline_at, from_grpc_timeout, remaining, to_grpc_timeout
from .errors import AttemptTimeout, BudgetExhausted, BulkheadFull, CircuitOpen, DeadlineExceeded, LoadShed, RateLimited, Rejected
from .events import Event
from .explain import Explanation, explain_specs
from .fallback import Fallback
from .outcomes import Outcome
from .pipeline import Pipeline
from .policies import POLICIES, AnyPolicy
from .policy import Policy, PolicyParts, PolicySpec
from .pools import BulkheadPools
from .retry import Retry, Stop
from .stale_cache import StaleCache
from .timeout import Timeout
from .windows import Consecutive, CountWindow, TimeWindow

__all__ = [
    "POLICIES",
    "AnyPolicy",
    "AttemptTimeout",
    "Backoff",
    "BreakerMetrics",
    "BreakerOptions",
    "BudgetExhausted",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadPools",
    "CircuitBreaker",
    "CircuitOpen",
    "Consecutive",
    "Constant",
    "CountWindow",
    "Deadline",
    "DeadlineExceeded",
    "Decorrelated",
    "Event",
    "Explanation",
    "Exponential",
    "Fallback",
    "Fibonacci",
    "IllegalTransition",
    "InFlightBudget",
    "Linear",
    "LoadShed",
    "Outcome",
    "Pipeline",
    "Policy",
    "PolicyParts",
    "PolicySpec",
    "RateLimited",
    "Rejected",
    "Retry",
    "RetryBudget",
    "Sequence",
    "StaleCache",
    "State",
    "Stop",
    "ThrottleBudget",
    "Ticket",
    "TimeWindow",
    "Timeout",
    "TokenBudget",
    "current_deadline",
    "deadline_at",
    "explain_specs",
    "from_grpc_timeout",
    "remaining",
    "to_grpc_timeout",
]
