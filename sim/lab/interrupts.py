"""Ctrl-C during a run: the loop is asked to stop, so that the run ends between two events with everything in order.

A KeyboardInterrupt raised wherever the program happens to be can be lost (Python ignores it in callbacks of weak references
and in `__del__`), or leave a count half made. A second Ctrl-C is Python's own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sim.kernel import SimLoop


class Interrupt:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def interruptible(loop: SimLoop) -> Iterator[Interrupt]:
    """While the block lasts, Ctrl-C stops *loop* and marks what is yielded. Outside the main thread signals stay as they are."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        interrupt.asked = True
        loop.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
