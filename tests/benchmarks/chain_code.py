"""The services of scenarios/chain.yaml as service code, and as ASGI apps that call each other with httpx."""

import httpx
from starlette.applications import Starlette
from starlette.requests import Request as AsgiRequest
from starlette.responses import JSONResponse
from starlette.routing import Route

from sim import Request, Response, Service, route


class Gateway(Service):
    @route("GET", "/")
    async def get(self, request: Request) -> Response:
        return (await self.call("orders", "GET", "/")).raise_for_status()


class Orders(Service):
    @route("GET", "/")
    async def get(self, request: Request) -> Response:
        return (await self.call("payments", "GET", "/")).raise_for_status()


class Payments(Service):
    @route("GET", "/")
    async def get(self, request: Request) -> Response:
        return Response(200)


client = httpx.AsyncClient(timeout=1.0)


def calling(callee: str) -> Starlette:
    async def get(request: AsgiRequest) -> JSONResponse:
        return JSONResponse((await client.get(f"http://{callee}/")).json())

    return Starlette(routes=[Route("/", get)])


async def paid(request: AsgiRequest) -> JSONResponse:
    return JSONResponse({"paid": True})


gateway, orders, payments = calling("orders"), calling("payments"), Starlette(routes=[Route("/", paid)])
