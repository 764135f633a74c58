"""The notification context: mails about what has happened elsewhere."""

from __future__ import annotations

from typing import Any

from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables

DATABASE = "notification-db"
MAILS = {  # by the subject of the event
    "user.created": ("Welcome to the shop", "Hello {name}, nice to have you here."),
    "order.created": ("We have your order", "Order {order_id} has arrived."),
    "order.completed": ("Your order is confirmed", "Order {order_id} is paid for and on its way."),
    "order.cancelled": ("Your order is cancelled", "Order {order_id} is cancelled: {reason}."),
}


class Notifications(Service):
    """Handles each event at least once, and sends each mail once as far as it can know."""

    @route("POST", "/events")
    async def receive(self, request: Request) -> Response:
        event = request.json
        await self.handle(event["subject"], event["id"], event["payload"])
        return Response(202)

    async def handle(self, subject: str, event_id: str, payload: dict[str, Any]) -> None:
        """Send the mail that *subject* asks for, unless this event was handled before."""
        if await self.query(DATABASE, lambda tables: event_id in tables["handled"]):
            return
        title, text = MAILS[subject]
        sent = await self.call("smtp", "POST", "/mails", json={"title": title, "text": text.format(**payload)})
        if not sent.ok:
            self.log.error("mail not sent", subject=subject, event_id=event_id, status=sent.status)
            sent.raise_for_status()
        await self.query(DATABASE, lambda tables: _handled(tables, event_id, subject), write=True)
        self.log.info("mail sent", subject=subject, title=title)

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"


def _handled(tables: Tables, event_id: str, subject: str) -> None:
    tables["handled"][event_id] = subject
