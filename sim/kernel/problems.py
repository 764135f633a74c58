"""How a simulation ends that cannot go on.

    RuntimeError
    ├── SimulationError     an error that nobody handled: names the simulated time, the task and the seed
    ├── Deadlock            nothing is scheduled any more and tasks still wait: names each and what it waits for
    └── NotSimulated        sockets, subprocesses, signals: things of the real machine
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import CodeType
from typing import Any


class SimulationError(RuntimeError):
    """An error that no task handled. *at* is in simulated seconds; the error itself is the `__cause__`."""

    def __init__(self, error: BaseException, at: float, task: str, seed: int) -> None:
        super().__init__(f"{type(error).__name__}: {error} (unhandled at t={at:g}s in {task}, seed {seed})")
        self.at, self.task, self.seed = at, task, seed


class Deadlock(RuntimeError):
    """Nothing is scheduled any more, and these tasks wait for ever."""

    def __init__(self, tasks: Iterable[asyncio.Task[Any]], at: float) -> None:
        lines = sorted(f"  {task.get_name()}: {waiting_for(task)}" for task in tasks)
        super().__init__("\n".join([f"deadlock at t={at:g}s: nothing is scheduled, and {len(lines)} task(s) still wait", *lines]))
        self.at = at


class NotSimulated(RuntimeError):
    """Asked for something of the real machine that has no place in a simulation."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: a SimLoop has no sockets, processes or signals; send requests over the simulated network instead")


def waiting_for(task: asyncio.Task[Any]) -> str:
    """Where in the code *task* is suspended, innermost frame, and on what."""
    here: Any = task.get_coro()
    code: CodeType | None = None
    line = 0
    while here is not None:
        frame = getattr(here, "cr_frame", None) or getattr(here, "gi_frame", None)
        if frame is not None:
            code, line = frame.f_code, frame.f_lineno
        inner = getattr(here, "cr_await", None) or getattr(here, "gi_yieldfrom", None)
        if inner is None:
            break
        here = inner
    place = f"{code.co_qualname} ({code.co_filename}:{line})" if code is not None else repr(task.get_coro())
    return f"in {place}, waiting for {type(here).__name__}"
