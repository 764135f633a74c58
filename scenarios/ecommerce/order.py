"""The order as an event-sourced aggregate: its state is what its events add up to.

    OrderPlaced ──▶ OrderConfirmed
       ├──▶ PaymentDeferred ──▶ OrderConfirmed
       └──▶ OrderCancelled  ◀──┘

Decisions (`place`, `confirm`, `defer`, `cancel`) look at the state and give new events; `evolve` applies an event and decides nothing.
The customer and the articles belong to other contexts: here they are ids, and a price that was agreed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

Event = Mapping[str, Any]
SNAPSHOT_EVERY = 2  # events; an order has few


class Status(StrEnum):
    """Where an order stands."""

    NEW = "new"
    PLACED = "placed"
    PAYMENT_DEFERRED = "payment_deferred"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Money:
    """An amount, in cents, of one currency."""

    cents: int
    currency: str = "EUR"

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return Money(self.cents + other.cents, self.currency)

    def times(self, quantity: int) -> Money:
        """So much, so many times."""
        return Money(self.cents * quantity, self.currency)


@dataclass(frozen=True)
class Item:
    """So many of one article, at the price that was agreed on."""

    sku: str
    quantity: int
    price: Money


@dataclass(frozen=True)
class Order:
    """The state of an order."""

    id: str = ""
    customer_id: str = ""
    items: tuple[Item, ...] = ()
    status: Status = Status.NEW
    total: Money = Money(0)
    reason: str = ""


NO_ORDER = Order()


class InvalidOrder(ValueError):
    """What was asked for cannot be done with this order."""


def stream(order_id: str) -> str:
    """The stream of its events."""
    return f"order-{order_id}"


def total_of(items: tuple[Item, ...]) -> Money:
    """What the items cost together."""
    total = Money(0, items[0].price.currency)
    for item in items:
        total += item.price.times(item.quantity)
    return total


def place(order_id: str, customer_id: str, items: tuple[Item, ...]) -> Event:
    """A new order."""
    if not items:
        raise InvalidOrder("an order needs an item")
    total = total_of(items)
    lines = [{"sku": item.sku, "quantity": item.quantity, "price_cents": item.price.cents} for item in items]
    return {"type": "OrderPlaced", "order_id": order_id, "customer_id": customer_id, "items": lines, "total_cents": total.cents,
            "currency": total.currency}


def defer(order: Order) -> list[Event]:
    """The payment is to be taken later."""
    return [{"type": "PaymentDeferred", "order_id": order.id}] if order.status is Status.PLACED else []


def confirm(order: Order) -> list[Event]:
    """It is paid for; raise InvalidOrder where it was cancelled."""
    if order.status is Status.CANCELLED:
        raise InvalidOrder(f"{order.id} is cancelled")
    return [] if order.status is Status.CONFIRMED else [{"type": "OrderConfirmed", "order_id": order.id}]


def cancel(order: Order, reason: str) -> list[Event]:
    """It is given up; raise InvalidOrder where it is confirmed."""
    if order.status is Status.CONFIRMED:
        raise InvalidOrder(f"{order.id} is confirmed")
    return [] if order.status in (Status.CANCELLED, Status.NEW) else [{"type": "OrderCancelled", "order_id": order.id, "reason": reason}]


def evolve(order: Order, event: Event) -> Order:
    """*order* after *event*."""
    match event["type"]:
        case "OrderPlaced":
            items = tuple(Item(line["sku"], line["quantity"], Money(line["price_cents"], event["currency"])) for line in event["items"])
            return Order(event["order_id"], event["customer_id"], items, Status.PLACED, Money(event["total_cents"], event["currency"]))
        case "PaymentDeferred":
            return replace(order, status=Status.PAYMENT_DEFERRED)
        case "OrderConfirmed":
            return replace(order, status=Status.CONFIRMED)
        case "OrderCancelled":
            return replace(order, status=Status.CANCELLED, reason=event["reason"])
    raise ValueError(f"no order knows the event {event['type']!r}")
