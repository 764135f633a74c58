"""The anti-corruption layer between our payments and the provider's API.

    ours                                       the provider's
    amount in cents, currency "EUR"            amount in its minor unit, currency "eur"
    order id                                   metadata.reference
    captured, declined, refunded               succeeded, 402 card_declined, canceled
    ProviderUnavailable                        its 5xx, no answer, a broken connection

Whatever the provider does, only these words come out of here.
"""

from __future__ import annotations

from typing import Any

from sim import Response, Service

NODE = "payment-provider"
STATUSES = {"succeeded": "captured", "canceled": "refunded", "refunded": "refunded"}


class ProviderUnavailable(Exception):
    """The provider has not said what became of it; ask again with the same key."""


class PaymentProvider:
    """Our view of the provider."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def charge(self, key: str, amount_cents: int, currency: str, order_id: str) -> str:
        """Take the money: `captured`, `declined`, or `refunded` where the key was given up before; raise ProviderUnavailable."""
        body = {"amount": amount_cents, "currency": currency.lower(), "metadata": {"reference": order_id}}
        response = await self._send("/v1/charges", key, body)
        if response.status == 402:
            return "declined"
        return STATUSES[_body(response)["status"]]

    async def refund(self, key: str) -> None:
        """Give the money back, or make sure that it is never taken; raise ProviderUnavailable."""
        _body(await self._send("/v1/refunds", f"refund-{key}", {"charge_key": key}))

    async def _send(self, path: str, key: str, body: Any) -> Response:
        return await self._service.call(NODE, "POST", path, json=body, headers={"idempotency-key": key})


def _body(response: Response) -> Any:
    if response.status >= 400 or not isinstance(response.json, dict) or "status" not in response.json:
        raise ProviderUnavailable(f"the provider answered {response.status}" if response.error is None else "the provider has not answered")
    return response.json
