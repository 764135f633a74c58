"""A Starlette app with a lifespan, a streaming answer, synchronous handlers, and a counter in its module."""

import asyncio
import contextlib
import sys
import time

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

count = 0


@contextlib.asynccontextmanager
async def lifespan(app):
    await asyncio.sleep(2)
    yield {"opened": time.monotonic()}
    await asyncio.sleep(1)


async def echo(request):
    global count
    count += 1
    return JSONResponse({"body": await request.json(), "query": dict(request.query_params), "count": count, "opened": request.state.opened,
                         "agent": request.headers.get("user-agent"), "type": request.headers["content-type"]}, status_code=201)


async def item(request):
    return PlainTextResponse(str(request.path_params["item"]))


def synchronous(request):
    return PlainTextResponse("in a thread, elsewhere")


async def stream(request):
    async def pieces():
        for number in range(3):
            await asyncio.sleep(0.5)
            yield f"{number};"

    return StreamingResponse(pieces())


async def write_a_mail(request, fails):
    await asyncio.sleep(5)
    request.app.state.mails = [*getattr(request.app.state, "mails", []), time.monotonic()]
    if fails:
        raise ConnectionError("no mail today")


async def order(request):
    return PlainTextResponse("ordered", background=BackgroundTask(write_a_mail, request, "fails" in request.query_params))


async def mails(request):
    return JSONResponse(getattr(request.app.state, "mails", []))


async def cookies(request):
    answer = JSONResponse(request.headers.getlist("x-tag"))
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2, and more")
    return answer


async def cancelled(request):
    job = asyncio.create_task(asyncio.sleep(5))
    job.cancel()
    await job


async def leave(request):
    sys.exit(1)


async def broken(request):
    raise ZeroDivisionError("in the app")


app = Starlette(lifespan=lifespan, routes=[
    Route("/echo", echo, methods=["POST"]), Route("/items/{item:int}", item), Route("/synchronous", synchronous),
    Route("/stream", stream), Route("/broken", broken), Route("/exit", leave), Route("/order", order), Route("/mails", mails),
    Route("/cookies", cookies), Route("/cancelled", cancelled),
])


async def bare(scope, receive, send):
    """An app without a framework, and without a lifespan."""
    assert scope["type"] == "http"
    if scope["path"] == "/silent":
        return
    if scope["path"] == "/gone":
        await receive()
        await asyncio.wait_for(asyncio.shield(receive()), timeout=60)
        return
    if scope["path"] == "/odd":
        await send({"type": "websocket.accept"})
    await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"7")]})
    await send({"type": "http.response.body", "body": b"slow "})


async def refuses_to_start(scope, receive, send):
    """An app whose start fails."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no licence"})


async def exiting(scope, receive, send):
    """An app that ends the program where it misses its settings."""
    sys.exit(1)
