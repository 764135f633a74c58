"""The notification context: mails about what has happened elsewhere."""

from __future__ import annotations

from sim import Delivery, Service, health_check, subscribe
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

    @subscribe("user.created")
    @subscribe("order.*")
    async def told(self, event: Delivery) -> None:
        """Send the mail that the event asks for, unless it was handled before; if it cannot be sent, the event comes again."""
        if await self.query(DATABASE, lambda tables: event.id in tables["handled"]):
            return
        title, text = MAILS[event.subject]
        sent = await self.call("smtp", "POST", "/mails", json={"title": title, "text": text.format(**event.json)})
        if not sent.ok:
            self.log.error("mail not sent", subject=event.subject, event_id=event.id, status=sent.status)
            sent.raise_for_status()
        await self.query(DATABASE, lambda tables: _handled(tables, event.id, event.subject), write=True)
        self.log.info("mail sent", subject=event.subject, title=title)

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"


def _handled(tables: Tables, event_id: str, subject: str) -> None:
    tables["handled"][event_id] = subject
