"""Service code for tests of the outbox: orders that are told of in two ways, and who counts what it hears."""

from __future__ import annotations

from typing import Any

from scenarios.ecommerce.outbox import put, relay
from sim import Delivery, Request, Response, Service, route, subscribe


class Shop(Service):
    """Takes orders, and tells others of each."""

    async def start(self) -> None:
        self.spawn(relay(self, "db", self._send))

    async def _send(self, subject: str, event_id: str, payload: Any) -> None:
        (await self.publish(subject, payload, message_id=event_id)).raise_for_status()

    @route("POST", "/twice")
    async def twice(self, request: Request) -> Response:
        """Two writes, one after the other: to the database, and to the broker."""
        order = f"twice-{self.instance_name}-{self.now:.6f}"
        await self.query("db", lambda tables: tables["orders"].__setitem__(order, "new"), write=True)
        told = await self.publish("order.twice", order)
        return Response(201 if told.ok else 202)

    @route("POST", "/once")
    async def once(self, request: Request) -> Response:
        """One write, of the order and of what is to be told."""
        order = f"once-{self.instance_name}-{self.now:.6f}"
        async with self.transaction("db") as statements:
            statements.append(lambda tables: tables["orders"].__setitem__(order, "new"))
            statements.append(lambda tables: put(tables, "order.once", order, order))
        return Response(201)


class Audit(Service):
    """Writes down each message that it gets."""

    @subscribe("order.*")
    async def hear(self, message: Delivery) -> None:
        def note(tables: Any) -> None:
            tables["heard"][message.json] = tables["heard"].get(message.json, 0) + 1

        await self.query("books", note, write=True)
