"""How a simulation ends that cannot go on.

    RuntimeError
    ├── SimulationError     an error that nobody handled: names the simulated time, the task and the seed
    ├── Deadlock            nothing is scheduled any more and tasks still wait: names each and what it waits for
    └── NotSimulated        sockets, subprocesses, signals, other threads: things of the real machine
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple

_ASYNCIO = os.path.dirname(asyncio.__file__)


class Failure(NamedTuple):
    """An error that nobody handled, in code that has an *owner*: when it came up (seconds), of which task (0: a callback), and its text."""

    at: float
    task: int
    owner: Any
    error: str


class Told(RuntimeError):
    """An error that another process can be told of as it is, though its text is not what it was made from."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(kind: type[Told], args: tuple[Any, ...], state: dict[str, Any]) -> Told:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class SimulationError(Told):
    """An error that no task handled. *at* is in simulated seconds; the error itself is the `__cause__`."""

    def __init__(self, error: BaseException, at: float, task: str, seed: int) -> None:
        super().__init__(f"{type(error).__name__}: {error} (unhandled at t={at:g}s in {task}, seed {seed})")
        self.at, self.task, self.seed = at, task, seed


class Deadlock(Told):
    """Nothing is scheduled any more, and these tasks wait for ever."""

    def __init__(self, tasks: Iterable[asyncio.Task[Any]], at: float, seed: int) -> None:
        lines = sorted(f"  {task.get_name()}: {waiting_for(task)}" for task in tasks)
        head = f"deadlock at t={at:g}s, seed {seed}: nothing is scheduled, and {len(lines)} task(s) still wait"
        super().__init__("\n".join([head, *lines]))
        self.at, self.seed = at, seed


class NotSimulated(Told):
    """Asked for something of the real machine that has no place in a simulation; *cure* says what to do instead."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what} is not part of a simulation: {cure}")


def failing_task(source: Any) -> Any:
    """The task in which the error came up that *source* had: itself, or of what `gather` has put together the first that failed."""
    return next((child for child in getattr(source, "_children", ()) if hasattr(child, "failed")), source)


def source_name(source: Any) -> str:
    """How an error message calls the thing in whose code an error came up: a task, a SimPy process, a timer's callback."""
    if isinstance(source, asyncio.Task):
        return source.get_name()
    if hasattr(source, "_desc"):  # SimPy's events and processes
        return str(source._desc())
    if callable(source):
        function = getattr(source, "func", source)  # of a functools.partial
        return f"callback {getattr(function, '__qualname__', None) or repr(function)}"
    return "a callback"


def waiting_for(task: asyncio.Task[Any]) -> str:
    """Where in the user's code *task* is suspended, innermost frame outside asyncio, and on what."""
    frames = list(_frames(task.get_coro()))
    if not frames:
        return f"in {task.get_coro()!r}"
    own = [index for index, frame in enumerate(frames) if not frame.f_code.co_filename.startswith(_ASYNCIO)]
    here = own[-1] if own else 0
    event = frames[here].f_locals.get("event") if frames[here].f_code.co_name == "_await_event" else None
    if event is not None and here > 0:
        here -= 1
        what = event._desc()
    elif here + 1 < len(frames):
        names = [frame.f_code.co_qualname for frame in frames[here + 1:]]  # asyncio's own: Queue.get, Event.wait, sleep
        what = next((name for name in names if not name.startswith("_")), names[0])
    else:
        what = _future(task)
    frame = frames[here]
    return f"in {frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno}), waiting for {what}"


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, outermost first."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            yield frame
        inner = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None) or getattr(coroutine, "ag_await", None)
        coroutine = inner


def _future(task: asyncio.Task[Any]) -> str:
    awaited = getattr(task, "_fut_waiter", None)
    if isinstance(awaited, asyncio.Task):
        return f"task {awaited.get_name()}"
    return type(awaited).__name__ if awaited is not None else "its first step"
