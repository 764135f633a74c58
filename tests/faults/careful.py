"""Services that know better than to do the same work twice."""

from __future__ import annotations

from sim import Service, route
from sim.model.messages import Request, Response


class Charges(Service):
    """Charges once for each idempotency key, and gives the answer again to whoever comes again."""

    def __init__(self) -> None:
        self.done: dict[str, Response] = {}

    @route("POST", "/charges")
    async def charge(self, request: Request) -> Response:
        key = request.headers["idempotency-key"]
        if key not in self.done:
            self.done[key] = Response(201, json={"charged": len(self.done) + 1})
            await self.query("db", write=True)
        return self.done[key]


class Shop(Service):
    """Charges under a key of its own for each order, and publishes each order under an id."""

    def __init__(self) -> None:
        self.orders = 0

    @route("POST", "/orders")
    async def order(self, request: Request) -> Response:
        self.orders += 1
        key = f"{self.instance_name}-{self.orders}"
        await self.call("charges", "POST", "/charges", headers={"idempotency-key": key})
        await self.publish("order.created", {"order": key}, message_id=key)
        return Response(201)
