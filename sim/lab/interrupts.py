"""Ctrl-C during a run: the loop is asked to stop, so that the run ends between two events with everything in order.

A KeyboardInterrupt raised wherever the program happens to be can be lost (Python ignores it in callbacks of weak references
and in `__del__`), or leave a count half made. Who writes what a run leaves holds the block open until that is done:

    with interruptible(forgiven=1) as interrupt:
        result = run(scenario, interrupt=interrupt)
        write(result)
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sim.kernel import SimLoop


class Interrupt:
    """Whether somebody has asked a run to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._loop: SimLoop | None = None

    @contextmanager
    def stops(self, loop: SimLoop) -> Iterator[None]:
        """While the block lasts it is *loop* that stops; raise KeyboardInterrupt if that was asked for before anything was measured."""
        if self.asked:
            raise KeyboardInterrupt
        self._loop = loop
        try:
            yield
        finally:
            self._loop = None

    def ask(self) -> None:
        """End the run; one that stands still between two steps is to look at `asked`."""
        self.asked = True
        if self._loop is not None and self._loop.is_running():
            self._loop.stop()


@contextmanager
def interruptible(forgiven: int = 0) -> Iterator[Interrupt]:
    """While the block lasts, Ctrl-C asks the interrupt that is yielded; *forgiven* more do nothing (a key that bounces, impatience while
    files are written), and the next is Python's own. Outside the main thread signals stay as they are.

    SIGTERM is the same where the program takes it as Ctrl-C, as `mesocosm` does; whoever calls `run` keeps a SIGTERM of their own.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    left = 1 + forgiven

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal left
        left -= 1
        if not left:
            for number, handler in before.items():
                signal.signal(number, handler)
        interrupt.ask()

    taken = [signal.SIGINT, *([signal.SIGTERM] if signal.getsignal(signal.SIGTERM) is signal.default_int_handler else [])]
    before = {number: signal.getsignal(number) for number in taken}
    for number in taken:
        signal.signal(number, stop)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
