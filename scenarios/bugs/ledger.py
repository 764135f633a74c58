"""Takes money once for each key, and writes down for which order."""

from __future__ import annotations

from sim import Request, Response, Service, route
from sim.model.tables import Tables


class Payments(Service):
    """Who asks twice with the same key is charged once."""

    @route("POST", "/charges")
    async def charge(self, request: Request) -> Response:
        key, charge = request.headers["idempotency-key"], request.json

        def take(tables: Tables) -> None:
            if key not in tables["charges"]:
                tables["charges"][key] = charge

        await self.query("ledger", take, write=True)
        return Response(201)
