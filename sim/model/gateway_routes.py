"""What a gateway does with a request that it lets in: pass it on, share it out, or put an answer together from several."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sim.model.failures import pass_on
from sim.model.messages import Exchange, Request, Response
from sim.model.paths import Target
from sim.model.spans import explain
from sim.model.steps import CallTarget
from sim.resilience.deadline import deadline_at
from sim.spec import Spec
from sim.telemetry.codes import Reason
from sim.units import PositiveDuration

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.gateway import Gateway, RouteSpec
    from sim.model.instance import Instance


TOO_LATE = int(Reason.TIMEOUT)
USER = "x-user"  # the header that tells services who has shown a token


class PartSpec(Spec):
    """One call of a composition; an *optional* one that fails, or is not there in time, leaves a degraded answer.

    Its time is that of the route, or *timeout* if that is shorter.
    """

    shorthand: ClassVar[str] = "send"
    send: CallTarget
    optional: bool = False
    timeout: PositiveDuration | None = None

    def within(self, limit: float | None) -> float | None:
        """How long it may take where the whole has so long, in seconds (None: without end)."""
        return min((time for time in (self.timeout, limit) if time is not None), default=None)


class PartFailed(Exception):
    """A part that the answer cannot do without."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Route:
    """The runtime of a route at one gateway instance."""

    def __init__(self, gateway: Gateway, spec: RouteSpec, instance: Instance) -> None:
        self.gateway, self.spec, self.instance = gateway, spec, instance
        self.clients = [instance.client(name, spec.policies) for name in spec.services]
        self._weights = list(spec.split.values()) if spec.split is not None else []
        self._dice = instance.stream(f"split {spec.path}")
        self.parts = {name: (instance.client(part.send.node, spec.policies), part, instance.recorder.operation(part.send.operation))
                      for name, part in (spec.compose or {}).items()}
        self._fallback = instance.client(spec.fallback.node) if spec.fallback is not None else None

    async def serve(self, exchange: Exchange) -> Response:
        """Answer within the route's time; the fallback has as long again."""
        limit = self.spec.timeout
        response = await (self._compose(exchange) if self.parts else self._in_time(exchange, self._forward(exchange), limit, "the route"))
        if self._fallback is not None and (response.status >= 500 or response.rejected):
            return await self._fall_back(exchange, response)
        return response if response.status < 400 else pass_on(response)

    async def _in_time(self, exchange: Exchange, answer: Coroutine[Any, Any, Response], limit: float | None, of: str) -> Response:
        """The *answer* if it comes within *limit* seconds (None: whenever it comes), else 504."""
        if limit is None:
            return await answer
        with deadline_at(self.instance.loop.time() + limit):
            try:
                async with asyncio.timeout(limit):
                    return await answer
            except TimeoutError:
                explain(self.instance.recorder, exchange.span, f"timeout of {of}")
                return Response(504, reason=TOO_LATE)

    async def _forward(self, exchange: Exchange) -> Response:
        cause = exchange.request
        client = self.clients[0] if not self._weights else self._dice.choices(self.clients, self._weights)[0]
        path = self.gateway.inner_path(cause.path, client.node)
        response = await client.call(Request(
            cause.method, path, cause.trace, exchange.span, exchange.operation, self._headers(cause), cause.size, cause.body, cause.key,
            cause.priority))
        if response.degraded:
            exchange.degraded = True
        return response

    def _headers(self, request: Request) -> Mapping[str, str]:
        """What services behind get: whoever has shown a token is named, and nobody else can name himself."""
        headers, auth = request.headers, self.gateway.spec.auth
        if auth is not None and self.spec.auth == "required" and (user := auth.user(headers)) is not None:
            return {**headers, USER: user}
        return {name: text for name, text in headers.items() if name != USER} if USER in headers else headers

    async def _fall_back(self, exchange: Exchange, response: Response) -> Response:
        """What is asked instead; *response* stays the answer if that fails too."""
        target = self.spec.fallback
        assert self._fallback is not None and target is not None, "there is something to ask"
        asked = self._send(self._fallback, target, self.instance.recorder.operation(target.operation), exchange)
        answer = await self._in_time(exchange, asked, self.spec.timeout, "the fallback")
        if answer.status >= 400:
            return pass_on(response)
        exchange.degraded = True
        return answer

    async def _send(self, client: Client, target: Target, operation: int, exchange: Exchange) -> Response:
        cause = exchange.request
        return await client.call(Request(
            target.method, target.path, cause.trace, exchange.span, operation, self._headers(cause), key=cause.key,
            priority=cause.priority))

    # composition

    async def _compose(self, exchange: Exchange) -> Response:
        """All parts at once, each with its time; the first one that is needed and fails ends the others."""
        loop = self.instance.loop
        tasks = [loop.create_task(self._part(name, exchange), name=f"{self.instance.name} part {name}") for name in self.parts]
        try:
            found = await asyncio.gather(*tasks)
        except PartFailed as failed:
            return failed.response
        finally:
            for task in tasks:
                task.cancel()
        return Response(200, dict(zip(self.parts, found, strict=True)))

    async def _part(self, name: str, exchange: Exchange) -> Any:
        client, part, operation = self.parts[name]
        asked = self._send(client, part.send, operation, exchange)
        response = await self._in_time(exchange, asked, part.within(self.spec.timeout), f"the part {name}")
        if response.status >= 400 and not part.optional:
            raise PartFailed(response)
        if response.status >= 400 or response.degraded:
            exchange.degraded = True
        return response.body if response.status < 400 else None
