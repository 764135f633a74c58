"""The table of all policies that a scenario can name; a new policy is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.spec import OneKey

from .policy import PolicySpec

POLICIES: dict[str, type[PolicySpec]] = {
}

AnyPolicy = Annotated[PolicySpec, OneKey("policy", lambda: POLICIES, group="policies")]
