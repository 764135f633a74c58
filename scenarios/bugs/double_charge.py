"""A checkout that retries its charge.

Only the answer to the first attempt may have been lost: without an idempotency key the customer then pays twice.
"""

import itertools

import httpx
import tenacity
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

numbers = itertools.count()
payments = httpx.AsyncClient(base_url="http://payments", timeout=0.5)


broken = tenacity.retry_if_exception_type(httpx.TransportError)


@tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.2), retry=broken, reraise=True)
async def charge(order_id: str, amount: int, keyed: bool) -> None:
    key = order_id if keyed else f"{order_id}-{next(numbers)}"  # the bug: a new key for each attempt is no key
    answer = await payments.post("/charges", json={"order_id": order_id, "amount": amount}, headers={"idempotency-key": key})
    answer.raise_for_status()


def checkout(keyed: bool) -> Starlette:
    """The app; *keyed* is the cure."""

    async def create(request: Request) -> JSONResponse:
        body = await request.json()
        try:
            await charge(body["order_id"], body["amount"], keyed)
        except httpx.HTTPError as error:
            return JSONResponse({"error": type(error).__name__}, status_code=502)
        return JSONResponse({"order_id": body["order_id"]}, status_code=201)

    return Starlette(routes=[Route("/orders", create, methods=["POST"])])


app = checkout(keyed=False)
fixed = checkout(keyed=True)
