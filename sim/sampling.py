"""What all distributions of times are: a spec that knows its mean and spread, and draws from a named stream.

Samplers draw in blocks, which is ten times as fast as drawing singly, and round to the nanosecond, so that a mathematics library
that differs in the last bit does not change a run.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Self

from sim.spec import Spec
from sim.streams import Stream

if TYPE_CHECKING:
    import numpy as np

    Doubles = array[float]
else:
    Doubles = array  # which takes no type at run time

Sampler = Callable[[], float]
FIRST_BLOCK, LARGEST_BLOCK = 64, 4096


def in_blocks(draw: Callable[[int], Any]) -> Sampler:
    """A sampler over *draw(n)*, which gives an array of n seconds; the next draw is taken without running a line of Python."""
    return chain.from_iterable(_blocks(draw)).__next__


class Times(Doubles):
    """Times that are drawn ahead, in seconds, the next one last. `times.pop() if times else times.more()` is `times.draw()` at less cost.

    For what a large system has thousands of, such as links: to take one touches two lines of memory, and through a sampler five.
    """

    __slots__ = ("_blocks",)

    def __new__(cls, blocks: Iterator[array[float]]) -> Self:
        return super().__new__(cls, "d")  # type: ignore[return-value]  # said of plain arrays only

    def __init__(self, blocks: Iterator[array[float]]) -> None:
        self._blocks = blocks

    def draw(self) -> float:
        """The next one."""
        return self.pop() if self else self.more()

    def moved(self) -> Times:
        """Others that go on where these stand; these have nothing ahead any more."""
        others = Times(self._blocks)
        others.extend(self)
        del self[:]
        return others

    def become(self, others: Times) -> None:
        """Go on as *others* do."""
        self._blocks = others._blocks
        self[:] = others

    def more(self) -> float:
        """Draw a block, and take the next one."""
        block = next(self._blocks)
        block.reverse()
        self.extend(block)
        return self.pop()


def _blocks(draw: Callable[[int], Any]) -> Iterator[array[float]]:
    """Without end, and larger each time. A plain array is a quarter of a list of floats: with thousands of links it counts."""
    import numpy as np

    size = FIRST_BLOCK
    while True:
        with np.errstate(over="ignore"):  # a tail may reach to infinity: what takes so long never ends
            seconds = np.rint(np.maximum(draw(size), 0.0) * 1e9) / 1e9
        yield array("d", seconds.tobytes())
        size = min(2 * size, LARGEST_BLOCK)


def always(seconds: float) -> Times:
    """The same time again and again."""
    return Times(repeat(array("d", [seconds]) * FIRST_BLOCK))


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
        return in_blocks(lambda n: self.draw(stream.numpy, n))

    def times(self, stream: Stream) -> Times:
        """The same times, for who keeps thousands of such."""
        return Times(_blocks(lambda n: self.draw(stream.numpy, n)))
