"""The events that the contexts tell each other of, and how they get from one to the other.

    user.created      user_id, email, name
    order.created, order.completed, order.cancelled    order_id, customer_id, items, total_cents, currency, reason

and where orders are taken by choreography, also stock.reserved, stock.rejected, payment.captured, payment.declined: order_id and more.
"""

from __future__ import annotations

from typing import Any

from scenarios.ecommerce.outbox import Publish
from sim import Service


def publisher(service: Service) -> Publish:
    """How *service* publishes."""

    async def publish(subject: str, event_id: str, payload: Any) -> None:
        stored = await service.publish(subject, payload, message_id=event_id, key=payload.get("order_id"))
        stored.raise_for_status()

    return publish
