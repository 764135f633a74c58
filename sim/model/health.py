"""`GET /health` of a service: its named checks, all at once, put together into healthy or not.

    health: {checks: {database: [{query: orders-db}], payments: [{call: payments GET /health}]}}

A check that asks the health of another service makes its own depend on it: a registry then takes out one service after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from sim.model.mesh import REGISTRY
from sim.model.messages import Exchange, Response
from sim.model.spans import explain
from sim.model.steps import AnyStep, sequence
from sim.spec import Spec
from sim.units import PositiveDuration

if TYPE_CHECKING:
    from sim.model.service import Service
    from sim.telemetry.recorder import Recorder

PATH = "/health"
Check = Callable[[], Awaitable[object]]  # what it returns is its message (None: ok); what it raises says what is wrong


class HealthSpec(Spec):
    """The checks behind `GET /health`: steps by name. One that fails, or takes longer than *timeout*, makes the answer 503."""

    checks: dict[str, list[AnyStep]] = Field(min_length=1)
    timeout: PositiveDuration = 5.0


class Unhealthy(Exception):
    """What a check has found."""


def is_check(exchange: Exchange) -> bool:
    """The registry asks how it is: for what has no `GET /health` among its operations."""
    return exchange.client.caller == REGISTRY


async def report(service: str, checks: Mapping[str, Check], timeout: float) -> Response:
    """Run all *checks* at once: 200 if all are well, else 503; each with its message."""
    results = await asyncio.gather(*(_checked(check, timeout) for check in checks.values()))
    healthy = all(result["status"] == "healthy" for result in results)
    body = {"status": "healthy" if healthy else "unhealthy", "service": service, "checks": dict(zip(checks, results, strict=True))}
    return Response(200 if healthy else 503, json=body)


def tell(recorder: Recorder, span: int, report: Response) -> None:
    """Say in the trace which checks of a *report* are not well, and what they have found."""
    ill = [f"{name}: {result['message']}" for name, result in report.json["checks"].items() if result["status"] != "healthy"]
    if ill:
        explain(recorder, span, "; ".join(ill))


async def _checked(check: Check, timeout: float) -> dict[str, str]:
    try:
        async with asyncio.timeout(timeout):
            message = await check()
    except TimeoutError:
        return {"status": "unhealthy", "message": f"no answer within {timeout:g} s"}
    except Exception as error:
        return {"status": "unhealthy", "message": str(error) or type(error).__name__}
    return {"status": "healthy", "message": "ok" if message is None else str(message)}


def health_of_steps(service: Service, spec: HealthSpec | None) -> Callable[[Exchange], Awaitable[Response]]:
    """What an instance of *service* answers at `/health`; without checks, that it is there."""
    runs = {name: sequence(steps, service) for name, steps in (spec.checks if spec is not None else {}).items()}
    timeout = spec.timeout if spec is not None else 0.0

    def check(name: str, exchange: Exchange) -> Check:
        async def run() -> None:
            answer = await runs[name](exchange)
            if answer is not None and answer.status >= 400:
                raise Unhealthy(f"status {answer.status}")

        return run

    async def answer(exchange: Exchange) -> Response:
        found = await report(service.name, {name: check(name, exchange) for name in runs}, timeout)
        tell(exchange.instance.recorder, exchange.span, found)
        return found

    return answer
