"""SimPy's side of the kernel: an environment that the SimLoop runs, and events that asyncio code can await.

SimPy's own order is kept: what is urgent (the start of a process, an interrupt) comes first, everything else in the order
in which it was asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from typing import Any

import simpy
from simpy.events import NORMAL

__all__ = ["NORMAL", "Environment"]


class Environment(simpy.Environment):
    """SimPy's environment; events without delay go to the loop's deque, in the order in which they were asked for."""

    def __init__(self, ready: deque[Any], initial_time: float) -> None:
        super().__init__(initial_time)
        self._ready = ready

    def schedule(self, event: simpy.Event, priority: Any = NORMAL, delay: float = 0) -> None:
        if priority == NORMAL and not self._now + delay > self._now:
            self._ready.append(event)
        else:
            super().schedule(event, priority, delay)

    def peek(self) -> float:
        """When the next thing is due, in seconds; infinity if nothing is."""
        return float(self._now if self._ready else super().peek())

    def step(self) -> None:
        raise RuntimeError("the SimLoop runs this environment: use loop.run_until(seconds) or loop.run_until_complete(awaitable)")

    def run(self, until: Any = None) -> Any:
        self.step()


def _await_event(event: simpy.Event) -> Generator[Any, None, Any]:
    """Lets asyncio code `await` any SimPy event: a timeout, a request of a resource, a process."""
    if event.callbacks is None:  # has already happened
        if not event._ok:
            raise event._value
        return event._value
    loop = asyncio.get_running_loop()
    if getattr(loop, "env", None) is not event.env:
        raise RuntimeError(f"{event!r} belongs to another environment than the one of this loop: make it with loop.env")
    future = loop.create_future()

    def settle(happened: simpy.Event) -> None:
        if future.done():
            return
        if happened._ok:
            future.set_result(happened._value)
        else:
            happened.defused = True
            future.set_exception(happened._value)

    event.callbacks.append(settle)
    return (yield from future)


simpy.Event.__await__ = _await_event  # type: ignore[attr-defined]  # SimPy's events have no `__await__` of their own
