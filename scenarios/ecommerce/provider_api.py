"""The payment provider: somebody else's service, with somebody else's model. It stands for the outside world.

    POST /v1/charges   {amount, currency, metadata}   Idempotency-Key    {id, status: succeeded} | 402 {error: {code: card_declined}}
    POST /v1/refunds   {charge_key}                   Idempotency-Key    {id, status: succeeded}

Its ledger is the truth about money: the shop's own books are checked against it. A key that was refunded before its charge
arrived is dead: a charge with it is answered with the status `canceled`.
"""

from __future__ import annotations

import asyncio

from sim import Request, Response, Service, route
from sim.model.tables import Tables

DATABASE = "provider-ledger"


class Provider(Service):
    """Answers after a latency of its own, declines some cards, and fails now and then: `latency`, `decline`, `error` in its config."""

    def __init__(self) -> None:
        self.latency = self.times(self.config.get("latency", {"lognormal": {"median": "60ms", "p99": "220ms"}}))

    @route("POST", "/v1/charges")
    async def charge(self, request: Request) -> Response:
        await asyncio.sleep(self.latency())
        if self.rng.random() < self.config.get("error", 0.0):
            return Response(500, json={"error": {"type": "api_error"}})
        key, amount = request.headers["idempotency-key"], request.json["amount"]
        declined = self.rng.random() < self.config.get("decline", 0.0)
        status = await self.query(DATABASE, lambda tables: _charge(tables, key, amount, declined), write=True, time=0.0)
        if status == "failed":
            return Response(402, json={"error": {"type": "card_error", "code": "card_declined"}})
        return Response(200, json={"id": f"ch_{key}", "object": "charge", "amount": amount, "status": status})

    @route("POST", "/v1/refunds")
    async def refund(self, request: Request) -> Response:
        await asyncio.sleep(self.latency())
        if self.rng.random() < self.config.get("error", 0.0):
            return Response(500, json={"error": {"type": "api_error"}})
        key = request.json["charge_key"]
        await self.query(DATABASE, lambda tables: _refund(tables, key), write=True, time=0.0)
        return Response(200, json={"id": f"re_{key}", "object": "refund", "status": "succeeded"})


def _charge(tables: Tables, key: str, amount: int, declined: bool) -> str:
    known = tables["charges"].get(key)
    if known is None:
        known = tables["charges"][key] = {"amount": amount, "status": "failed" if declined else "succeeded"}
    return str(known["status"])


def _refund(tables: Tables, key: str) -> None:
    known = tables["charges"].get(key)
    if known is None:
        tables["charges"][key] = {"amount": 0, "status": "canceled"}
    elif known["status"] == "succeeded":
        tables["refunds"][key] = known["amount"]
        tables["charges"][key] = {**known, "status": "refunded"}
