"""The step that looks something up in a cache, and loads it where it is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sim.model.keys import AnyKeys
from sim.model.messages import Exchange, Request, Response
from sim.model.paths import Target
from sim.model.single_flight import SingleFlight
from sim.model.steps import Act, AnyStep, Step, sequence

if TYPE_CHECKING:
    from sim.model.cache import Cache
    from sim.model.client import Client
    from sim.model.service import Service

HIT = 200


class CacheLookup(Step):
    """Look a key up; on a miss run the *miss* steps and store the result. A cache that cannot be reached is a miss.

    With *single_flight* one request of an instance loads a key, and all others that miss it meanwhile wait for that: they go on if it
    succeeds, and fail if it fails. Without it they all load.
    """

    beside: ClassVar[tuple[str, ...]] = ("key", "miss", "single_flight")
    shorthand: ClassVar[str] = "in"
    in_: str = Field(alias="in")
    key: AnyKeys
    miss: list[AnyStep] = []
    single_flight: bool = False

    def targets(self) -> Iterator[Target]:
        yield Target(self.in_, "GET", "/key")
        yield Target(self.in_, "PUT", "/key")

    def children(self) -> Iterator[list[Step]]:
        yield self.miss

    def build(self, service: Service) -> Act:
        cache: Cache = service.world.node(self.in_)  # type: ignore[assignment]
        way = service.each(lambda instance: instance.client(self.in_))
        draw_key = service.each(lambda instance: self.key.drawer(instance.stream(f"cache {self.in_}")))
        on_miss = sequence(self.miss, service)
        get, put = service.world.recorder.operation("get"), service.world.recorder.operation("put")
        flight = service.each(lambda instance: SingleFlight(instance.loop, cache.counts)) if self.single_flight else None

        async def load(exchange: Exchange, key: str) -> Response | None:
            cache.load_begins(key)
            try:
                answer = await on_miss(exchange)
                if answer is None:
                    cause, client = exchange.request, exchange.instance.own[way]
                    await client.call(Request("PUT", "/key", cause.trace, exchange.span, put, key=key, priority=cause.priority))
                return answer
            finally:
                cache.load_ends(key)

        async def look_up(exchange: Exchange) -> Response | None:
            own, cause = exchange.instance.own, exchange.request
            client: Client = own[way]
            key = str(own[draw_key]())
            found = await client.call(Request("GET", "/key", cause.trace, exchange.span, get, key=key, priority=cause.priority))
            if found.status == HIT:
                return None
            if flight is None:
                return await load(exchange, key)
            single: SingleFlight = own[flight]
            return await single.load(key, lambda: load(exchange, key))

        return look_up
