"""The chance that code under test draws for itself, from Python's own generator: the jitter of a retry library, a sample of a load test.

The simulation itself never touches that generator: it draws from named streams.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded_chance(seed: int) -> Iterator[None]:
    """Inside, `random.random()` and its like repeat with *seed*; afterwards they go on as if nothing had been."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
