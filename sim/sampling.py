"""What all distributions of times are: a spec that knows its mean and spread, and draws from a named stream.

Samplers draw in blocks, which is ten times as fast as drawing singly, and round to the nanosecond, so that a mathematics library
that differs in the last bit does not change a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sim.spec import Spec
from sim.streams import Stream

if TYPE_CHECKING:
    import numpy as np

Sampler = Callable[[], float]
FIRST_BLOCK, LARGEST_BLOCK = 64, 4096


def in_blocks(draw: Callable[[int], Any]) -> Sampler:
    """A sampler over *draw(n)*, which gives an array of n seconds."""
    block: list[float] = []
    pop = block.pop
    size = FIRST_BLOCK

    def sample() -> float:
        nonlocal size
        if not block:
            import numpy as np

            with np.errstate(over="ignore"):  # a tail may reach to infinity: what takes so long never ends
                block.extend((np.rint(np.maximum(draw(size), 0.0) * 1e9) / 1e9)[::-1].tolist())
            size = min(2 * size, LARGEST_BLOCK)
        return pop()

    return sample


class Distribution(Spec):
    """Base of every distribution of times; seconds."""

    def expectation(self) -> float:
        """Mean, in seconds."""
        raise NotImplementedError

    def scv(self) -> float:
        """Squared coefficient of variation: variance over squared mean; 0 is constant, 1 exponential."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        """An array of *n* seconds."""
        raise NotImplementedError

    def sampler(self, stream: Stream) -> Sampler:
        """A function that draws the next time, in seconds."""
        rng = stream.numpy
        return in_blocks(lambda n: self.draw(rng, n))
