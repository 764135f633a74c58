"""A product page with recommendations, which are nice to have. Nobody has said how long to wait for them."""

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def page(timeout: float | None) -> Starlette:
    """The app; a *timeout* in seconds is the cure."""
    client = httpx.AsyncClient(base_url="http://recommendations", timeout=timeout)  # the bug: None waits for ever

    async def product(request: Request) -> JSONResponse:
        try:
            also = (await client.get("/for/" + request.path_params["sku"])).text
        except httpx.HTTPError:
            also = None
        return JSONResponse({"sku": request.path_params["sku"], "also": also})

    return Starlette(routes=[Route("/products/{sku}", product)])


app = page(timeout=None)
fixed = page(timeout=0.2)
