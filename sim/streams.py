"""Chance: every part of a run has a stream of its own, named after it and derived from the one seed.

A new part therefore moves nobody else's dice: two runs of one seed see the same arrivals and the same service times
wherever their scenarios agree (common random numbers). The hash is stable over machines and over PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream_seed(seed: int, name: str) -> int:
    """128 bits that depend on *seed* and *name* alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest(), "big")


class Stream(random.Random):
    """A `random.Random` for single draws, with a numpy generator beside it for draws in blocks."""

    def __init__(self, seed: int, name: str) -> None:
        self.root, self.name = seed, name
        super().__init__(stream_seed(seed, name))

    @cached_property
    def numpy(self) -> np.random.Generator:
        """A numpy generator, independent of the single draws; whoever asks for it gets the same one, in its present state."""
        import numpy as np

        return np.random.Generator(np.random.PCG64(stream_seed(self.root, f"{self.name}/numpy")))


class Streams:
    """The streams of one run: `streams["link shop>orders"]`. The same name gives the same stream, in its present state."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Stream] = {}

    def __getitem__(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self.seed, name)
        return stream
