"""A service whose endpoints are lists of steps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sim.distributions import TimeDistribution
from sim.mistakes import Mistake, invalid
from sim.model.autoscaler import Autoscaler, AutoscaleSpec
from sim.model.config import ConfigUpdatesSpec
from sim.model.deployment import Deployment, DeploymentSpec
from sim.model.health import PATH as HEALTH
from sim.model.health import HealthSpec, health_of_steps
from sim.model.instance import Instance
from sim.model.messages import Exchange, Response
from sim.model.messaging import DELIVER, Subscription, consume
from sim.model.node import CpuSpec, Handler, Node, NodeSpec, QueueSpec
from sim.model.paths import METHODS, parse_target
from sim.model.steps import Act, AnyStep, Step, acts_of, do, sequence
from sim.model.subjects import Pattern
from sim.model.subscriptions import SubscriptionSpec
from sim.model.versions import VersionSpec
from sim.spec import did_you_mean
from sim.units import Size

if TYPE_CHECKING:
    from sim.model.world import World

OK = Response(200)
NOT_FOUND = Response(404)
NOT_ALLOWED = Response(405)


class ServiceSpec(NodeSpec):
    """Instances with workers and a queue; endpoints are lists of steps."""

    kind: Literal["service"] = "service"
    workers: int = Field(default=16, ge=1)
    queue: QueueSpec = Field(default_factory=QueueSpec)
    cpu: CpuSpec | None = None
    max_message_size: Size | None = None  # of a request by grpc; None: 4MiB
    endpoints: dict[str, list[AnyStep]] = {}
    subscribe: dict[Pattern, SubscriptionSpec] = {}  # what is done with messages, by subject
    asgi: str | None = None  # or the user's own ASGI app: 'package.module:app'
    health: HealthSpec | None = None  # what `GET /health` looks at; without it, it answers 200
    code: str | None = None  # or the handlers of a class: 'package.module:Class'
    work: TimeDistribution | None = None  # with `code` or `asgi`: the CPU time of each request, before its handler runs
    config: dict[str, Any] = {}  # what `code` reads as `self.config`
    config_updates: ConfigUpdatesSpec | None = None
    autoscale: AutoscaleSpec | None = None
    deployment: DeploymentSpec | None = None

    @field_validator("endpoints")
    @classmethod
    def _methods_and_paths(cls, endpoints: dict[str, list[Step]]) -> dict[str, list[Step]]:
        for name in endpoints:
            method, _, path = name.partition(" ")
            if method not in METHODS or not path.startswith("/"):
                misspelt = path.startswith("/") and method not in METHODS
                cure = did_you_mean(method.upper(), METHODS) if misspelt else "write a method and a path, 'POST /orders'"
                raise PydanticCustomError("endpoint", "{name} is no endpoint", {"name": repr(name), "cure": cure})
        return endpoints

    @field_validator("code")
    @classmethod
    def _service_class(cls, code: str | None) -> str | None:
        if code is not None:
            from sim.model.service_code import check_service_class

            check_service_class(code)
        return code

    @field_validator("asgi")
    @classmethod
    def _asgi_app(cls, asgi: str | None) -> str | None:
        if asgi is not None:
            from sim.model.asgi import check_asgi_app

            check_asgi_app(asgi)
        return asgi

    @model_validator(mode="after")
    def _within_bounds(self) -> ServiceSpec:
        scale = self.autoscale
        if scale is not None and not scale.min <= self.instances <= scale.max:
            what = f"{self.instances} is not between the {scale.min} and {scale.max} instances of `autoscale`"
            raise invalid(Mistake(("instances",), what, f"write `instances: {max(scale.min, min(scale.max, self.instances))}`"))
        if scale is not None and scale.cpu is not None and self.cpu is None:
            raise invalid(Mistake(("autoscale", "cpu"), "the service has no `cpu` whose use could be measured",
                                  "write `utilisation: 60%`, or give it `cpu: {cores: 2}`"))
        return self

    @model_validator(mode="after")
    def _one_way_to_serve(self) -> ServiceSpec:
        ways = [key for key in ("endpoints", "code", "asgi") if getattr(self, key)]
        if len(ways) > 1:
            what = f"a service has its endpoints in one place, not in {' and '.join(ways)}"
            raise invalid(Mistake((ways[0],), what, "leave one of them out", at_key=True))
        if self.code is None and self.asgi is None and self.work is not None:
            what = "`work` belongs to a service with `code` or `asgi`"
            raise invalid(Mistake(("work",), what, "write it as a step of each endpoint", at_key=True))
        return self

    def workers_each(self) -> int:
        return self.workers

    def queue_spec(self) -> QueueSpec:
        return self.queue

    def cores_each(self) -> float | None:
        return self.cpu.cores if self.cpu is not None else None

    def largest_message(self) -> int | None:
        return self.max_message_size

    def config_of(self, version: VersionSpec | None) -> dict[str, Any]:
        return {**self.config, **(version.config if version is not None else {})}

    def begin(self, node: Node) -> None:
        if self.config_updates is not None:
            node.configuration = self.config_updates.build(node)
            node.configuration.begin()
        if self.autoscale is not None:
            Autoscaler(node, self.autoscale).begin()
        if self.deployment is not None:
            node.world.loop.after(self.deployment.at, Deployment(node, self.deployment).begin)

    def has_user_code(self) -> bool:
        return self.code is not None or self.asgi is not None

    def code_subscriptions(self) -> Mapping[str, Subscription]:
        if self.code is None:
            return {}
        from sim.model.service_code import subscriptions_in

        return subscriptions_in(self.code)

    def calls(self) -> Mapping[str, list[Step]]:
        return self.endpoints

    def build(self, name: str, world: World) -> Node:
        if self.asgi is not None:
            from sim.model.asgi import AsgiService

            return AsgiService(name, self, world)
        if self.code is None:
            return Service(name, self, world)
        from sim.model.service_code import CodeService  # only where there is user code

        return CodeService(name, self, world)


class Endpoint:
    """Where a request is served: the index of its name, and what is done there."""

    __slots__ = ("acts", "operation")  # for the reason that a station has them
    acts: tuple[Act, ...]

    def __init__(self, operation: int) -> None:
        self.operation = operation


class Service(Node):
    """The runtime of a service."""

    spec: ServiceSpec

    def __init__(self, name: str, spec: ServiceSpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.endpoints = [Endpoint(world.recorder.operation(key)) for key in spec.endpoints]
        for key, endpoint in zip(spec.endpoints, self.endpoints, strict=True):
            target = parse_target(key, name)
            self.routes.add(target.method, target.path, endpoint)
        self.serve: Handler = self._serve  # one for all its instances
        self._makers: list[Callable[[Instance], Any]] = []

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return self.routes.find(method, path)

    def subscriptions(self) -> Mapping[str, Subscription]:
        return {pattern: subscription.subscription() for pattern, subscription in self.spec.subscribe.items()}

    def each(self, make: Callable[[Instance], Any]) -> int:
        """Give each instance something of its own, made as it is: `instance.own` has it at the place that this returns."""
        self._makers.append(make)
        return len(self._makers) - 1

    def start(self) -> None:
        spec, recorder = self.spec, self.world.recorder
        for endpoint, steps in zip(self.endpoints, spec.endpoints.values(), strict=True):
            endpoint.acts = acts_of(steps, self)
        self.check_health = health_of_steps(self, spec.health)
        self.consumers = {pattern: sequence(subscription.do, self) for pattern, subscription in spec.subscribe.items()}
        super().start()
        self.other, self.health = recorder.operation("(no endpoint)"), recorder.operation(f"GET {HEALTH}")

    def handler(self, instance: Instance) -> Handler:
        instance.own = tuple([make(instance) for make in self._makers])
        return self.serve

    def _serve(self, exchange: Exchange) -> Coroutine[Any, Any, Response | None]:
        request = exchange.request
        endpoint: Endpoint | None = request.endpoint or self.routes.find(request.method, request.path)
        if endpoint is None:
            return self._nowhere(exchange)
        exchange.operation = endpoint.operation
        return do(endpoint.acts, exchange)

    async def _nowhere(self, exchange: Exchange) -> Response | None:
        method, path = exchange.request.method, exchange.request.path
        if method == DELIVER:
            return await consume(exchange, exchange.instance, self.consumers[path], self.spec.subscribe[path].in_progress)
        is_health = path.partition("?")[0] == HEALTH
        if is_health and method == "GET":
            exchange.operation = self.health
            return await self.check_health(exchange)
        exchange.operation = self.other
        if not self.endpoints:
            return OK
        return NOT_ALLOWED if is_health or self.routes.methods_of(path) else NOT_FOUND
