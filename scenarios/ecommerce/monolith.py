"""The same shop in one process: the same handlers, called as functions instead of over the network, on one database.

What splitting costs and buys can then be measured: a call inside takes no time on a wire and cannot be lost, and one slow part
takes the workers of all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from scenarios.ecommerce.inventory import Inventory
from scenarios.ecommerce.notifications import Notifications
from scenarios.ecommerce.orders import Orders
from scenarios.ecommerce.payments import Payments
from scenarios.ecommerce.products import Products
from scenarios.ecommerce.users import Users
from sim import Request, Response, Service
from sim.errors import CallError, StatusError
from sim.model.failures import explain_failure, pass_on
from sim.model.json_values import plain
from sim.model.marks import CHECKS, ROUTES, SUBSCRIPTIONS
from sim.model.messages import NO_HEADERS
from sim.model.paths import Routes
from sim.model.service_code import Endpoint, answer, named, routes_of
from sim.resilience.errors import Rejected

DATABASE = "shop-db"
ELSEWHERE = frozenset({"provider-ledger"})


class Monolith(Service):
    """A service made of others, its *parts* by the names under which they call each other; `work` in the config is of each part."""

    parts: ClassVar[Mapping[str, type[Service]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        """Give the class a method for whatever its parts listen to."""
        super().__init_subclass__(**options)
        for name, part in cls.parts.items():
            for attribute, function in _handlers_of(part):
                setattr(cls, f"{name}_{attribute}", _forward(name, attribute, function))

    def __init__(self) -> None:
        self._parts: dict[str, Service] = {}
        self._routes: dict[str, Routes[Endpoint]] = {}
        self._works = {name: self.times(work) for name, work in self.config.get("work", {}).items()}
        for name, cls in self.parts.items():
            part = cls.on(self._instance, self._config, self._meters)
            part.call = self._call  # type: ignore[method-assign]
            part.query = partial(self._query, part.query)  # type: ignore[method-assign]
            self._parts[name] = part
            self._routes[name] = Routes()
            for found in routes_of(cls):
                self._routes[name].add(found.method, found.path, Endpoint(0, found.attribute, named(found.path)))

    async def start(self) -> None:
        for part in self._parts.values():
            await part.start()

    def abandon(self) -> None:
        super().abandon()
        for part in self._parts.values():
            part.abandon()

    async def work_of(self, name: str) -> None:
        """Spend the CPU time of one request to a part."""
        if name in self._works:
            await self.work(self._works[name]())

    async def _query(self, query: Callable[..., Any], database: str, *args: Any, **options: Any) -> Any:
        return await query(database if database in ELSEWHERE else DATABASE, *args, **options)

    async def _call(self, callee: str, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] = NO_HEADERS,
                    **options: Any) -> Response:
        """A function call, where a part is meant; it answers as that part's service would over the network."""
        if callee not in self._parts:
            return await self.call(callee, method, path, json=json, headers=headers, **options)
        endpoint = self._routes[callee].find(method, path)
        if endpoint is None:
            return Response(404)
        with self.span(f"{callee}.{endpoint.attribute}"):
            await self.work_of(callee)
            act, request = getattr(self._parts[callee], endpoint.attribute), Request(method, path, headers=headers, body=plain(json))
            try:
                return await answer(act, endpoint, request)
            except StatusError as error:
                return pass_on(error.response)
            except (CallError, Rejected, TimeoutError) as error:
                return explain_failure(error)


def _handlers_of(part: type[Service]) -> Iterator[tuple[str, Any]]:
    for attribute in dict.fromkeys(name for base in reversed(part.__mro__) for name in vars(base)):
        function = getattr(part, attribute)
        if any(hasattr(function, mark) for mark in (ROUTES, CHECKS, SUBSCRIPTIONS)):
            yield attribute, function


def _forward(name: str, attribute: str, function: Any) -> Any:
    """A method of the whole that is served by one of its parts."""

    async def forward(self: Monolith, *args: Any, **named_values: Any) -> Any:
        if not hasattr(function, CHECKS):
            await self.work_of(name)
        return await getattr(self._parts[name], attribute)(*args, **named_values)

    for mark in (ROUTES, SUBSCRIPTIONS):
        if hasattr(function, mark):
            setattr(forward, mark, getattr(function, mark))
    if hasattr(function, CHECKS):
        setattr(forward, CHECKS, f"{name}: {getattr(function, CHECKS)}")
    return forward


class Shop(Monolith):
    """All contexts of the shop."""

    parts: ClassVar[Mapping[str, type[Service]]] = {
        "users": Users, "products": Products, "orders": Orders,
        "inventory": Inventory, "payments": Payments, "notifications": Notifications,
    }
