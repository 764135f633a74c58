# ruff: noqa: RUF006 - tasks that nobody looks after are what this is about
"""A service that starts things by asyncio itself, and does not look after them."""

import asyncio
import sys
import time
from typing import Any

from sim import Request, Service, route


class Careless(Service):
    """Starts things by asyncio itself, and does not look after them."""

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.kept: list[asyncio.Task[Any]] = []
        self.taken: list[str] = []

    async def _fail(self, after: float) -> None:
        await asyncio.sleep(after)
        here = asyncio.current_task()  # the task, its error and this frame refer to each other from now on: garbage for the collector
        raise ValueError(f"after {after:g} s, in {here is not None}")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.ticks.append(self.now)

    @route("POST", "/{what}")
    async def begin(self, request: Request, what: str) -> Any:
        loop = asyncio.get_running_loop()
        if what == "task":
            asyncio.create_task(self._fail(2))
        elif what == "kept":
            self.kept.append(asyncio.create_task(self._fail(2)))
        elif what == "gathered":
            asyncio.gather(self._fail(2), self._fail(2))
        elif what == "callback":
            loop.call_later(2, [].pop)
        elif what == "exit":
            asyncio.create_task(self._leave())
        elif what == "thread":
            loop.run_in_executor(None, [].pop)
        elif what == "ticks":
            asyncio.create_task(self._tick())
        elif what == "handler":
            loop.set_exception_handler(lambda loop, context: self.taken.append(str(context["exception"])))
        elif what == "awaited":
            first, second = asyncio.create_task(asyncio.sleep(3)), asyncio.create_task(self._fail(2))
            await first
            await asyncio.wait([second])
            return str(second.exception())
        return None

    async def _leave(self) -> None:
        sys.exit(3)

    @route("GET", "/asleep")
    async def asleep(self, request: Request) -> Any:
        time.sleep(60)
        return None

    @route("GET", "/tasks")
    async def tasks(self, request: Request) -> Any:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return [len(asyncio.all_tasks()), [task.get_name() for task in others]]

    @route("DELETE", "/tasks")
    async def end(self, request: Request) -> Any:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        return None
