"""The payment context: money that is to be taken for an order, in our own words.

Nothing of the provider's model is found here: `payment_provider` translates (the anti-corruption layer).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from scenarios.ecommerce.payment_provider import PaymentProvider, ProviderUnavailable
from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables

DATABASE = "payment-db"


class PaymentStatus(StrEnum):
    """Where a payment stands."""

    PENDING = "pending"
    CAPTURED = "captured"
    DECLINED = "declined"
    REFUNDING = "refunding"
    REFUNDED = "refunded"


@dataclass(frozen=True)
class Payment:
    """Money for one order. Its *key* makes charging twice impossible, however often somebody asks."""

    key: str
    order_id: str
    amount_cents: int
    currency: str
    status: PaymentStatus = PaymentStatus.PENDING


class Payments(Service):
    """Charging and refunding."""

    def __init__(self) -> None:
        self.provider = PaymentProvider(self)

    @route("POST", "/charges")
    async def charge(self, request: Request) -> Response:
        wanted = request.json
        try:
            payment = await self.take(Payment(wanted["idempotency_key"], wanted["order_id"], wanted["amount_cents"], wanted["currency"]))
        except ProviderUnavailable as error:
            return Response(503, json={"error": "payment_unavailable", "detail": str(error)})
        return _answer(payment)

    async def take(self, new: Payment) -> Payment:
        """Charge *new*, unless its key was charged before; raise ProviderUnavailable."""
        payment: Payment = await self.query(DATABASE, lambda tables: tables["payments"].setdefault(new.key, new), write=True)
        if payment.status is PaymentStatus.PENDING:
            outcome = await self.provider.charge(payment.key, payment.amount_cents, payment.currency, payment.order_id)
            payment = await self.query(DATABASE, lambda tables: settle(tables, payment.key, PaymentStatus(outcome)), write=True)
        return payment

    @route("POST", "/refunds")
    async def refund(self, request: Request) -> Response:
        key, order_id = request.json["idempotency_key"], request.json["order_id"]
        payment = await self.query(DATABASE, lambda tables: _begin_refund(tables, key, order_id), write=True)
        if payment.status is PaymentStatus.REFUNDING:
            try:
                await self.provider.refund(key)
            except ProviderUnavailable as error:
                return Response(503, json={"error": "payment_unavailable", "detail": str(error)})
            await self.query(DATABASE, lambda tables: settle(tables, key, PaymentStatus.REFUNDED), write=True)
        return Response(200, json={"order_id": order_id, "status": PaymentStatus.REFUNDED.value})

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"


def settle(tables: Tables, key: str, status: PaymentStatus) -> Payment:
    """Write down how it ended; a refund that began in the meantime is not undone by a charge that comes late."""
    payment: Payment = tables["payments"][key]
    if status is PaymentStatus.REFUNDED or payment.status is PaymentStatus.PENDING:
        payment = tables["payments"][key] = replace(payment, status=status)
    return payment


def _begin_refund(tables: Tables, key: str, order_id: str) -> Payment:
    """From here on a charge of this key cannot succeed any more. A declined one needs no refund."""
    payment: Payment = tables["payments"].get(key) or Payment(key, order_id, 0, "EUR")
    if payment.status in (PaymentStatus.PENDING, PaymentStatus.CAPTURED):
        payment = replace(payment, status=PaymentStatus.REFUNDING)
    tables["payments"][key] = payment
    return payment


def _answer(payment: Payment) -> Response:
    status = {PaymentStatus.CAPTURED: 201, PaymentStatus.DECLINED: 402}.get(payment.status, 409)
    return Response(status, json={"order_id": payment.order_id, "status": payment.status.value})
