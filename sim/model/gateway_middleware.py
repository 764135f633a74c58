"""What a gateway does before it passes a request on: it is small enough, it has a token, it does not come too often.

A middleware answers with a refusal, or with None to go on. Logging and metrics are no checks: every request is recorded anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sim.model.messages import Exchange, Response
from sim.resilience.token_bucket import TokenBucket
from sim.spec import Spec
from sim.units import PositiveRate

if TYPE_CHECKING:
    from sim.model.gateway import GatewaySpec, RouteSpec
    from sim.model.instance import Instance

MOST_CLIENT_KEYS = 100_000
WHOLE = -1  # the place of the limit that is no route's
Buckets = dict[str, TokenBucket]  # by key
Middleware = Callable[[Exchange, "RouteSpec"], Response | None]


class AuthSpec(Spec):
    """Known bearer tokens and who they stand for. Services behind are told who that is, by the header `x-user`."""

    tokens: dict[str, str] = {}

    def user(self, headers: Mapping[str, str]) -> str | None:
        """Whom the token in *headers* stands for; None where there is no bearer token, or none that is known."""
        return self.tokens.get(bearer(headers))


class GatewayRateLimitSpec(Spec):
    """So many requests for each *key*, as a token bucket. A client is a workload as a whole, or an instance of a service.

    Each instance of the gateway counts by itself, and from nothing when it is started again. A *shared* count is kept beside them, and is
    one for all.
    """

    rate: PositiveRate
    burst: int = Field(default=100, ge=1)
    key: Literal["client", "token", "route", "all"] = "client"
    shared: bool = False


def bearer(headers: Mapping[str, str]) -> str:
    """The bearer token in *headers*, or nothing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def middleware(spec: GatewaySpec, instance: Instance, shared: dict[int, Buckets]) -> list[Middleware]:
    """The checks of one instance: size first, then in the order that is written. In *shared* is what all instances count together."""
    makers: Mapping[str, Callable[[], Middleware | None]] = {
        "auth": lambda: _auth(spec), "rate_limit": lambda: _rate_limits(spec, instance, shared)}
    made = [makers[name]() for name in spec.middleware if name in makers]
    return [check for check in (_size(spec), *made) if check is not None]


def _size(spec: GatewaySpec) -> Middleware | None:
    if spec.max_request_size is None and all(route.max_request_size is None for route in spec.routes):
        return None

    def check(exchange: Exchange, route: RouteSpec) -> Response | None:
        limit = route.max_request_size if route.max_request_size is not None else spec.max_request_size
        return None if limit is None or exchange.request.size <= limit else Response(413, "too large", rejected=True)

    return check


def _auth(spec: GatewaySpec) -> Middleware | None:
    tokens = spec.auth.tokens if spec.auth is not None else {}
    if all(route.auth == "none" for route in spec.routes):
        return None

    def check(exchange: Exchange, route: RouteSpec) -> Response | None:
        if route.auth == "none":
            return None
        token = bearer(exchange.request.headers)
        if not token:
            return Response(401, "no token")
        return None if token in tokens else Response(403, "unknown token")

    return check


def _rate_limits(spec: GatewaySpec, instance: Instance, shared: dict[int, Buckets]) -> Middleware | None:
    def limiter(limit: GatewayRateLimitSpec, place: int) -> _Limiter:
        return _Limiter(limit, instance, shared.setdefault(place, {}) if limit.shared else {})

    whole = limiter(spec.rate_limit, WHOLE) if spec.rate_limit is not None else None
    of_routes = {id(route): limiter(route.rate_limit, place) for place, route in enumerate(spec.routes) if route.rate_limit is not None}
    if whole is None and not of_routes:
        return None

    def check(exchange: Exchange, route: RouteSpec) -> Response | None:
        for either in (whole, of_routes.get(id(route))):
            refusal = either.check(exchange, route) if either is not None else None
            if refusal is not None:
                return refusal
        return None

    return check


class _Limiter:
    """A bucket for each key."""

    def __init__(self, limit: GatewayRateLimitSpec, instance: Instance, buckets: Buckets) -> None:
        self._limit, self._instance, self._buckets = limit, instance, buckets
        self._key = _KEYS[limit.key]

    def check(self, exchange: Exchange, route: RouteSpec) -> Response | None:
        """429 with Retry-After where the bucket is empty."""
        who, now, limit = self._key(exchange, route), self._instance.env._now, self._limit
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= MOST_CLIENT_KEYS:
                self._buckets.clear()
            bucket = self._buckets[who] = TokenBucket(limit.rate, limit.burst, now)
        if bucket.try_acquire(now):
            return None
        return Response(429, "rate limit", rejected=True, retry_after=max(0.0, (1 - bucket.tokens(now)) / limit.rate))


_KEYS: Mapping[str, Callable[[Exchange, RouteSpec], str]] = {
    "client": lambda exchange, route: exchange.client.source.name,
    "token": lambda exchange, route: exchange.request.headers.get("authorization", ""),
    "route": lambda exchange, route: route.path,
    "all": lambda exchange, route: "",
}
