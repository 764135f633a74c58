"""Service code's side of a cache. A cache that cannot be reached is a miss: it makes things faster, nothing depends on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sim.errors import TargetNotFound
from sim.model.messages import Request, Response
from sim.model.place import current_place
from sim.model.single_flight import SingleFlight

if TYPE_CHECKING:
    from sim.model.cache import Cache
    from sim.model.handlers import Service
    from sim.model.instance import Instance


class CacheClient:
    """Values by key."""

    __slots__ = ("_cache", "_client", "_flight", "_instance", "_service")

    def __init__(self, service: Service, instance: Instance, name: str) -> None:
        self._service, self._instance = service, instance
        self._client = instance.client(name)
        if self._client.node.spec.word != "cache":
            raise TargetNotFound(f"{name!r} is a {self._client.node.spec.word}, and no cache")
        self._cache: Cache = self._client.node  # type: ignore[assignment]
        self._flight = SingleFlight(instance.loop, self._cache.counts)

    async def get(self, key: str) -> Any:
        """The value at *key*, or None."""
        response = await self._send("GET", "get", key)
        return response.body if response.status == 200 else None

    async def set(self, key: str, value: Any) -> None:
        """Keep *value*, which is not None."""
        await self._send("PUT", "put", key, value)

    async def delete(self, key: str) -> None:
        """Forget *key*."""
        await self._send("DELETE", "delete", key)

    async def get_or(self, key: str, miss: Callable[[], Awaitable[Any]], *, single_flight: bool = False) -> Any:
        """The value at *key*; on a miss what *miss* gives, which is kept unless it is None.

        With *single_flight* one of this process calls *miss* for a key, and all others who want it meanwhile share what comes of it.
        """
        value = await self.get(key)
        if value is not None:
            return value
        return await (self._flight.load(key, lambda: self._load(key, miss)) if single_flight else self._load(key, miss))

    async def _load(self, key: str, miss: Callable[[], Awaitable[Any]]) -> Any:
        self._cache.load_begins(key)
        try:
            value = await miss()
            if value is not None:
                await self.set(key, value)
            return value
        finally:
            self._cache.load_ends(key)

    async def _send(self, method: str, word: str, key: str, body: Any = None) -> Response:
        self._service._check_alive()
        place = current_place()
        trace, span = (place.trace, place.span) if place is not None else (0, 0)
        request = Request(method, "/key", trace, span, self._instance.recorder.operation(word), body=body, key=key)
        response = await self._client.call(request)
        self._service._check_alive()
        return response
