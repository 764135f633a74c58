"""The chance that code under test draws for itself: the jitter of a retry library, a sample of a load test, the identifier of an order.

`random` draws from Python's own generator and `numpy.random` from numpy's; `os.urandom`, and with it `uuid.uuid4`, `secrets`,
`random.SystemRandom` and `numpy.random.default_rng()`, from the machine. A generator without a seed, `random.Random()`, begins with what
the machine gives it. Inside of `seeded_chance` all of them repeat. The simulation itself touches none: it draws from named streams.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sim.streams import stream_seed


@contextmanager
def seeded_chance(seed: int) -> Iterator[None]:
    """Inside, `random.random()`, `uuid.uuid4()` and their like repeat with *seed*; afterwards they go on as if nothing had been.

    What other threads ask of the machine stays chance. numpy's own generator repeats where numpy was loaded before.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        with _seeded_machine(seed), _seeded_generators(seed), _seeded_numpy(seed):
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


@contextmanager
def _seeded_generators(seed: int) -> Iterator[None]:
    """Let each generator that is made without a seed in this thread begin with one from a stream of the module that makes it.

    One for each module, since a library may make one for itself only in the first run of a process.
    """
    here, real = threading.get_ident(), random.Random.seed

    @cache
    def stream(module: str) -> random.Random:
        return random.Random(f"random.Random {seed} {module}")

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None and threading.get_ident() == here:
            asking = sys._getframe(1)
            while asking.f_globals.get("__name__") == "random" and asking.f_back is not None:
                asking = asking.f_back
            a = stream(asking.f_globals.get("__name__", "")).getrandbits(128)
        real(self, a, version)

    of_module = random.seed
    random.Random.seed = seeded  # type: ignore[method-assign]
    random.seed = random._inst.seed  # the bound one has the old method in it
    try:
        yield
    finally:
        random.Random.seed = real  # type: ignore[method-assign]
        random.seed = of_module


@contextmanager
def _seeded_numpy(seed: int) -> Iterator[None]:
    """Let numpy's own generator repeat; afterwards it goes on as if nothing had been."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is None:
        yield
        return
    before = numpy.get_state()
    numpy.seed(stream_seed(seed, "numpy.random") % 2**32)
    try:
        yield
    finally:
        numpy.set_state(before)
