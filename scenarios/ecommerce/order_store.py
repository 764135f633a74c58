"""Where orders are kept: the event store, the outbox beside it, the log of sagas, and the view that readers look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from scenarios.ecommerce import outbox
from scenarios.ecommerce.order import NO_ORDER, SNAPSHOT_EVERY, Event, Order, evolve, stream
from sim import Service
from sim.model import event_store
from sim.model.event_store import Recorded
from sim.model.tables import Tables

DATABASE = "order-db"
PUBLISHED = {"OrderPlaced": "order.created", "OrderConfirmed": "order.completed", "OrderCancelled": "order.cancelled"}
Decision = Callable[[Order], list[Event]]


def load(tables: Tables, order_id: str) -> tuple[int, Order]:
    """Version and state of an order, from its snapshot and what came after."""
    return event_store.read(tables, stream(order_id), evolve, NO_ORDER)


def decide(tables: Tables, order_id: str, decision: Decision) -> Order:
    """Let *decision* look at the order and keep the events that it gives, with what they tell others, in one transaction."""
    version, order = load(tables, order_id)
    events = decision(order)
    event_store.append(tables, stream(order_id), events, expected_version=version)
    event_store.take_snapshot(tables, stream(order_id), evolve, NO_ORDER, SNAPSHOT_EVERY)
    for event in events:
        order = evolve(order, event)
        subject = PUBLISHED.get(event["type"])
        if subject is not None:
            items = [{"sku": item.sku, "quantity": item.quantity} for item in order.items]
            payload = {"order_id": order_id, "customer_id": order.customer_id, "items": items, "reason": order.reason,
                       "total_cents": order.total.cents, "currency": order.total.currency}
            outbox.put(tables, subject, f"{subject}/{order_id}", payload)
    return order


def show(tables: Tables, recorded: Recorded) -> None:
    """The projection behind `order-views`: one row for each order, and the orders of each customer."""
    event = recorded.event
    views, of_customer = tables["order-views"], tables["orders-of-customer"]
    order = evolve(views.get(event["order_id"], NO_ORDER), event)
    views[order.id] = order
    if event["type"] == "OrderPlaced":
        of_customer[order.customer_id] = (*of_customer.get(order.customer_id, ()), order.id)


class SagaTable:
    """The store behind a saga's log (sim.resilience.saga_log), among the tables of the orders' database.

    What only says that a step is done is written together with the next step's intent: if it is lost, the step is done again,
    which every step can bear.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._unwritten: dict[str, list[Mapping[str, Any]]] = {}

    async def append(self, saga_id: str, entry: Mapping[str, Any]) -> None:
        """Keep *entry*."""
        waiting = self._unwritten.setdefault(saga_id, [])
        waiting.append(entry)
        if entry["entry"] in ("begun", "step_done", "step_skipped"):
            return
        del self._unwritten[saga_id]
        owner = self._service.instance_name
        ended = entry["entry"] == "ended"
        await self._service.query(DATABASE, lambda tables: _keep(tables, saga_id, waiting, owner, self._service.now, ended), write=True)

    async def read(self, saga_id: str) -> Iterable[Mapping[str, Any]]:
        """All entries, oldest first."""
        saga = await self._service.query(DATABASE, lambda tables: tables["sagas"].get(saga_id))
        return saga["entries"] if saga is not None else ()


def _keep(tables: Tables, saga_id: str, entries: list[Mapping[str, Any]], owner: str, now: float, ended: bool) -> None:
    saga = tables["sagas"].get(saga_id) or {"entries": ()}
    tables["sagas"][saga_id] = {"entries": (*saga["entries"], *entries), "owner": owner, "touched": now, "ended": ended}
    if ended:
        tables["open-sagas"].pop(saga_id, None)
    else:
        tables["open-sagas"][saga_id] = None


def take_over(tables: Tables, owner: str, running: set[str], now: float, after: float) -> list[str]:
    """Sagas whose process has died: those of *owner* that it does not run, and any that nobody has touched for *after* seconds."""
    orphans = []
    for saga_id in tables["open-sagas"]:
        saga = tables["sagas"][saga_id]
        if saga_id not in running and (saga["owner"] == owner or saga["touched"] + after <= now):
            orphans.append(saga_id)
    for saga_id in orphans:
        tables["sagas"][saga_id] = {**tables["sagas"][saga_id], "owner": owner, "touched": now}
    return orphans


def seed(tables: Tables, history: int) -> None:
    """Orders of the past: `o-1` and on, confirmed, of the customers `u-1` and on."""
    from scenarios.ecommerce.order import Item, Money, Status, total_of

    views = tables["order-views"]
    for number in range(len(views) + 1, history + 1):
        items = (Item(f"p-{number % 1000 + 1}", 1, Money(1000 + number)),)
        order = Order(f"o-{number}", f"u-{number % 1000 + 1}", items, Status.CONFIRMED, total_of(items))
        views[order.id] = replace(order)
        tables["orders-of-customer"][order.customer_id] = (*tables["orders-of-customer"].get(order.customer_id, ()), order.id)
