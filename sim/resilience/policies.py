"""The table of all policies that a scenario can name; a new policy is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.spec import OneKey

from .policy import PolicySpec
from .rate_limiter import RateLimiterSpec

POLICIES: dict[str, type[PolicySpec]] = {
    "rate_limiter": RateLimiterSpec,
}

AnyPolicy = Annotated[PolicySpec, OneKey("policy", lambda: POLICIES, group="policies")]
