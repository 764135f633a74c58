"""httpx on the simulated network: `httpx.AsyncClient(transport=sim.httpx_transport())`, and clients that say nothing of a transport too.

The host of a URL is the name of a service: `http://payments/charges`. The call goes through the instance's own client of that
service, with the link's delays and faults, and the policies that `uses` may state; it is recorded like any other. What goes wrong
is raised as httpx' own exceptions:

    no such service, nobody healthy, refused        ConnectError        no answer within the client's timeout    ReadTimeout
    a circuit breaker, limiter or bulkhead of `uses`  PoolTimeout         the connection broke                     ReadError
"""

from __future__ import annotations

import asyncio
import math
import sys
from typing import TYPE_CHECKING, Any

from sim.errors import ConnectFailed, ConnectionReset, NoHealthyInstances, TargetNotFound
from sim.model.headers import headers_of, lines_of
from sim.model.messages import Request, Response
from sim.model.place import PLACE, Place, current_place
from sim.resilience.errors import Rejected

if TYPE_CHECKING:
    import httpx

HEAD = 200  # bytes of a request beside its body
_MARK = "_mesocosm_carried"


def httpx_transport() -> httpx.AsyncBaseTransport:
    """A transport for `httpx.AsyncClient` over the simulated network."""
    import httpx

    class SimulatedTransport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await send(request)

    return SimulatedTransport()


def carry_httpx() -> None:
    """Let clients with httpx' default transport call over the simulated network where they are used inside of a simulation."""
    httpx: Any = sys.modules.get("httpx")
    if httpx is None or hasattr(httpx.AsyncHTTPTransport, _MARK):
        return
    from sim.kernel import SimLoop

    over_sockets = httpx.AsyncHTTPTransport.handle_async_request

    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        if isinstance(asyncio.get_running_loop(), SimLoop) and PLACE.get(None) is not None:
            return await send(request)
        return await over_sockets(self, request)

    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request
    setattr(httpx.AsyncHTTPTransport, _MARK, True)


async def send(request: httpx.Request) -> httpx.Response:
    """Send *request* from the place at hand, and give its answer, or raise what httpx would."""
    import httpx

    place = current_place()
    if place is None:
        raise RuntimeError("this transport carries calls of simulated services: use it in code that a service of a scenario runs")
    if not place.instance.up:
        raise asyncio.CancelledError(f"{place.instance.name} was killed")
    body = await request.aread()
    timeout = request.extensions.get("timeout", {}).get("read")
    try:
        async with asyncio.timeout(timeout):
            response = await _call(place, request, body)
    except TimeoutError:
        raise httpx.ReadTimeout(f"no answer within {timeout:g} s", request=request) from None
    except TargetNotFound as error:
        raise httpx.ConnectError(f"[Errno -2] Name or service not known: {error}", request=request) from None
    if response.error is not None:
        raise _as_httpx(response.error)(str(response.error), request=request) from response.error
    headers = response.headers or ({"content-type": "application/json"} if response.body is not None else {})
    if response.retry_after is not None:
        headers = {"retry-after": str(math.ceil(response.retry_after)), **headers}  # in whole seconds, as HTTP has it
    return httpx.Response(response.status, headers=lines_of(headers), content=response.content, request=request)


async def _call(place: Place, request: httpx.Request, body: bytes) -> Response:
    instance, exchange = place.instance, place.exchange
    client = instance.client(request.url.host)
    headers = headers_of(request.headers.raw)
    priority = exchange.request.priority if exchange is not None else 0
    path = request.url.raw_path.decode("latin-1")
    sent = Request(request.method, path, place.trace, place.span, 0, headers, len(body) + HEAD, body or None, None, priority)
    sent.operation = client.node.operation_of(sent)
    response = await client.call(sent)
    if exchange is not None and response.degraded:
        exchange.degraded = True
    return response


def _as_httpx(error: BaseException) -> type[httpx.RequestError]:
    """httpx' class for what ended a call."""
    import httpx

    table: tuple[tuple[type[BaseException], type[httpx.RequestError]], ...] = (
        (Rejected, httpx.PoolTimeout), (NoHealthyInstances, httpx.ConnectError), (ConnectFailed, httpx.ConnectError),
        (ConnectionReset, httpx.ReadError), (TimeoutError, httpx.ReadTimeout),
    )
    return next((theirs for ours, theirs in table if isinstance(error, ours)), httpx.TransportError)
