"""Worker threads run inline: a framework that sends its synchronous handlers to a thread (Starlette, through anyio) would
otherwise bring real time into the simulation.

asyncio's own way, `run_in_executor` and with it `asyncio.to_thread`, ends in `SimLoop.run_in_executor`; anyio starts
threads by itself, so its one entry is replaced by a version that looks which loop is running.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

_MARK = "_mesocosm_inline"


def run_worker_threads_inline() -> None:
    """Teach anyio, if it is loaded, to run worker-thread functions inline on a SimLoop. Other loops are left as they are."""
    module = sys.modules.get("anyio._backends._asyncio")
    backend = getattr(module, "AsyncIOBackend", None)
    if backend is None or hasattr(backend, _MARK):
        return
    original = backend.run_sync_in_worker_thread.__func__

    async def run_sync_in_worker_thread(cls: Any, func: Any, args: tuple[Any, ...], *rest: Any, **options: Any) -> Any:
        from sim.kernel.loop import SimLoop

        if isinstance(asyncio.get_running_loop(), SimLoop):
            return func(*args)
        return await original(cls, func, args, *rest, **options)

    backend.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
    setattr(backend, _MARK, True)
