"""A proxy in front of the backends of two tenants, with a circuit breaker that does not know which of them it is about."""

import httpx
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

client = httpx.AsyncClient(timeout=0.5)
breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=10)


def proxy(by_tenant: bool) -> Starlette:
    """The app; *by_tenant* is the cure."""

    async def forward(request: Request) -> PlainTextResponse:
        tenant = request.path_params["tenant"]
        name = f"backend of {tenant}" if by_tenant else "backend"  # the bug: one breaker for all
        try:
            async with await breakers.get_breaker(name):
                answer = await client.get(f"http://{tenant}/")
                answer.raise_for_status()
        except OpenedState:
            return PlainTextResponse("open", status_code=503)
        except httpx.HTTPError as error:
            return PlainTextResponse(type(error).__name__, status_code=502)
        return PlainTextResponse(answer.text)

    return Starlette(routes=[Route("/{tenant}/things", forward)])


app = proxy(by_tenant=False)
fixed = proxy(by_tenant=True)
