"""What stands in the queue beside SimPy's own events: a callback with its time."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.kernel.schedule import Schedule


COMPACT_ABOVE = 64  # dead timers; below that a rebuild costs more than it frees


class Timer:
    """A scheduled callback; what `asyncio.Handle` and `asyncio.TimerHandle` are to other loops.

    *context* may be None in the kernel's own uses, where the callback needs no context variables. *callback* is None as
    soon as it will not run again, because it ran or because it was cancelled; *args* is None only if it was cancelled.
    """

    __slots__ = ("args", "callback", "context", "loop", "time")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None, time: float, loop: Schedule,
    ) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args: tuple[Any, ...] | None = args
        self.context = context
        self.time = time
        self.loop = loop

    def cancel(self) -> None:
        """It will not run. Cancelling twice, or after it ran, does nothing."""
        if self.callback is not None:
            self.callback = None
            self.args = None
            loop = self.loop
            loop.dead += 1
            if loop.dead > COMPACT_ABOVE and loop.dead * 2 > len(loop._queue):
                loop.forget_dead()

    def cancelled(self) -> bool:
        """It was cancelled before it ran."""
        return self.args is None

    def when(self) -> float:
        """The simulated time at which it runs, in seconds."""
        return self.time

    def __repr__(self) -> str:
        return f"<Timer at {self.time:g}s: {self.callback}>"


def go_off(alarm: Future[None]) -> None:
    """The time of *alarm* has come."""
    if not alarm.done():
        alarm.set_result(None)


def is_dead(entry: Any) -> bool:
    """Nothing would happen if this entry of the queue came up: a cancelled timer, or a sleep that was cancelled."""
    kind = type(entry)
    return (kind is Timer and entry.callback is None) or (kind is Future and entry.done())
