"""What an instance says of itself when it registers: its tags, its port, and how its health is to be found.

    payments: {registration: {tags: [eu, card], port: 9090, check: {path: /ready, interval: 2s}}}

Its version and its zone are tags too. Callers may ask for those with a tag: `uses: {payments: {tag: card}}`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sim.mistakes import Mistake, invalid
from sim.names import UrlPath
from sim.spec import SharedSpec, Spec
from sim.units import PositiveDuration

PORT = 8080
Tag = Annotated[str, Field(min_length=1, max_length=100)]


class CheckSpec(Spec):
    """How the health of an instance is found: by asking *path* every *interval*, or by its own heartbeats, which must come within *ttl*.

    2xx is passing, 429 a warning, all else critical; so many results in a row change what the registry believes. A heartbeat that is
    missed is critical at once.
    """

    path: UrlPath = "/health"
    interval: PositiveDuration = 10.0
    timeout: PositiveDuration = 5.0
    ttl: PositiveDuration | None = None
    failures_before_critical: int = Field(default=3, ge=0)
    failures_before_warning: int | None = Field(default=None, ge=0)  # None: as before critical, so that there is no warning
    success_before_passing: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _ask_or_be_told(self) -> CheckSpec:
        wrong = []
        if self.ttl is not None:
            wrong = [Mistake((name,), f"`{name}` is of checks that ask, and with `ttl` the instance tells", "leave one of them out",
                             at_key=True) for name in type(self).model_fields if name in self.written() - {"ttl"}]
        elif (self.failures_before_warning or 0) > self.failures_before_critical:
            what = f"{self.failures_before_critical} failures are critical before they are a warning"
            cure = "make it smaller than `failures_before_critical`, or leave it out"
            wrong = [Mistake(("failures_before_warning",), what, cure, at_key=True)]
        if wrong:
            raise invalid(*wrong)
        return self


class RegistrationSpec(SharedSpec):
    """How the instances register: with *tags* that callers may ask for, a *port*, and a *check* of their own instead of the registry's."""

    tags: list[Tag] = []
    port: int = Field(default=PORT, ge=1, le=65_535)
    check: CheckSpec | None = None
