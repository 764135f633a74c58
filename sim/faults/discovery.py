"""Faults of finding each other: a registry that is gone or behind the times, names that do not resolve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from sim.errors import ConnectFailed
from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.network import LinkFault, chance
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.faults.targets import Side
from sim.model.network import Fail, Link, Message, Rule, Verdict
from sim.spec import Mistake, invalid
from sim.units import Duration, PositiveDuration, Share

if TYPE_CHECKING:
    from sim.model.registry import Registry


class RegistryFault(Fault):
    """A fault of the registry as a whole; there is one at most."""

    def registry(self, at: Injection) -> Registry:
        """The registry, which is what the fault hits."""
        registry = at.world.registry
        assert registry is not None, "the scenario was checked to have a registry"
        at.targets.append(registry.name)
        return registry

    def mistakes(self, system: System) -> Iterator[Mistake]:
        if not system.registry:
            yield Mistake(("kind",), f"{self.kind}: the scenario has no registry", "add a `registry:`; without one discovery is perfect")


class RegistryDown(RegistryFault):
    """All instances of the registry are killed: nobody is checked, nobody can register, and callers go on with what they knew last.

    `{kind: registry.down, schedule: {at: 60s, for: 30s}}`
    """

    kind: Literal["registry.down"] = "registry.down"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        registry = self.registry(at)
        at.count(True)
        with at.all_killed(registry.instances):
            yield


class RegistryStale(RegistryFault):
    """The registry tells what was: every change is seen *lag* later, or (without a lag) none at all. When the fault ends, it tells what is.

    `{kind: registry.stale, schedule: {at: 60s, for: 30s}, lag: 20s}`
    """

    severity: ClassVar[str] = "lag"
    kind: Literal["registry.stale"] = "registry.stale"
    lag: PositiveDuration | None = None

    @model_validator(mode="after")
    def _grows(self) -> RegistryStale:
        if self.ramp is not None and self.lag is None:
            raise invalid(Mistake(("ramp",), "what stands still cannot do so more or less", "add a `lag`, or remove the ramp"))
        return self

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        registry, lag = self.registry(at), self.lag
        at.count_if_changed(lambda: registry.withheld)
        if lag is None:
            with at.hold(registry, "frozen", registry.freeze, registry.thaw):
                yield
        else:
            with at.layer(registry, "lag", lambda strength: lag * strength, base=lambda: 0.0, apply=registry.set_lag, combine=sum):
                yield

    def missed(self, at: Injection) -> Reason:
        return because("registry calm")


class DnsError(LinkFault):
    """The callee's name does not resolve, for a share *probability* of the calls: the caller learns so *after* that time.

    `{kind: dns.error, target: {link: orders->payments}, schedule: {at: 60s, for: 30s}, probability: 50%, after: 1s}`
    """

    severity: ClassVar[str] = "probability"
    kind: Literal["dns.error"] = "dns.error"
    probability: Share = 1.0
    after: Duration = 0.0

    def ways(self, at: Injection) -> list[tuple[Side, Side]]:
        return [self.target.sides(at.world, at.rng)]

    def rule(self, link: Link, at: Injection) -> Rule:
        verdict = Fail(lambda: ConnectFailed(f"the name {link.target} does not resolve"), self.after)
        happens = chance(at, self.probability)

        def resolve(message: Message) -> Verdict:
            return verdict if message.response is None and happens() else None

        return resolve
