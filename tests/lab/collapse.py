"""A service that becomes slower with the number of requests in it: 1 + 0.01 N seconds (Brooker's simulation of a simple collapse)."""

from __future__ import annotations

import asyncio

from sim import Service, route
from sim.model.messages import Request, Response


class Crowded(Service):
    """Everybody in it makes it slower for who comes next."""

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
