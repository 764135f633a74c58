"""The chance that code under test draws for itself: the jitter of a retry library, a sample of a load test, the identifier of an order.

`random` draws from Python's own generator; `os.urandom`, and with it `uuid.uuid4`, `secrets` and `random.SystemRandom`, from the machine.
Inside of `seeded_chance` both repeat. The simulation itself touches neither: it draws from named streams.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def seeded_chance(seed: int) -> Iterator[None]:
    """Inside, `random.random()`, `uuid.uuid4()` and their like repeat with *seed*; afterwards they go on as if nothing had been.

    What other threads ask of the machine stays chance. So does what a generator without a seed begins with (`random.Random()`).
    """
    before = random.getstate()
    random.seed(seed)
    try:
        with _seeded_machine(seed):
            yield
    finally:
        random.setstate(before)


@contextmanager
def _seeded_machine(seed: int) -> Iterator[None]:
    """Let `os.urandom`, which the standard library knows by two names, repeat in this thread."""
    draw, here, real = random.Random(f"os.urandom {seed}").randbytes, threading.get_ident(), os.urandom

    def urandom(size: int, /) -> bytes:
        return draw(size) if threading.get_ident() == here else real(size)

    holders: list[tuple[Any, str, Callable[[int], bytes]]] = [(os, "urandom", real), (random, "_urandom", random._urandom)]  # type: ignore[attr-defined]
    for module, name, _ in holders:
        setattr(module, name, urandom)
    try:
        yield
    finally:
        for module, name, was in holders:
            setattr(module, name, was)
