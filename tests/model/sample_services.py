"""Service classes that the tests of handlers are about."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from functools import wraps
from typing import Any

from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables
from sim.resilience.deadline import current_deadline

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")
loaded: list[str] = []  # a module's own state


class Echo(Service):
    """Answers what it was asked."""

    @route("POST", "/echo")
    async def echo(self, request: Request) -> Response:
        return Response(200, json=request.json)

    @route("GET", "/things/{kind}/{number}")
    async def thing(self, request: Request, kind: str, number: str) -> Any:
        return {"kind": kind, "number": int(number)}

    @route("GET", "/module")
    async def module(self, request: Request) -> Any:
        loaded.append(self.instance_name)
        return list(loaded)

    @route("GET", "/deadline")
    async def deadline(self, request: Request) -> Any:
        return current_deadline() - self.now

    @route("GET", "/whose/{name}")
    async def whose(self, request: Request, name: str) -> Any:
        before = WHOSE.get()
        WHOSE.set(name)
        await asyncio.sleep(0.01)
        return [before, WHOSE.get()]

    @route("GET", "/broken")
    async def broken(self, request: Request) -> Response:
        raise KeyError("no such luck")

    @route("GET", "/exit")
    async def exit(self, request: Request) -> Response:
        sys.exit(3)

    @route("GET", "/cancelled/{how}")
    async def cancelled(self, request: Request, how: str) -> Response:
        job = asyncio.create_task(asyncio.sleep(5))
        victim = asyncio.current_task() if how == "itself" else job
        assert victim is not None
        victim.cancel()
        await job
        return Response(200)

    @route("GET", "/status/{status}")
    async def status(self, request: Request, status: str) -> Response:
        return Response({"text": "200", "many": 99_999, "few": 99}[status])  # type: ignore[arg-type]

    @route("GET", "/odd")
    async def odd(self, request: Request) -> Response:
        return Response(200, json={"set": {1, 2}})

    @route("POST", "/work")
    async def work_so_long(self, request: Request) -> Response:
        await self.work(request.json)
        return Response(200)

    @route("GET", "/slow")
    async def slow(self, request: Request) -> Response:
        await self.work(1.0)
        return Response(200)


class Named(Service):
    """Notes in a context variable who it is, as those do who bind it to all their log lines."""

    def __init__(self) -> None:
        self.found = WHOSE.get()
        WHOSE.set(f"of {self.instance_name}")

    @route("GET", "/")
    async def names(self, request: Request) -> Any:
        return [self.found, WHOSE.get()]


class Caller(Service):
    """Calls echo."""

    @route("GET", "/pass-on/{path}")
    async def pass_on(self, request: Request, path: str) -> Response:
        return (await self.call("echo", "GET", f"/{path}")).raise_for_status()

    @route("GET", "/patient")
    async def patient(self, request: Request) -> Response:
        async with asyncio.timeout(0.5):
            await self.call("echo", "GET", "/slow")
        return Response(200)

    @route("GET", "/optional")
    async def optional(self, request: Request) -> Any:
        answer = await self.call("echo", "GET", "/broken", optional=True)
        return {"status": answer.status}

    @route("POST", "/shared")
    async def shared(self, request: Request) -> Any:
        mine = {"list": [1]}
        answer = await self.call("echo", "POST", "/echo", json=mine)
        answer.json["list"].append(2)
        return mine

    @route("GET", "/spans")
    async def spans(self, request: Request) -> Response:
        with self.span("outer", **{"order.id": "o-1"}) as span:
            await self.call("echo", "POST", "/echo")
            span.set("order.total", 1250)
        try:
            with self.span("inner"):
                raise ValueError("not today")
        except ValueError:
            self.log.warn("inner failed", attempt=1)
        self.annotate(**{"customer.id": "u-1"})
        self.metric("looks").add()
        return Response(200)


class Keeper(Service):
    """Keeps numbers in a database, and one in memory."""

    def __init__(self) -> None:
        self.in_memory = 0

    @route("POST", "/add/{amount}")
    async def add(self, request: Request, amount: str) -> Any:
        self.in_memory += int(amount)

        def add(tables: Tables) -> int:
            tables["sums"]["all"] = tables["sums"].get("all", 0) + int(amount)
            if int(amount) < 0:
                raise ValueError("only more")
            return int(tables["sums"]["all"])

        return {"memory": self.in_memory, "database": await self.query("db", add, write=True)}

    @route("POST", "/twice")
    async def twice(self, request: Request) -> Response:
        async with self.transaction("db") as statements:
            statements.append(lambda tables: tables["sums"].update(all=7))
            statements.append(lambda tables: tables["missing"]["row"])
        return Response(200)

    @route("GET", "/sum")
    async def sum(self, request: Request) -> Any:
        return await self.query("db", lambda tables: tables["sums"].get("all"))

    @route("GET", "/cached/{key}")
    async def cached(self, request: Request, key: str) -> Any:
        async def miss() -> str:
            self.in_memory += 1
            return f"value of {key}"

        return [await self.cache("cache").get_or(key, miss), self.in_memory]

    @route("GET", "/alone/{key}")
    async def alone(self, request: Request, key: str) -> Any:
        async def miss() -> str:
            await self.work(0.1)
            self.in_memory += 1
            if key == "nowhere":
                raise LookupError(key)
            return f"value of {key}"

        return await self.cache("cache").get_or(key, miss, single_flight=True)

    @route("POST", "/rows/{row}")
    async def write_row(self, request: Request, row: str) -> Any:
        await self.query("db", lambda tables: tables["rows"].update({row: self.now}), write=True, time=1.0, key=row)
        return self.now


class Living(Service):
    """Takes its time to start and to stop, and works beside its requests."""

    async def start(self) -> None:
        await asyncio.sleep(2.0)
        self.spawn(self._tick(), "ticks")
        self.spawn(self._fail(), "failing")

    async def stop(self) -> None:
        await self.query("db", lambda tables: tables["stopped"].update({self.instance_name: self.now}), write=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.query("db", lambda tables: tables["ticks"].update({self.now: self.instance_name}), write=True)

    async def _fail(self) -> None:
        raise RuntimeError("beside the point")

    @route("GET", "/")
    async def get(self, request: Request) -> Response:
        return Response(200)

    @route("GET", "/stubborn")
    async def stubborn(self, request: Request) -> Response:
        try:
            await asyncio.sleep(10)
        finally:
            await self.query("db", lambda tables: tables["ghosts"].update({self.now: "written after death"}), write=True)
        return Response(200)

    @health_check("database")
    async def database(self) -> str:
        await self.query("db")
        return "db answers"

    @health_check("friend")
    async def friend(self) -> None:
        (await self.call("friend", "GET", "/health")).raise_for_status()


class Silent(Service):
    """Never answers its health check in time."""

    health_timeout = 0.5

    @route("GET", "/")
    async def get(self, request: Request) -> Response:
        return Response(200)

    @health_check("the other side")
    async def other_side(self) -> None:
        await asyncio.sleep(60)


class Nothing(Service):
    """Has no handler at all."""


class Hasty(Service):
    """Has forgotten the word `async`."""

    @route("GET", "/")
    def get(self, request: Request) -> Response:  # type: ignore[type-var]
        return Response(200)


def elsewhere(function: Any) -> Any:
    """A decorator that makes a coroutine function of a plain one."""

    @wraps(function)
    async def run(*args: Any) -> Any:
        return function(*args)

    return run


def watched(function: Any) -> Any:
    """A decorator that is a plain function itself."""

    @wraps(function)
    def run(*args: Any) -> Any:
        return function(*args)

    return run


class Decorated(Service):
    """Its handlers are coroutine functions with something around them."""

    @route("GET", "/plain")
    @elsewhere
    def plain(self, request: Request) -> Any:
        return "plain"

    @route("GET", "/watched")
    @watched
    async def watched(self, request: Request) -> Any:
        return "watched"


class Stranger:
    """Is no service."""


class Moody(Service):
    """Fails until it is well, and knows when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    @route("GET", "/{anything}")
    async def get(self, request: Request, anything: str) -> Response:
        self.asked.append(round(self.now, 1))
        return Response(503 if self.now < self.config["well_from"] else 200)


class Nudged(Service):
    """Something else than a question about its health has the same path."""

    @route("POST", "/health")
    async def nudge(self, request: Request) -> Response:
        """Take note."""
        return Response(202)
