"""A Starlette app that calls other services with httpx."""

import os

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

BACKEND = os.environ.get("BACKEND", "http://backend")
client = httpx.AsyncClient(base_url=BACKEND, timeout=httpx.Timeout(1.0), headers={"x-team": "shop"})


async def forward(request):
    try:
        answer = await client.request("POST" if request.url.path == "/echo" else "GET", request.url.path, json={"a": 1}, params={"p": "ü"})
    except httpx.HTTPError as error:
        return JSONResponse({"error": type(error).__name__, "text": str(error)}, status_code=502)
    told = {"wait": answer.headers["retry-after"]} if "retry-after" in answer.headers else {}
    return JSONResponse({"status": answer.status_code, "text": answer.text, "type": answer.headers.get("content-type"), **told})


async def elsewhere(request):
    try:
        await client.get("http://bakend/")
    except httpx.ConnectError as error:
        return JSONResponse({"text": str(error)})


async def collect(request):
    answer = await client.get("/cookies", headers=[("x-tag", "one"), ("x-tag", "two")])
    return JSONResponse({"tags": answer.json(), "cookies": answer.headers.get_list("set-cookie")})


app = Starlette(routes=[Route("/elsewhere", elsewhere), Route("/collect", collect), Route("/{path:path}", forward, methods=["GET", "POST"])])
