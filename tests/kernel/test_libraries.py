"""Libraries that know nothing of the simulation run on it as they are."""

import asyncio
import contextvars
import subprocess
import sys
import threading

import anyio
import httpx
import pytest
import stamina
import tenacity
from aiolimiter import AsyncLimiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from sim.kernel import NotSimulated, SimLoop
from tests.source_tree import ROOT


class Flaky:
    """Fails *times* times, then answers; notes when it was called."""

    def __init__(self, times):
        self.times = times
        self.calls = []

    async def __call__(self):
        self.calls.append(asyncio.get_running_loop().time())
        if len(self.calls) <= self.times:
            raise ConnectionError("flaky")
        return "ok"


def test_tenacity_waits_in_simulated_time(loop):
    """Exponential backoff of 1, 2, 4, 8 s between five attempts."""
    service = Flaky(4)
    retrying = tenacity.AsyncRetrying(wait=tenacity.wait_exponential(multiplier=1), stop=tenacity.stop_after_attempt(5))
    assert loop.run_until_complete(retrying(service)) == "ok"
    assert service.calls == [0, 1, 3, 7, 15]


def test_tenacity_gives_up_with_the_last_error(loop):
    """Three attempts, 10 s apart, `reraise`."""
    service = Flaky(99)
    retrying = tenacity.AsyncRetrying(wait=tenacity.wait_fixed(10), stop=tenacity.stop_after_attempt(3), reraise=True)
    with pytest.raises(ConnectionError):
        loop.run_until_complete(retrying(service))
    assert service.calls == [0, 10, 20]


def test_stamina_waits_in_simulated_time(loop):
    """Its decorator, with a backoff that doubles and no jitter."""
    service = Flaky(3)

    @stamina.retry(on=ConnectionError, attempts=4, timeout=None, wait_initial=1, wait_jitter=0, wait_max=60)
    async def call():
        return await service()

    assert loop.run_until_complete(call()) == "ok"
    assert service.calls == [0, 1, 3, 7]


def test_aiolimiter_lets_two_a_second_through(loop):
    """A bucket of two that refills at two a second: the first two at once, then one every half second."""
    times = []

    async def caller(limiter):
        async with limiter:
            times.append(loop.time())

    async def main():
        limiter = AsyncLimiter(max_rate=2, time_period=1)
        await asyncio.gather(*(caller(limiter) for _ in range(6)))

    loop.run_until_complete(main())
    assert times == pytest.approx([0, 0, 0.5, 1, 1.5, 2], abs=1e-6)


def shop():
    """A Starlette app: an asynchronous handler that takes 2 s, a synchronous one, and one that sends work to a thread."""

    async def slow(request):
        await asyncio.sleep(2)
        return JSONResponse({"at": asyncio.get_running_loop().time()})

    def synchronous(request):
        return PlainTextResponse(f"hello {request.query_params['name']}")

    async def threaded(request):
        return PlainTextResponse(await run_in_threadpool(str.upper, "from a thread"))

    return Starlette(routes=[Route("/slow", slow), Route("/sync", synchronous), Route("/threaded", threaded)])


def test_httpx_talks_to_a_starlette_app(loop):
    """Three kinds of handlers, called at the same time through an ASGI transport: only the one that sleeps takes time."""

    async def main():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(shop()), base_url="http://shop") as client:
            slow, synchronous, threaded = await asyncio.gather(client.get("/slow"), client.get("/sync?name=ann"), client.get("/threaded"))
        return slow.json(), synchronous.text, threaded.text, loop.time()

    assert loop.run_until_complete(main()) == ({"at": 2}, "hello ann", "FROM A THREAD", 2)


def test_anyio_that_is_loaded_in_the_middle_of_a_run_is_inline_too():
    """anyio picks its asyncio backend up at its first use, often during the run: in a fresh process, no thread is started."""
    program = """
import asyncio, threading
from sim.kernel import SimLoop
async def main():
    await asyncio.sleep(1)
    import anyio.to_thread
    here = threading.current_thread()
    assert await anyio.to_thread.run_sync(threading.current_thread) is here
    print(asyncio.get_running_loop().time(), threading.active_count())
with SimLoop() as loop:
    loop.run_until_complete(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("1.0 1\n", "")


def test_what_a_threaded_function_sets_its_caller_does_not_see(loop):
    """Context variables go in and do not come out, inline as in a real thread; errors come out."""
    user = contextvars.ContextVar("user", default="nobody")

    def work(fails):
        assert user.get() == "ann"
        user.set("set in the thread")
        if fails:
            raise ValueError("broken")

    async def main():
        user.set("ann")
        await anyio.to_thread.run_sync(work, False)
        with pytest.raises(ValueError, match="broken"):
            await anyio.to_thread.run_sync(work, True)
        return user.get()

    assert loop.run_until_complete(main()) == "ann"


def test_anyio_keeps_its_threads_on_other_loops():
    """A real loop beside the simulation still gets real worker threads."""
    with SimLoop() as loop:
        loop.run_until_complete(anyio.to_thread.run_sync(threading.current_thread))
    assert anyio.run(anyio.to_thread.run_sync, threading.current_thread) is not threading.current_thread()


def test_anyio_itself_runs_on_the_loop(loop):
    """Task groups, cancel scopes with deadlines, events and streams of anyio, in simulated time."""

    async def main():
        sender, receiver = anyio.create_memory_object_stream(0)
        received = []

        async def produce():
            async with sender:
                for item in range(3):
                    await anyio.sleep(1)
                    await sender.send(item)

        async def consume():
            async with receiver:
                received.extend([(item, anyio.current_time()) async for item in receiver])

        async with anyio.create_task_group() as group:
            group.start_soon(produce)
            group.start_soon(consume)
        with anyio.move_on_after(5) as scope:
            await anyio.sleep_forever()
        return received, scope.cancelled_caught, loop.time()

    assert loop.run_until_complete(main()) == ([(0, 1), (1, 2), (2, 3)], True, 8)


def test_httpx_over_a_real_connection_is_refused(loop):
    """A client without the simulated transport would go out to the real network: it is told so."""

    async def main():
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get("http://shop.example/")

    with pytest.raises(NotSimulated, match="simulated network"):
        loop.run_until_complete(main())
