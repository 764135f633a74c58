"""Service code that the theory needs and steps cannot say."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from sim import Request, Response, Service, route


class Crowded(Service):
    """1 s, and 10 ms for each request that is in it as one comes, itself included: a simple collapse (Brooker, 2022)."""

    def __init__(self) -> None:
        self.inside = 0

    @route("GET", "/")
    async def serve(self, request: Request) -> Response:
        self.inside += 1
        try:
            await asyncio.sleep(1 + 0.01 * self.inside)
        finally:
            self.inside -= 1
        return Response(200)


class Business(Service):
    """Each request is a saga of `steps` steps at the service `shop`, which may refuse them."""

    @route("POST", "/")
    async def transact(self, request: Request) -> Response:
        saga = self.saga("business")
        for number in range(self.config["steps"]):
            saga.step(f"step {number}", self.do, self.undo)
        result = await saga.run({})
        return Response(200 if result.status == "completed" else 409)

    async def do(self, context: MutableMapping[str, Any]) -> None:
        (await self.call("shop", "POST", "/steps")).raise_for_status()

    async def undo(self, context: MutableMapping[str, Any]) -> None:
        (await self.call("shop", "DELETE", "/steps")).raise_for_status()
