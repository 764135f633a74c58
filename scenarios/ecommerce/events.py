"""The events that the contexts tell each other of, and how they get from one to the other.

    user.created      user_id, email, name              order.completed   order_id, customer_id
    order.created     order_id, customer_id, total      order.cancelled   order_id, customer_id, reason
"""

from __future__ import annotations

from typing import Any

from scenarios.ecommerce.outbox import Publish
from sim import Service


def publisher(service: Service) -> Publish:
    """How *service* publishes."""

    async def publish(subject: str, event_id: str, payload: Any) -> None:
        response = await service.call("notifications", "POST", "/events", json={"id": event_id, "subject": subject, "payload": payload})
        response.raise_for_status()

    return publish
