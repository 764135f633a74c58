"""What a scenario says about its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from sim.distributions import Constant, TimeDistribution
from sim.mistakes import Mistake, invalid
from sim.model.node import NodeSpec
from sim.names import UrlPath
from sim.spec import Spec
from sim.units import PositiveDuration

if TYPE_CHECKING:
    from sim.model.registry import Registry
    from sim.model.world import World

REGISTERED = ("service", "gateway", "external")  # kinds that are found by the registry; the others have fixed addresses


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
        if self.ttl is not None:
            wrong = [name for name in ("path", "interval", "timeout") if name in self.written()]
            if wrong:
                raise invalid(*(Mistake((name,), f"`{name}` is of checks that ask, and with `ttl` the instance tells",
                                        "leave one of them out", at_key=True) for name in wrong))
        return self


class RegistrySpec(NodeSpec):
    """Instances are registered and checked here, and callers learn of them: by a watch, or with *client_cache* by asking that often.

    A caller that cannot reach the registry keeps what it knows for *stale_if_error* (for ever, if that is not given). A change is seen
    by callers after the *propagation*. An instance that has been critical for *deregister_critical_after* is struck off, as soon as the
    next look (every *reap_interval*) finds that.
    """

    word: ClassVar[str] = "registry"
    check: CheckSpec = Field(default_factory=CheckSpec)
    deregister_critical_after: PositiveDuration | None = None
    reap_interval: PositiveDuration = 30.0
    client_cache: PositiveDuration | None = None
    stale_if_error: PositiveDuration | None = None
    propagation: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0))
    passing_only: bool = True  # False: callers are told of all who are registered
    wait: PositiveDuration = 300.0  # how long a query of a watch waits for news
    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0005))  # of an operation
    services: list[str] | None = None  # who is found by it; None: all services, gateways and external parties

    def covers(self, name: str, kind: str) -> bool:
        """Callers find the service *name* by the registry."""
        return name in self.services if self.services is not None else kind in REGISTERED

    def build(self, name: str, world: World) -> Registry:
        from sim.model.registry import Registry  # only where there is one

        return Registry(name, self, world)
