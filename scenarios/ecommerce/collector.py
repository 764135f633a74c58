"""Takes the payments that had to wait, once the payment service is well again."""

from __future__ import annotations

import asyncio

from scenarios.ecommerce import order as orders
from scenarios.ecommerce.order_saga import OrderSteps, keep, take_payment
from scenarios.ecommerce.order_store import DATABASE, load
from scenarios.ecommerce.outbox import UNREACHABLE
from sim import Service
from sim.model.tables import Tables

EVERY = 1.0  # seconds between two looks
BATCH = 10
LEASE = 5.0  # seconds until another instance may try


async def collect(service: Service, steps: OrderSteps) -> None:
    """Charge deferred orders, for ever, a few at a time: the backlog of an outage must not be the next one."""
    while True:
        await asyncio.sleep(EVERY)
        try:
            due = await service.query(DATABASE, lambda tables: _take(tables, service.now), write=True)
            for order_id in due:
                if not await _charge(service, steps, order_id):
                    break  # still out of reach: no use in asking for the others
        except UNREACHABLE as error:
            service.log.warn("deferred payments have to wait", error=str(error))


def _take(tables: Tables, now: float) -> list[str]:
    due = [order_id for order_id, not_before in tables["deferred-payments"].items() if not_before <= now][:BATCH]
    for order_id in due:
        tables["deferred-payments"][order_id] = now + LEASE
    return due


async def _charge(service: Service, steps: OrderSteps, order_id: str) -> bool:
    """False where the payment service gave no answer of its own."""
    _, order = await service.query(DATABASE, lambda tables: load(tables, order_id))
    context = {"order_id": order.id, "total_cents": order.total.cents, "currency": order.total.currency}
    response = await take_payment(service, context)
    if response.degraded or response.status >= 500:
        return False
    if response.ok:
        await service.query(DATABASE, lambda tables: keep(tables, order_id, orders.confirm), write=True)
    else:
        await steps.release(context)
        await service.query(DATABASE, lambda tables: keep(tables, order_id, _declined), write=True)
    return True


def _declined(order: orders.Order) -> list[orders.Event]:
    return orders.cancel(order, "payment declined")
