"""An API gateway: middleware outermost first, routes by path and method, and the field's answers when something is not there.

    no route 404 · wrong method 405 · no token 401 · unknown token 403 · over the rate 429 · no instance 503 · too late 504
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sim.model.failures import pass_on
from sim.model.instance import Instance
from sim.model.messages import Exchange, Request, Response
from sim.model.node import Handler, Node, NodeSpec, QueueSpec
from sim.model.paths import METHODS
from sim.model.steps import CallTarget
from sim.resilience.deadline import deadline_at
from sim.resilience.policies import AnyPolicy
from sim.resilience.token_bucket import TokenBucket
from sim.spec import Spec, did_you_mean
from sim.units import PositiveDuration, PositiveRate

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.world import World

MOST_CLIENT_KEYS = 100_000


class AuthSpec(Spec):
    """Known bearer tokens and who they stand for."""

    tokens: dict[str, str] = {}


class GatewayRateLimitSpec(Spec):
    """So many requests for each client, as a token bucket."""

    rate: PositiveRate
    burst: int = Field(default=100, ge=1)
    key: Literal["client", "token", "route", "all"] = "client"


class PartSpec(Spec):
    """One call of a composition; an *optional* one that fails leaves a degraded answer."""

    shorthand: ClassVar[str] = "send"
    send: CallTarget
    optional: bool = False


class RouteSpec(Spec):
    """*path* and *methods* go to the service *to*, or are answered by a composition of several calls."""

    path: str = Field(pattern="^/")
    methods: list[str] = []
    to: str | None = None
    compose: dict[str, PartSpec] | None = None
    timeout: PositiveDuration | None = None
    auth: Literal["required", "none"] | None = None  # None: required where `auth` is in the middleware and tokens are listed for the path
    policies: list[AnyPolicy] = []

    @model_validator(mode="after")
    def _somewhere(self) -> RouteSpec:
        if (self.to is None) == (self.compose is None):
            raise PydanticCustomError("route", "a route needs either `to` or `compose`")
        for method in self.methods:
            if method not in METHODS:
                raise PydanticCustomError("route", "unknown method {method}", {"method": repr(method), "cure": did_you_mean(method.upper(), METHODS)})
        return self


class GatewaySpec(NodeSpec):
    """The one door of the system."""

    word: ClassVar[str] = "gateway"
    kind: Literal["gateway"] = "gateway"
    workers: int = Field(default=512, ge=1)
    queue: QueueSpec = Field(default_factory=QueueSpec)
    middleware: list[Literal["logging", "metrics", "auth", "rate_limit"]] = ["logging", "metrics", "auth", "rate_limit"]
    auth: AuthSpec | None = None
    rate_limit: GatewayRateLimitSpec | None = None
    strip_prefix: str = "/api"  # taken off the path before it goes to a service that does not listen on the whole of it
    routes: list[RouteSpec] = []

    def workers_each(self) -> int:
        return self.workers

    def queue_spec(self) -> QueueSpec:
        return self.queue

    def build(self, name: str, world: World) -> Node:
        return Gateway(name, self, world)


class Route:
    """The runtime of a route at one gateway instance."""

    def __init__(self, gateway: Gateway, spec: RouteSpec, instance: Instance) -> None:
        self.gateway, self.spec, self.instance = gateway, spec, instance
        self.client: Client | None = instance.client(spec.to, spec.policies) if spec.to is not None else None
        self.parts = {name: (instance.client(part.send.node, spec.policies), part, instance.recorder.operation(part.send.operation))
                      for name, part in (spec.compose or {}).items()}

    async def serve(self, exchange: Exchange) -> Response:
        """Pass the request on, or put an answer together, within the route's time."""
        if self.spec.timeout is None:
            return await self._forward(exchange)
        with deadline_at(self.instance.loop.time() + self.spec.timeout):
            try:
                async with asyncio.timeout(self.spec.timeout):
                    return await self._forward(exchange)
            except TimeoutError:
                return Response(504)

    async def _forward(self, exchange: Exchange) -> Response:
        if self.client is None:
            return await self._compose(exchange)
        cause = exchange.request
        path = self.gateway.inner_path(cause.path, self.client.node)
        request = Request(cause.method, path, cause.trace, exchange.span, exchange.operation, cause.headers, cause.size, cause.body, cause.key, cause.priority)
        response = await self.client.call(request)
        if response.degraded:
            exchange.degraded = True
        return response if response.status < 400 else pass_on(response)

    async def _compose(self, exchange: Exchange) -> Response:
        cause = exchange.request
        tasks = {
            name: self.instance.loop.create_task(client.call(Request(part.send.method, part.send.path, cause.trace, exchange.span, operation, cause.headers)))
            for name, (client, part, operation) in self.parts.items()
        }
        body: dict[str, Any] = {}
        try:
            for name, task in tasks.items():
                response = await task
                if response.status < 400:
                    body[name] = response.body
                    exchange.degraded = exchange.degraded or response.degraded
                elif self.parts[name][1].optional:
                    body[name] = None
                    exchange.degraded = True
                else:
                    return pass_on(response)
        finally:
            for task in tasks.values():
                task.cancel()
        return Response(200, body)


Middleware = Callable[[Exchange, RouteSpec], Response | None]


class Gateway(Node):
    """The runtime of a gateway."""

    spec: GatewaySpec

    def __init__(self, name: str, spec: GatewaySpec, world: World) -> None:
        super().__init__(name, spec, world)
        for index, route in enumerate(spec.routes):
            for method in route.methods or ["*"]:
                self.routes.add(method, route.path, index)
        self._operations: dict[tuple[int, str], int] = {}
        self._no_route = world.recorder.operation("(no route)")
        self._inner: dict[tuple[str, str], str] = {}

    def operation_of(self, request: Request) -> int:
        index = self.routes.find(request.method, request.path)
        return self._no_route if index is None else self._operation(index, request.method)

    def _operation(self, route: int, method: str) -> int:
        found = self._operations.get((route, method))
        if found is None:
            found = self._operations[route, method] = self.world.recorder.operation(f"{method} {self.spec.routes[route].path}")
        return found

    def inner_path(self, path: str, node: Node) -> str:
        """The path as the service behind knows it: whole where it listens on that, else without the prefix."""
        prefix = self.spec.strip_prefix
        if not prefix or not path.startswith(prefix + "/") or node.listens_on(path):
            return path
        return path[len(prefix) :]

    def handler(self, instance: Instance) -> Handler:
        routes = [Route(self, spec, instance) for spec in self.spec.routes]
        checks = [check for name in self.spec.middleware if (check := self._middleware(name, instance)) is not None]

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            index = self.routes.find(request.method, request.path)
            if index is None:
                exchange.operation = self._no_route
                return Response(405 if self.routes.methods_of(request.path) else 404)
            exchange.operation = self._operation(index, request.method)
            route = routes[index]
            for check in checks:
                refusal = check(exchange, route.spec)
                if refusal is not None:
                    return refusal
            return await route.serve(exchange)

        return serve

    def _middleware(self, name: str, instance: Instance) -> Middleware | None:
        """A check, or None for what a gateway does anyway: every request is counted and logged."""
        makers: Mapping[str, Callable[[Instance], Middleware | None]] = {"auth": self._auth, "rate_limit": self._limit}
        return makers[name](instance) if name in makers else None

    def _auth(self, instance: Instance) -> Middleware | None:
        tokens = self.spec.auth.tokens if self.spec.auth is not None else {}

        def check(exchange: Exchange, route: RouteSpec) -> Response | None:
            if route.auth != "required":
                return None
            scheme, _, token = exchange.request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                return Response(401)
            return None if token in tokens else Response(403)

        return check

    def _limit(self, instance: Instance) -> Middleware | None:
        limit = self.spec.rate_limit
        if limit is None:
            return None
        buckets: dict[str, TokenBucket] = {}
        env = instance.env
        key_of: Mapping[str, Callable[[Exchange, RouteSpec], str]] = {
            "client": lambda exchange, route: exchange.client.source.name,
            "token": lambda exchange, route: exchange.request.headers.get("authorization", ""),
            "route": lambda exchange, route: route.path,
            "all": lambda exchange, route: "",
        }
        key = key_of[limit.key]

        def check(exchange: Exchange, route: RouteSpec) -> Response | None:
            who, now = key(exchange, route), env._now
            bucket = buckets.get(who)
            if bucket is None:
                if len(buckets) >= MOST_CLIENT_KEYS:
                    buckets.clear()
                bucket = buckets[who] = TokenBucket(limit.rate, limit.burst, now)
            if bucket.try_acquire(now):
                return None
            instance.rejected += 1
            return Response(429, rejected=True, retry_after=max(0.0, (1 - bucket.tokens(now)) / limit.rate) if math.isfinite(limit.rate) else None)

        return check


