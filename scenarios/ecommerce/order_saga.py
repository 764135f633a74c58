"""The order saga, orchestrated: reserve the stock, take the money, confirm.

    place ──▶ reserve ──▶ charge (pivot) ──▶ confirm (retriable)
     undo:     undo:       undo:
     cancel    release     refund

Nobody holds a lock over it: each step commits in its own service. If the money cannot be taken now because the payment
service is out of reach, the order is taken all the same and charged later (`deferred`).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from scenarios.ecommerce import order as orders
from scenarios.ecommerce.order_store import DATABASE, Decision, decide
from sim import Response, Service
from sim.errors import StatusError
from sim.model.tables import Tables
from sim.resilience.backoff import Exponential
from sim.resilience.events import Listener
from sim.resilience.retry import Retry
from sim.resilience.saga import Saga, outcome_unknown

Context = MutableMapping[str, Any]  # order_id, customer_id, items, total_cents, currency; payment; reason


class Declined(Exception):
    """The customer's bank has refused."""


class OutOfStock(Exception):
    """Not enough of an article."""


def unknown(error: Exception) -> bool:
    """A server error, too, leaves open whether the work was done."""
    return outcome_unknown(error) or (isinstance(error, StatusError) and (error.status or 0) >= 500)


def patient_retry() -> Retry:
    """For what has to succeed in the end: about a minute, then somebody has to look at it."""
    return Retry(max_attempts=14, backoff=Exponential(0.2, max=8.0, jitter="equal"))


class OrderSteps:
    """The steps, as one process of the orders service does them."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def saga(self, on_event: Listener) -> Saga:
        """The saga that is made of them; *on_event* hears of each step."""
        return (self.service.saga("place-order", unknown=unknown, on_event=on_event)
                .step("place", self.place, self.cancel)
                .step("reserve", self.reserve, self.release)
                .step("charge", self.charge, self.refund, kind="pivot")
                .step("confirm", self.confirm, kind="retriable"))

    async def place(self, context: Context) -> None:
        event = {"type": "OrderPlaced", **{key: context[key] for key in ("order_id", "customer_id", "items", "total_cents", "currency")}}
        await self._decide(context, lambda order: [event] if order.status is orders.Status.NEW else [])

    async def cancel(self, context: Context) -> None:
        await self._decide(context, lambda order: orders.cancel(order, context.get("reason", "failed")))

    async def reserve(self, context: Context) -> None:
        wanted = {"order_id": context["order_id"], "items": context["items"]}
        response = await self.service.call("inventory", "POST", "/reservations", json=wanted)
        if response.status == 409:
            context["reason"] = "out of stock"
            raise OutOfStock(response.json["error"])
        response.raise_for_status()

    async def release(self, context: Context) -> None:
        response = await self.service.call("inventory", "DELETE", f"/reservations/{context['order_id']}")
        response.raise_for_status()

    async def charge(self, context: Context) -> None:
        attributes = {"order.id": context["order_id"], "customer.id": context["customer_id"], "order.total": context["total_cents"]}
        with self.service.span("order.payment", **attributes) as span:
            response = await take_payment(self.service, context)
            if response.status == 402:
                context["reason"] = "payment declined"
                span.fail(Declined("the bank has declined"))
            elif response.degraded:
                context["payment"] = "deferred"
            elif not response.ok:
                context["reason"] = "payment failed"
                span.fail(response.error or StatusError(response))
            else:
                context["payment"] = "captured"
            span.set("payment.status", context.get("payment", "failed"))
        if response.status == 402:
            raise Declined("the bank has declined")
        response.raise_for_status()

    async def refund(self, context: Context) -> None:
        order_id = context["order_id"]
        response = await self.service.call("payments", "POST", "/refunds", json={"order_id": order_id, "idempotency_key": order_id})
        if response.degraded:  # the substitute for a charge is none for a refund
            raise StatusError(Response(503))
        response.raise_for_status()

    async def confirm(self, context: Context) -> None:
        decision = orders.defer if context["payment"] == "deferred" else orders.confirm
        await self.service.query(DATABASE, lambda tables: keep(tables, context["order_id"], decision), write=True)


    async def _decide(self, context: Context, decision: Decision) -> None:
        await self.service.query(DATABASE, lambda tables: decide(tables, context["order_id"], decision), write=True)


def keep(tables: Tables, order_id: str, decision: Decision) -> orders.Order:
    """Decide, and remember whom to charge later."""
    order = decide(tables, order_id, decision)
    if order.status is orders.Status.PAYMENT_DEFERRED:
        tables["deferred-payments"].setdefault(order_id, 0.0)
    else:
        tables["deferred-payments"].pop(order_id, None)
    return order


async def take_payment(service: Service, context: Context) -> Response:
    """Ask the payments context for the money; the order's id keeps it from being taken twice."""
    body = {"order_id": context["order_id"], "idempotency_key": context["order_id"], "amount_cents": context["total_cents"],
            "currency": context["currency"]}
    return await service.call("payments", "POST", "/charges", json=body)
