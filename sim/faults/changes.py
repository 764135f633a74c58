"""Faults that people bring in: a bad version of a service, a bad configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.nodes import NodeFault
from sim.faults.reasons import Reason, because
from sim.faults.releases import Releases
from sim.faults.system import System
from sim.model.analysis import AnalysisSpec
from sim.model.config import ConfigUpdatesSpec
from sim.model.deployment import AnyStrategy, DeploymentSpec
from sim.model.versions import Behaviour, VersionSpec, behave
from sim.spec import Mistake, Spec, invalid
from sim.units import Share

if TYPE_CHECKING:
    from sim.model.instance import Instance


class Badness(Spec):
    """What is bad about it: *speed* 0.5 works half as fast; a share of the requests fails with *error_status* before any work; a process
    that *crashes* does so as it starts, and is started again after longer and longer waits.
    """

    speed: float = Field(default=1.0, gt=0, le=1000)
    error_rate: Share = 0.0
    error_status: int = Field(default=500, ge=400, le=599)
    crashes: bool = False

    @model_validator(mode="after")
    def _something_is_bad(self) -> Badness:
        if self.speed == 1 and not self.error_rate and not self.crashes:
            raise invalid(Mistake((), "nothing is bad about it", "add `error_rate: 20%`, `speed: 0.5` or `crashes: true`"))
        return self

    def behaviour(self) -> Behaviour:
        """As instances know it."""
        return self.version("")

    def version(self, name: str) -> VersionSpec:
        """As a deployment knows it."""
        return VersionSpec.model_construct(
            name=name, speed=self.speed, error_rate=self.error_rate, error_status=self.error_status, crashes=self.crashes)


class DeployBadVersion(Badness, InstanceFault):
    """A bad version of a service. Where the whole of a service is meant and it has a `deployment`, the version is deployed in that way, or
    in that of *strategy* and *analysis*: it comes bit by bit, an analysis may take it back, and when the fault ends it is rolled back, or
    the version before is deployed. Of several at once the last one counts. The service's own deployment waits while one is under way,
    and is not taken back: what it brings is good.

    Otherwise it runs at once on the instances that are picked: on a share of them like a canary (`mode: fixed-percent`), or on all of
    them, also those that are added later; and the version before is back at once.

    `{kind: deploy.bad_version, target: {service: orders, mode: fixed-percent, value: 34%}, schedule: {at: 60s, for: 30s}, error_rate: 20%}`
    """

    of_work: ClassVar[bool] = True
    kind: Literal["deploy.bad_version"] = "deploy.bad_version"
    strategy: AnyStrategy | None = None
    analysis: AnalysisSpec | None = None

    @model_validator(mode="after")
    def _of_a_whole_service(self) -> DeployBadVersion:
        for key in ("strategy", "analysis"):
            if getattr(self, key) is not None and not self._whole_service:
                raise invalid(Mistake((key,), "only a whole service can be deployed", "write `target: {service: ...}` without `mode`",
                                      at_key=True))
        return self

    @property
    def _whole_service(self) -> bool:
        return self.target.service is not None and self.target.mode == "all"

    def deploys(self) -> str | None:
        return self.target.service if self._whole_service and self.strategy is not None else None

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        spec = self._deployment(at)
        with super().active(at) if spec is None else self._deployed(at, spec):
            yield

    def _deployment(self, at: Injection) -> DeploymentSpec | None:
        """How it is deployed, if it is."""
        if not self._whole_service:
            return None
        own: DeploymentSpec | None = getattr(at.world.node(self.target.service or "").spec, "deployment", None)
        if own is None and self.strategy is None:
            return None
        changes = {"strategy": self.strategy, "analysis": self.analysis}
        here = {key: value for key, value in changes.items() if value is not None}
        version = self.version(at.name)
        return (own or DeploymentSpec.model_construct(version=version)).model_copy(update={"version": version, **here})

    @contextmanager
    def _deployed(self, at: Injection, spec: DeploymentSpec) -> Iterator[None]:
        node = at.world.node(self.target.service or "")
        at.targets.append(node.name)
        releases = at.shared.of(node, "releases", partial(Releases, node))
        releases.lay(at, spec)
        try:
            yield
        finally:
            releases.lift(at)

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        return None if self.crashes else super().figure(instance, at)

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        undo = behave(instance, self.behaviour(), f"{at.name} at {at.start:.15g} s")
        try:
            yield
        finally:
            undo()
            if self.crashes:
                at.revive(instance)

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from super().mistakes(system)
        spec = system.services.get(self.target.service or "")
        if spec is None:
            return
        for key in ("strategy", "analysis"):
            if getattr(self, key) is not None and spec.word != "service":
                yield Mistake((key,), f"a {spec.word} is not deployed", f"remove `{key}`", at_key=True)
        if self.analysis is not None and self.strategy is None and getattr(spec, "deployment", None) is None:
            yield Mistake(("analysis",), "what nobody deploys, nobody judges", "add `strategy: {canary: {}}`", at_key=True)

    def missed(self, at: Injection) -> Reason:
        if at.targets != [self.target.service]:
            return super().missed(at)
        return because("other deployment")


class ConfigBad(Badness, NodeFault):
    """A bad configuration is published: its values in *set*, and what they do to whoever has them. It reaches the instances as the
    service's `config_updates` say (at once, if they say nothing), and so does the good one when the fault ends. A change of the service's
    own that comes meanwhile counts as well: the bad values lie over it, and it holds when they are gone.

    `{kind: config.bad, target: {service: orders}, schedule: {at: 60s, for: 30s}, set: {pool_size: 1}, speed: 0.2}`
    """

    of_kind: ClassVar[str] = "service"
    kind: Literal["config.bad"] = "config.bad"
    set: dict[str, Any] = Field(default={})

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        node = self.hit(at)
        if node.configuration is None:
            node.configuration = ConfigUpdatesSpec().build(node)
        configuration = node.configuration
        number = configuration.lay(at, self.set, self.behaviour())
        at.count_if_changed(lambda: sum(configuration.version_at(instance) >= number for instance in node.instances))
        try:
            yield
        finally:
            configuration.lift(at)

    def missed(self, at: Injection) -> Reason:
        return because("not heard", service=self.target.service)
