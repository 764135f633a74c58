"""Service code that looks at the calendar: a lease is good for ten seconds from the time that whoever gave it read on its clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sim import Service, route
from sim.model.messages import Request, Response

LEASE = 10.0  # seconds


class Giver(Service):
    """Hands out the time until which a lease is good, and lets the other one check it."""

    @route("GET", "/lease")
    async def lease(self, request: Request) -> Response:
        until = time.time() + LEASE
        return await self.call("checker", "POST", "/check", json={"until": until})


class Checker(Service):
    """Refuses a lease that is over by its own clock."""

    @route("POST", "/check")
    async def check(self, request: Request) -> Response:
        over = datetime.now(UTC).timestamp() > request.json["until"]
        return Response(403 if over else 200)
