"""An API gateway: middleware outermost first, routes in the order written, and the field's answers when something is not there.

    no route 404 · wrong method 405 · too large 413 · no token 401 · unknown token 403 · over the rate 429
    no instance, circuit open, bulkhead full 503 · too late 504 · the service behind failed, or cannot be reached 502

`/health` it answers itself, for a registry must find it well whoever is ill behind it; unless a route has just that path.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from sim.mistakes import Loc, Mistake, invalid
from sim.model.gateway_middleware import AuthSpec, Buckets, GatewayRateLimitSpec, middleware
from sim.model.gateway_routes import PartSpec, Route
from sim.model.health import PATH as HEALTH
from sim.model.instance import Instance
from sim.model.messages import Exchange, Request, Response
from sim.model.node import Handler, Node, NodeSpec, QueueSpec
from sim.model.paths import METHODS, compile_pattern, is_pattern
from sim.model.spans import explain
from sim.model.steps import CallTarget
from sim.names import Shape, UrlPath
from sim.resilience.policies import AnyPolicy
from sim.resilience.policy import PolicySpec
from sim.spec import Spec, did_you_mean
from sim.units import PositiveDuration, Size

if TYPE_CHECKING:
    from sim.model.world import World

CACHED = 50_000  # looked-up paths that are remembered
PREFIX = Shape("the beginning of paths, without a '/' at its end, or nothing", "(/.*[^/])?", lambda text: f"/{text.strip('/') or 'api'}")


class RouteSpec(Spec):
    """What comes with this *path*, one of these *methods* (none: any) and these *headers* (`*` in a value is any text) goes to a service.

    *to* names it; *split* names several, each with its weight; *compose* makes several calls and puts their answers together. After
    *timeout* it is 504, or what a composition has without its optional parts. If the service fails, refuses or is too late, *fallback*
    is called instead, for which there is as much time again, and the answer counts as degraded.
    """

    path: UrlPath
    methods: list[str] = []
    headers: dict[str, str] = {}
    to: str | None = None
    split: dict[str, int] | None = None
    compose: dict[str, PartSpec] | None = None
    fallback: CallTarget | None = None
    timeout: PositiveDuration | None = None
    auth: Literal["required", "none"] = "none"
    rate_limit: GatewayRateLimitSpec | None = None  # beside that of the gateway
    max_request_size: Size | None = None  # instead of that of the gateway
    policies: list[AnyPolicy] = []

    @model_validator(mode="after")
    def _somewhere(self) -> RouteSpec:
        wrong = []
        if sum(way is not None for way in (self.to, self.split, self.compose)) != 1:
            wrong.append(Mistake((), "a route needs one of `to`, `split` and `compose`", "write where it goes: `to: orders`"))
        if self.compose == {}:
            wrong.append(Mistake(("compose",), "there is nothing to put together", "write `compose: {orders: GET orders/mine}`"))
        for index, method in enumerate(self.methods):
            if method not in METHODS:
                wrong.append(Mistake(("methods", index), f"unknown method {method!r}", did_you_mean(method.upper(), METHODS)))
        if self.split is not None and (min(self.split.values(), default=0) < 0 or not any(self.split.values())):
            wrong.append(Mistake(("split",), "weights are 0 or more, and one of them is above 0",
                                 "write `split: {orders: 90, orders-v2: 10}`"))
        if wrong:
            raise invalid(*wrong)
        return self

    def fits(self, request: Request) -> bool:
        """Whether its headers are those that are asked for."""
        return all(fnmatchcase(request.headers.get(name.lower(), ""), wanted) for name, wanted in self.headers.items())

    @property
    def services(self) -> list[str]:
        """Where requests are passed on to."""
        return [self.to] if self.to is not None else list(self.split or ())

    def ways(self, callee: str) -> Iterator[tuple[float | None, list[PolicySpec]]]:
        """For each call of *callee* that it may make: how long that may take (None: without end), and the route's policies around it."""
        if callee in self.services:
            yield self.timeout, self.policies
        yield from ((part.within(self.timeout), self.policies) for part in (self.compose or {}).values() if part.send.node == callee)
        if self.fallback is not None and self.fallback.node == callee:
            yield self.timeout, []


class GatewaySpec(NodeSpec):
    """The one door of the system. Its *middleware* is run in the order written, before the route.

    Of its *routes* a request takes the first that fits, exact paths before patterns. `GET /health` it answers itself, unless a route
    has just that path.
    """

    word: ClassVar[str] = "gateway"
    kind: Literal["gateway"] = "gateway"
    workers: int = Field(default=512, ge=1)
    queue: QueueSpec = Field(default_factory=QueueSpec)
    middleware: list[Literal["logging", "metrics", "auth", "rate_limit"]] = ["logging", "metrics", "auth", "rate_limit"]
    auth: AuthSpec | None = None
    rate_limit: GatewayRateLimitSpec | None = None
    max_request_size: Size | None = None  # checked before all else; None: any size
    strip_prefix: Annotated[str, PREFIX] = "/api"  # taken off the path before it goes to a service that does not listen on the whole of it
    routes: list[RouteSpec] = []

    @model_validator(mode="after")
    def _middleware_is_used(self) -> GatewaySpec:
        asked: dict[str, list[Loc]] = {
            "auth": [("auth",)] * (self.auth is not None)
            + [("routes", index, "auth") for index, route in enumerate(self.routes) if route.auth == "required"],
            "rate_limit": [("rate_limit",)] * (self.rate_limit is not None)
            + [("routes", index, "rate_limit") for index, route in enumerate(self.routes) if route.rate_limit is not None],
        }
        wrong = [Mistake(loc, f"`{name}` is not in the `middleware`, so that it does nothing", f"add {name} to that list", at_key=True)
                 for name, places in asked.items() if name not in self.middleware for loc in places]
        if self.auth is None and "auth" in self.middleware:
            wrong += [Mistake(loc, "nobody has a token that is known here", "add `auth: {tokens: {demo-token: shopper}}` to the gateway")
                      for loc in asked["auth"]]
        wrong += [Mistake(("middleware", index), f"`{name}` is in this list twice", "take one of them out")
                  for index, name in enumerate(self.middleware) if name in self.middleware[:index]]
        wrong += self._never_reached()
        if wrong:
            raise invalid(*wrong)
        return self

    def _never_reached(self) -> list[Mistake]:
        """Routes behind another one that takes all that they could."""
        wrong = []
        for index, route in enumerate(self.routes):
            for earlier in self.routes[:index]:
                takes_all = not earlier.methods or (route.methods and set(route.methods) <= set(earlier.methods))
                if earlier.path == route.path and takes_all and earlier.headers.items() <= route.headers.items():
                    wrong.append(Mistake(("routes", index, "path"), f"nothing gets here: an earlier route takes all of {route.path!r}",
                                         "put the more special route first, or take one of them out"))
                    break
        return wrong

    def workers_each(self) -> int:
        return self.workers

    def queue_spec(self) -> QueueSpec:
        return self.queue

    def build(self, name: str, world: World) -> Node:
        return Gateway(name, self, world)


class RouteTable:
    """Which route a request takes: the first in the order written that fits, exact paths before patterns. `GET /health` fits no pattern."""

    def __init__(self, routes: list[RouteSpec]) -> None:
        self._routes = routes
        self._patterns = [compile_pattern(route.path) for route in routes]
        self._order = sorted(range(len(routes)), key=lambda index: is_pattern(routes[index].path))
        self._by_headers = any(route.headers for route in routes)
        self._seen: dict[str, list[int]] = {}

    def find(self, request: Request) -> int | None:
        """The index of the route, or None."""
        candidates = self._fitting(request.method, request.path)
        if not self._by_headers:
            return candidates[0] if candidates else None
        return next((index for index in candidates if self._routes[index].fits(request)), None)

    def _fitting(self, method: str, path: str) -> list[int]:
        """Those whose path and method fit."""
        key = f"{method} {path}"
        found = self._seen.get(key)
        if found is None:
            bare = path.partition("?")[0]
            found = [index for index in self._order if self._has(index, method, bare)
                     and (not self._routes[index].methods or method in self._routes[index].methods)]
            if len(self._seen) >= CACHED:
                self._seen.clear()
            self._seen[key] = found
        return found

    def _has(self, index: int, method: str, bare: str) -> bool:
        own = (method, bare) == ("GET", HEALTH)
        return self._routes[index].path == HEALTH if own else self._patterns[index].fullmatch(bare) is not None

    def refuses_method(self, request: Request) -> bool:
        """There are routes with its path, and none of them takes its method."""
        bare = request.path.partition("?")[0]
        return any(self._has(index, request.method, bare) for index in self._order) and not self._fitting(request.method, request.path)


class Gateway(Node):
    """The runtime of a gateway."""

    spec: GatewaySpec

    def __init__(self, name: str, spec: GatewaySpec, world: World) -> None:
        super().__init__(name, spec, world)
        for index, route in enumerate(spec.routes):
            for method in route.methods or ["*"]:
                self.routes.add(method, route.path, index)
        self.table = RouteTable(spec.routes)
        self._operations: dict[tuple[int, str], int] = {}
        self._routes: dict[Instance, list[Route]] = {}
        self._counts: dict[int, Buckets] = {}  # of rates that all instances count together
        self._no_route, self._health = world.recorder.operation("(no route)"), world.recorder.operation(f"GET {HEALTH}")

    def operation_of(self, request: Request) -> int:
        index = self.table.find(request)
        return self._outside(request) if index is None else self._operation(index, request.method)

    def _outside(self, request: Request) -> int:
        """The name of what no route takes."""
        return self._health if _asks_for_health(request) else self._no_route

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
        if instance not in self._routes:
            self._routes[instance] = [Route(self, spec, instance) for spec in self.spec.routes]
        routes = self._routes[instance]
        checks = middleware(self.spec, instance, self._counts)
        find = self.table.find

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            index = find(request)
            if index is None:
                return self._nowhere(exchange)
            exchange.operation = self._operation(index, request.method)
            route = routes[index]
            for check in checks:
                refusal = check(exchange, route.spec)
                if refusal is not None:
                    instance.rejected += refusal.rejected
                    explain(instance.recorder, exchange.span, refusal.body)
                    return refusal
            return await route.serve(exchange)

        return serve

    def boot(self, instance: Instance) -> None:
        """A new process has counted nobody's requests yet."""
        instance.set_handler(self.handler(instance))
        super().boot(instance)

    def _nowhere(self, exchange: Exchange) -> Response:
        request = exchange.request
        exchange.operation = self._outside(request)
        if _asks_for_health(request):
            return Response(200)
        return Response(405 if self.table.refuses_method(request) else 404)


def _asks_for_health(request: Request) -> bool:
    return request.method == "GET" and request.path.partition("?")[0] == HEALTH
