"""What a scenario says about its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from sim.distributions import Constant, TimeDistribution
from sim.mistakes import Mistake, invalid
from sim.model.node import NodeSpec
from sim.model.registration import CheckSpec
from sim.units import PositiveDuration

if TYPE_CHECKING:
    from sim.model.registry import Registry
    from sim.model.world import World

REGISTERED = ("service", "gateway", "external")  # kinds that are found by the registry; the others have fixed addresses


class RegistrySpec(NodeSpec):
    """Instances are registered and checked here, and callers learn of them: by a watch, or with *client_cache* by asking that often.

    A caller that cannot reach the registry keeps what it knows for *stale_if_error* (for ever, if that is not given). A change is seen
    by callers after the *propagation*. An instance that has been critical for *deregister_critical_after* is struck off, as soon as the
    next look (every *reap_interval*) finds that; it is back when it registers anew: with its next heartbeat, or as it starts again.
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

    @model_validator(mode="after")
    def _all_is_used(self) -> RegistrySpec:
        wrong, written = [], self.written()
        if "wait" in written and self.client_cache is not None:
            wrong.append(Mistake(("wait",), "`wait` is of watches, and with `client_cache` callers ask that often", "leave one of them out",
                                 at_key=True))
        if "reap_interval" in written and self.deregister_critical_after is None:
            wrong.append(Mistake(("reap_interval",), "nobody is ever struck off without `deregister_critical_after`",
                                 "add `deregister_critical_after: 1m`", at_key=True))
        if wrong:
            raise invalid(*wrong)
        return self

    def covers(self, name: str, kind: str) -> bool:
        """Callers find the service *name* by the registry."""
        return name in self.services if self.services is not None else kind in REGISTERED

    def build(self, name: str, world: World) -> Registry:
        from sim.model.registry import Registry  # only where there is one

        return Registry(name, self, world)
