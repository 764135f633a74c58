"""Worker threads run inline: a framework that sends its synchronous handlers to a thread (Starlette, through anyio) would
otherwise bring real time into the simulation.

asyncio's own way, `run_in_executor` and with it `asyncio.to_thread`, ends in `SimLoop.run_in_executor`; anyio starts
threads by itself, so its one entry is replaced by a version that looks which loop is running. anyio loads that part of
itself late, often in the middle of a run, so the replacement waits for it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from contextvars import copy_context
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

BACKEND = "anyio._backends._asyncio"
_MARK = "_mesocosm_inline"


def run_worker_threads_inline() -> None:
    """Teach anyio to run worker-thread functions inline on a SimLoop, now or once it is loaded. Other loops are left as they are."""
    module = sys.modules.get(BACKEND)
    if module is None:
        if _waiting not in sys.meta_path:
            sys.meta_path.insert(0, _waiting)
    elif not hasattr(module, _MARK):
        _replace(module)


def _replace(module: ModuleType) -> None:
    backend = getattr(module, "AsyncIOBackend", None)
    if backend is None:
        return
    original = backend.run_sync_in_worker_thread.__func__

    async def run_sync_in_worker_thread(cls: Any, func: Any, args: tuple[Any, ...], *rest: Any, **options: Any) -> Any:
        from sim.kernel.loop import SimLoop

        if isinstance(asyncio.get_running_loop(), SimLoop):
            return copy_context().run(func, *args)  # as in a thread: what it sets, its caller does not see
        return await original(cls, func, args, *rest, **options)

    backend.run_sync_in_worker_thread = classmethod(run_sync_in_worker_thread)
    setattr(module, _MARK, True)


class _Waiting:
    """An import hook that acts once, when anyio's asyncio backend is loaded."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != BACKEND:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_replace(module: ModuleType) -> None:
            load(module)
            _replace(module)

        spec.loader.exec_module = load_and_replace  # type: ignore[method-assign]
        return spec


_waiting = _Waiting()
