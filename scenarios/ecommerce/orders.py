"""The order context: taking orders, and telling what has become of them."""

from __future__ import annotations

import asyncio
from typing import Any

from scenarios.ecommerce import collector, events, order_store, outbox
from scenarios.ecommerce.order import InvalidOrder, Item, Money, Order, place
from scenarios.ecommerce.order_saga import OrderSteps, patient_retry
from scenarios.ecommerce.order_store import DATABASE, SagaTable, load, show, take_over
from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables
from sim.resilience.saga_log import SagaLog

RECOVER_EVERY = 5.0  # seconds
ANSWERS = {201: "confirmed", 202: "payment_deferred", 402: "cancelled", 409: "cancelled", 503: "cancelled"}


class Orders(Service):
    """Takes orders by a saga; every process also relays events, keeps the view up to date, and ends what dead ones have begun."""

    def __init__(self) -> None:
        self.steps = OrderSteps(self)
        self.saga_of_orders = self.steps.saga(self._decided)
        self.patience = patient_retry()
        self.saga_table = SagaTable(self)
        self.running: dict[str, asyncio.Future[Any]] = {}  # sagas of this process, and who waits to know how they turn out

    async def start(self) -> None:
        history = self.config.get("history", 2000)
        await self.query(DATABASE, lambda tables: order_store.seed(tables, history), write=True)
        self.spawn(outbox.relay(self, DATABASE, events.publisher(self)), "outbox")
        self.spawn(self.project(DATABASE, "order-views", show, every=0.25), "projection")
        self.spawn(collector.collect(self, self.steps), "collector")
        self.spawn(self._recover(), "recovery")

    # taking orders

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
            turned_out = self.running[order_id] = asyncio.get_running_loop().create_future()
            self.spawn(self._run(order_id, context), f"saga {order_id}", within_request=True)
            status = await turned_out
            if status not in (201, 202):
                span.fail(InvalidOrder(context.get("reason", "failed")))
        self.metric("orders_taken" if status in (201, 202) else "orders_given_up").add()
        return Response(status, json={"id": order_id, "status": ANSWERS[status], "reason": context.get("reason")})

    async def _validate(self, order_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """Is there such a customer, and what do the articles cost? What the saga needs to know; raise InvalidOrder."""
        customer_id, lines = wanted.get("customer_id"), wanted.get("items")
        with self.span("order.validate", **{"order.id": order_id, "customer.id": customer_id or ""}) as span:
            if not customer_id or not lines or any(line.get("quantity", 0) < 1 for line in lines):
                raise InvalidOrder("an order needs a customer and at least one of something")
            customer, *products = await asyncio.gather(
                self.call("users", "GET", f"/users/{customer_id}"),
                *(self.call("products", "GET", f"/products/{line['sku']}") for line in lines))
            if customer.status == 404 or any(product.status == 404 for product in products):
                raise InvalidOrder("no such customer" if customer.status == 404 else "no such article")
            for answer in (customer, *products):
                answer.raise_for_status()
            items = tuple(Item(line["sku"], line["quantity"], Money(product.json["price_cents"], product.json["currency"]))
                          for line, product in zip(lines, products, strict=True))
            placed = place(order_id, customer_id, items)
            span.set("order.total", placed["total_cents"])
            return {key: value for key, value in placed.items() if key != "type"}

    async def _run(self, order_id: str, context: dict[str, Any]) -> None:
        """Run or resume the order's saga to its end, however long undoing takes; whoever waits is told as soon as it is decided."""
        turned_out = self.running.setdefault(order_id, asyncio.get_running_loop().create_future())
        try:
            log = SagaLog(self.saga_table, order_id)
            result = await self.saga_of_orders.run(context, log, compensation=self.patience, forward=self.patience)
            if result.status == "completed" and not turned_out.done():
                turned_out.set_result(202 if context["payment"] == "deferred" else 201)
            if result.status == "stuck":
                self.log.error("saga is stuck", order_id=order_id, steps=list(result.parked), error=str(result.error))
        except outbox.UNREACHABLE as error:  # the saga's own log: somebody will take the saga over
            self.log.error("saga is left", order_id=order_id, error=str(error))
        finally:
            self.running.pop(order_id, None)
            if not turned_out.done():
                turned_out.set_result(503)

    def _decided(self, event: Any) -> None:
        """A step has failed: the order will not be taken, whatever is still to be undone."""
        waiting = self.running.get(event.saga_id)
        if event.kind in ("step_failed", "step_stuck") and waiting is not None and not waiting.done():
            waiting.set_result(402 if event.error.startswith("Declined") else 409 if event.error.startswith("OutOfStock") else 503)

    async def _recover(self) -> None:
        """Go on with sagas whose process has died."""
        while True:
            try:
                for order_id in await self.query(DATABASE, self._take_over, write=True):
                    self.log.info("saga taken over", order_id=order_id)
                    self.spawn(self._run(order_id, {}), f"saga {order_id}")
            except outbox.UNREACHABLE as error:
                self.log.warn("recovery has to wait", error=str(error))
            await asyncio.sleep(RECOVER_EVERY)

    def _take_over(self, tables: Tables) -> list[str]:
        return take_over(tables, self.instance_name, set(self.running), self.now, self.config.get("take_over_after", 60.0))

    # telling what has become of them

    @route("GET", "/orders/{order_id}")
    async def get(self, request: Request, order_id: str) -> Response:
        shown = await self.cache("order-cache").get_or(order_id, lambda: self._shown(order_id))
        return Response(404, json={"error": f"no order {order_id}"}) if shown is None else Response(200, json=shown)

    @route("GET", "/customers/{customer_id}/orders")
    async def of_customer(self, request: Request, customer_id: str) -> Response:
        ids = await self.query(DATABASE, lambda tables: tables["orders-of-customer"].get(customer_id, ()))
        return Response(200, json=list(ids))

    @route("GET", "/orders/{order_id}/details")
    async def details(self, request: Request, order_id: str) -> Response:
        """Composed of three contexts; the customer and the articles may be missing from the answer."""
        order = await self._shown(order_id)
        if order is None:
            return Response(404, json={"error": f"no order {order_id}"})
        customer, *products = await asyncio.gather(
            self.call("users", "GET", f"/users/{order['customer_id']}", optional=True),
            *(self.call("products", "GET", f"/products/{item['sku']}", optional=True) for item in order["items"]))
        return Response(200, json={**order, "customer": customer.json if customer.ok else None,
                                   "products": [product.json if product.ok else None for product in products]})

    async def _shown(self, order_id: str) -> dict[str, Any] | None:
        """From the view, which lags; what it does not know yet is read from the events."""
        order = await self.query(DATABASE, lambda tables: tables["order-views"].get(order_id) or load(tables, order_id)[1])
        return _json(order) if order.id else None

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"

    @health_check("payments")
    async def payments_answer(self) -> str:
        """Informative: orders are taken without payments too, so it never makes this service unhealthy."""
        response = await self.call("payments", "GET", "/health")
        well = response.status == 200 and not response.degraded
        return "payments is healthy" if well else "payments is not healthy: orders are charged later"


def _json(order: Order) -> dict[str, Any]:
    items = [{"sku": item.sku, "quantity": item.quantity, "price_cents": item.price.cents} for item in order.items]
    return {"id": order.id, "customer_id": order.customer_id, "items": items, "status": order.status.value,
            "total_cents": order.total.cents, "currency": order.total.currency}
