"""The order saga without a conductor: each context knows what to do when it hears of something.

    orders ──order.created──▶ inventory ──stock.reserved──▶ payments ──payment.captured──▶ orders ──order.completed──▶
                                  └─stock.rejected─▶ orders     └─payment.declined─▶ orders ──order.cancelled──▶ inventory releases

Nobody waits for anybody: the customer gets 202 and hears later. Each handler can bear to hear of the same thing twice, and tells of what it
did by the outbox of its own database. Taken instead of the orchestrated classes by the variant `choreography`.
"""

from __future__ import annotations

from typing import Any

from scenarios.ecommerce import events, inventory, orders, outbox, payments
from scenarios.ecommerce import order as aggregate
from scenarios.ecommerce.order import InvalidOrder
from scenarios.ecommerce.order_store import DATABASE, decide
from scenarios.ecommerce.payments import Payment, PaymentStatus
from sim import Delivery, Request, Response, route, subscribe
from sim.model.tables import Tables


class Orders(orders.Orders):
    """Takes orders and waits to hear."""

    @route("POST", "/orders")
    async def create(self, request: Request) -> Response:
        order_id = f"o-{self.rng.getrandbits(48):012x}"
        wanted = request.json if isinstance(request.json, dict) else {}
        with self.span("order.create", **{"order.id": order_id, "customer.id": wanted.get("customer_id", "")}) as span:
            try:
                context = await self._validate(order_id, wanted)
            except InvalidOrder as error:
                span.fail(error)
                return Response(422, json={"error": str(error)})
            span.set("order.total", context["total_cents"])
            placed = {"type": "OrderPlaced", **context}
            await self.query(DATABASE, lambda tables: decide(tables, order_id, lambda order: [placed]), write=True)
        return Response(202, json={"id": order_id, "status": "placed"})

    @subscribe("payment.captured")
    async def paid(self, event: Delivery) -> None:
        await self._decide(event, aggregate.confirm)

    @subscribe("payment.declined")
    async def not_paid(self, event: Delivery) -> None:
        await self._decide(event, lambda order: aggregate.cancel(order, "payment declined"))

    @subscribe("stock.rejected")
    async def not_there(self, event: Delivery) -> None:
        await self._decide(event, lambda order: aggregate.cancel(order, "out of stock"))

    async def _decide(self, event: Delivery, decision: Any) -> None:
        await self.query(DATABASE, lambda tables: decide(tables, event.json["order_id"], decision), write=True)


class Inventory(inventory.Inventory):
    """Reserves when it hears of an order, and releases when it hears that it is cancelled."""

    async def start(self) -> None:
        self.spawn(outbox.relay(self, inventory.DATABASE, events.publisher(self)), "outbox")

    @subscribe("order.created")
    async def ordered(self, event: Delivery) -> None:
        order = event.json
        items, opening_stock = inventory.quantities(order["items"]), self.config.get("opening_stock", 1_000_000)

        def run(tables: Tables) -> None:
            try:
                inventory.reserve(tables, order["order_id"], items, opening_stock)
            except inventory.Released:
                return  # cancelled before it was heard of
            outbox.put(tables, "stock.reserved", f"stock.reserved/{order['order_id']}", order)

        try:
            await self.query(inventory.DATABASE, run, write=True)
        except inventory.OutOfStock:
            rejected = f"stock.rejected/{order['order_id']}"
            await self.query(inventory.DATABASE, lambda tables: outbox.put(tables, "stock.rejected", rejected, order), write=True)

    @subscribe("order.cancelled")
    async def cancelled(self, event: Delivery) -> None:
        await self.query(inventory.DATABASE, lambda tables: inventory.release(tables, event.json["order_id"]), write=True)


class Payments(payments.Payments):
    """Charges when it hears that the goods are there. While the provider is out of reach, the event comes again."""

    async def start(self) -> None:
        self.spawn(outbox.relay(self, payments.DATABASE, events.publisher(self)), "outbox")

    @subscribe("stock.reserved")
    async def goods_are_there(self, event: Delivery) -> None:
        order = event.json
        attributes = {"order.id": order["order_id"], "customer.id": order["customer_id"], "order.total": order["total_cents"]}
        with self.span("order.payment", **attributes):
            payment = await self.take(Payment(order["order_id"], order["order_id"], order["total_cents"], order["currency"]))
        subject = "payment.captured" if payment.status is PaymentStatus.CAPTURED else "payment.declined"
        await self.query(payments.DATABASE, lambda tables: outbox.put(tables, subject, f"{subject}/{order['order_id']}", order), write=True)
