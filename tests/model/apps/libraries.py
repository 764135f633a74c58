"""A service that calls its backend through resilience libraries, one endpoint for each; all of them as they are on PyPI."""

from datetime import timedelta

import aiobreaker
import circuitbreaker
import httpx
import hyx.circuitbreaker
import hyx.circuitbreaker.exceptions
import pybreaker
import stamina
import tenacity
from aiolimiter import AsyncLimiter
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

client = httpx.AsyncClient(base_url="http://backend", timeout=1.0)


async def ask(path):
    (await client.get(path)).raise_for_status()


# retries

async def with_tenacity(path):
    async for attempt in tenacity.AsyncRetrying(stop=tenacity.stop_after_delay(7), wait=tenacity.wait_fixed(2), reraise=True):
        with attempt:
            await ask(path)


@stamina.retry(on=httpx.HTTPError, attempts=4, timeout=None, wait_initial=1, wait_jitter=0, wait_max=60)
async def with_stamina(path):
    await ask(path)


# breakers: three failures open them, ten seconds later comes a probe

purgatory_breakers = AsyncCircuitBreakerFactory(default_threshold=3, default_ttl=10)
pybreaker_breaker = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=10)
aiobreaker_breaker = aiobreaker.CircuitBreaker(fail_max=3, timeout_duration=timedelta(seconds=10))
hyx_breaker = hyx.circuitbreaker.consecutive_breaker(failure_threshold=3, recovery_time_secs=10, recovery_threshold=1)


async def with_purgatory(path):
    async with await purgatory_breakers.get_breaker("backend"):
        await ask(path)


async def with_pybreaker(path):
    with pybreaker_breaker.calling():
        await ask(path)


async def with_aiobreaker(path):
    await aiobreaker_breaker.call_async(ask, path)


@circuitbreaker.circuit(failure_threshold=3, recovery_timeout=10)
async def with_circuitbreaker(path):
    await ask(path)


@hyx_breaker
async def with_hyx(path):
    await ask(path)


# a limiter: two a second

limiter = AsyncLimiter(2, 1)


async def with_aiolimiter(path):
    async with limiter:
        await ask(path)


OPEN = (OpenedState, pybreaker.CircuitBreakerError, aiobreaker.CircuitBreakerError, circuitbreaker.CircuitBreakerError,
        hyx.circuitbreaker.exceptions.BreakerFailing)


def endpoint(call):
    async def answer(request):
        try:
            await call("/" + call.__name__)
        except OPEN:
            return PlainTextResponse("open", status_code=503)
        except httpx.HTTPError as error:
            return PlainTextResponse(type(error).__name__, status_code=502)
        return PlainTextResponse("ok")

    return answer


CALLS = (with_tenacity, with_stamina, with_purgatory, with_pybreaker, with_aiobreaker, with_circuitbreaker, with_hyx, with_aiolimiter)
app = Starlette(routes=[Route("/" + call.__name__, endpoint(call)) for call in CALLS])
