"""How evenly requests come at a given rate, from one by one to bursts: `arrivals: uniform`, `arrivals: {gamma: {cv: 2}}`.

Gaps count in units of their mean distance (sim.workload.arrivals), so every pattern follows a rate that changes. Only bursts last for
seconds, whatever the rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from sim.sampling import Sampler, in_blocks
from sim.spec import OneKey, Spec
from sim.streams import Stream
from sim.units import PositiveDuration, Share


class Pattern(Spec):
    """Base of all patterns. *in_batches*: `batch_size` requests come at each arrival."""

    in_batches: ClassVar[bool] = False

    def gaps(self, stream: Stream, mean: float) -> Sampler:
        """Gaps between arrivals, with that *mean*."""
        raise NotImplementedError

    def phases(self, stream: Stream) -> Iterator[tuple[float, float]]:
        """(What the rate is multiplied by, for how many seconds), without end; nothing if it is always the same."""
        return iter(())

    def dispersion(self, rate: float) -> float:
        """Variance over mean of the number of arrivals in a long time, at *rate* (per second); Poisson's is 1.

        Where gaps are independent of each other this is their squared coefficient of variation.
        """
        return 1.0

    def peak(self) -> float:
        """How often the mean rate the highest one is, as long as chance alone makes arrivals uneven at that rate; else infinite."""
        return 1.0


class Poisson(Pattern):
    """Each comes by itself, as from many independent users: gaps are exponential."""

    def gaps(self, stream: Stream, mean: float) -> Sampler:
        rng = stream.numpy
        return in_blocks(lambda n: rng.standard_exponential(n) * mean)


class Uniform(Pattern):
    """Evenly spaced, the first after one gap."""

    def gaps(self, stream: Stream, mean: float) -> Sampler:
        return lambda: mean

    def dispersion(self, rate: float) -> float:
        return 0.0


class Batch(Poisson):
    """`batch_size` requests at the same instant, batches as Poisson's; the rate still counts requests."""

    in_batches = True


class Gamma(Pattern):
    """Gaps independent of each other with *cv*, standard deviation over mean: above 1 arrivals come in clumps, below 1 they are more even
    than Poisson's. (1/cv² = k: Erlang's of k stages.)"""

    cv: float = Field(gt=0, le=100)

    def gaps(self, stream: Stream, mean: float) -> Sampler:
        rng, scv = stream.numpy, self.dispersion(1.0)
        return in_blocks(lambda n: rng.standard_gamma(1 / scv, n) * (scv * mean))

    def dispersion(self, rate: float) -> float:
        return self.cv**2

    def peak(self) -> float:
        return math.inf


class Bursts(Poisson):
    """On and off: bursts last for *on* and what is between them for *off* on average, both exponential. In between *quiet* of the rate is
    left, in bursts it is so much higher that the mean is kept; at any time arrivals are Poisson's (a Markov-modulated process of two
    states)."""

    on: PositiveDuration
    off: PositiveDuration
    quiet: Share = 0.0

    def phases(self, stream: Stream) -> Iterator[tuple[float, float]]:
        rng = stream.numpy
        last = in_blocks(lambda n: rng.standard_exponential(n))
        bursting = stream.random() < self._bursting()
        while True:
            yield (self.peak(), self.on * last()) if bursting else (self.quiet, self.off * last())
            bursting = not bursting

    def dispersion(self, rate: float) -> float:
        """Source: Heffes and Lucantoni, IEEE JSAC 4 (1986): the variance of the rate, times twice how long it is remembered."""
        share = self._bursting()
        memory = 1 / (1 / self.on + 1 / self.off)
        return 1 + 2 * rate * share * (1 - share) * (self.peak() - self.quiet) ** 2 * memory

    def peak(self) -> float:
        share = self._bursting()
        return (1 - (1 - share) * self.quiet) / share

    def _bursting(self) -> float:
        return self.on / (self.on + self.off)


class _PatternKinds(OneKey):
    """A pattern that has nothing to say but its name is that name."""

    def dump(self, value: Spec) -> Any:
        whole = super().dump(value)
        ((word, body),) = whole.items()
        return whole if body else word


AnyPattern = Annotated[Pattern, _PatternKinds("pattern", lambda: PATTERNS, group="arrivals")]

PATTERNS: dict[str, type[Pattern]] = {"poisson": Poisson, "uniform": Uniform, "batch": Batch, "gamma": Gamma, "bursts": Bursts}
