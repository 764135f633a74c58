"""The shapes that an ASGI app may have, each of which gives the same answer; and what looks like one and is none."""

import functools

from fastapi import FastAPI
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse

answer = PlainTextResponse("here")


async def function(scope, receive, send):
    if scope["type"] == "http":
        await answer(scope, receive, send)


async def greeting(word, scope, receive, send):
    await function(scope, receive, send)


partial = functools.partial(greeting, "hello")
in_middleware = GZipMiddleware(function)


def given_a_word(app):
    @functools.wraps(app)
    def wrapper(scope, receive, send):
        return app("hello", scope, receive, send)

    return wrapper


decorated = given_a_word(greeting)


def without_wraps(app):
    return lambda *args: app(*args)


class Callable:
    async def __call__(self, scope, receive, send):
        await function(scope, receive, send)

    method = __call__


class Passing:
    """Not a coroutine function itself."""

    def __call__(self, scope, receive, send):
        return function(scope, receive, send)


class Decorated:
    @without_wraps
    async def __call__(self, scope, receive, send):
        await function(scope, receive, send)


class Slotted:
    """Its `__call__` is one of the object's own."""

    __slots__ = ("__call__",)

    def __init__(self):
        self.__call__ = function


class Endpoint(HTTPEndpoint):
    async def get(self, request):
        return answer


instance, method, passing, decorated_call, slotted = Callable(), Callable().method, Passing(), Decorated(), Slotted()
fastapi = FastAPI()


@fastapi.get("/")
async def root():
    return "here"


# what is none

def create_app():
    return function


def wsgi(environ, start_response):
    return [b"here"]


class OfTwo:
    """An app of ASGI 2."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await function(self.scope, receive, send)


def plain(scope, receive, send):
    return None
