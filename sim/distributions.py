"""Distributions of times: `5ms`, `{exponential: 5ms}`, `{lognormal: {median: 5ms, p99: 40ms}}` ...

Each spec gives its mean and squared coefficient of variation (for the arithmetic of `explain`), and a sampler that draws
from a named stream. Samplers draw in blocks, which is ten times as fast as drawing singly, and round to the nanosecond, so
that a mathematics library that differs in the last bit does not change a run.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sim.spec import OneKey, Spec
from sim.streams import Stream
from sim.units import Duration, PositiveDuration

if TYPE_CHECKING:
    import numpy as np

Sampler = Callable[[], float]
NORMAL_P99 = 2.3263478740408408  # the standard normal's 99th percentile
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


class Constant(Distribution):
    """Always the same."""

    shorthand: ClassVar[str] = "value"
    value: Duration

    def expectation(self) -> float:
        return self.value

    def scv(self) -> float:
        return 0.0

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        import numpy as np

        return np.full(n, self.value)

    def sampler(self, stream: Stream) -> Sampler:
        value = self.value
        return lambda: value


class Exponential(Distribution):
    """Memoryless; the classical service time."""

    shorthand: ClassVar[str] = "mean"
    mean: PositiveDuration

    def expectation(self) -> float:
        return self.mean

    def scv(self) -> float:
        return 1.0

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return rng.standard_exponential(n) * self.mean


class _MeanAndCv(Distribution):
    mean: PositiveDuration
    cv: float = Field(gt=0, le=100)

    def expectation(self) -> float:
        return self.mean

    def scv(self) -> float:
        return self.cv**2


class Lognormal(Distribution):
    """A body and a long tail, as latencies have it: by *median* and *p99*, or by *mean* and *cv* (standard deviation over mean)."""

    median: PositiveDuration | None = None
    p99: PositiveDuration | None = None
    mean: PositiveDuration | None = None
    cv: float | None = Field(default=None, gt=0, le=100)

    @model_validator(mode="after")
    def _one_pair(self) -> Lognormal:
        by_quantiles = self.median is not None and self.p99 is not None
        by_moments = self.mean is not None and self.cv is not None
        given = sum(value is not None for value in (self.median, self.p99, self.mean, self.cv))
        if given != 2 or not (by_quantiles or by_moments):
            raise PydanticCustomError("lognormal", "a lognormal is given by `median` and `p99`, or by `mean` and `cv`")
        if by_quantiles and self.p99 <= self.median:  # type: ignore[operator]
            raise PydanticCustomError("lognormal", "p99 must be larger than the median")
        return self

    def _mu_sigma(self) -> tuple[float, float]:
        if self.median is not None and self.p99 is not None:
            return math.log(self.median), math.log(self.p99 / self.median) / NORMAL_P99
        assert self.mean is not None and self.cv is not None
        variance = math.log(1 + self.cv**2)
        return math.log(self.mean) - variance / 2, math.sqrt(variance)

    def expectation(self) -> float:
        mu, sigma = self._mu_sigma()
        return math.exp(mu + sigma**2 / 2)

    def scv(self) -> float:
        return math.expm1(self._mu_sigma()[1] ** 2)

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        import numpy as np

        mu, sigma = self._mu_sigma()
        return np.exp(mu + sigma * rng.standard_normal(n))


class Normal(Distribution):
    """Bell-shaped, never below 0; the mean given is that of the uncut bell."""

    mean: Duration
    stddev: Duration

    def expectation(self) -> float:
        if self.stddev == 0:
            return self.mean
        z = self.mean / self.stddev
        density, below = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), (1 + math.erf(z / math.sqrt(2))) / 2
        return self.mean * below + self.stddev * density  # mean of max(0, X)

    def scv(self) -> float:
        if self.stddev == 0:
            return 0.0
        z = self.mean / self.stddev
        density, below = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), (1 + math.erf(z / math.sqrt(2))) / 2
        second = (self.mean**2 + self.stddev**2) * below + self.mean * self.stddev * density
        return second / self.expectation() ** 2 - 1

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return self.mean + self.stddev * rng.standard_normal(n)


class Uniform(Distribution):
    """Anywhere between *low* and *high*."""

    low: Duration
    high: Duration

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.high < self.low:
            raise PydanticCustomError("uniform", "high must not be below low")
        return self

    def expectation(self) -> float:
        return (self.low + self.high) / 2

    def scv(self) -> float:
        return 0.0 if self.high == 0 else ((self.high - self.low) ** 2 / 12) / self.expectation() ** 2

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return self.low + (self.high - self.low) * rng.random(n)


class Gamma(_MeanAndCv):
    """By mean and coefficient of variation."""

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return rng.standard_gamma(1 / self.scv(), n) * (self.mean * self.scv())


class Erlang(Distribution):
    """The sum of *k* exponentials: less variable than one."""

    mean: PositiveDuration
    k: int = Field(ge=1, le=10_000)

    def expectation(self) -> float:
        return self.mean

    def scv(self) -> float:
        return 1 / self.k

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return rng.standard_gamma(self.k, n) * (self.mean / self.k)


class Pareto(Distribution):
    """A power-law tail from *minimum* on; the mean is infinite for *alpha* <= 1, the variance for alpha <= 2."""

    minimum: PositiveDuration
    alpha: float = Field(gt=0, le=1000)

    def expectation(self) -> float:
        return math.inf if self.alpha <= 1 else self.alpha * self.minimum / (self.alpha - 1)

    def scv(self) -> float:
        return math.inf if self.alpha <= 2 else 1 / (self.alpha * (self.alpha - 2))

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return self.minimum * (1 - rng.random(n)) ** (-1 / self.alpha)


class Weibull(Distribution):
    """*shape* below 1 has a heavy tail, above 1 ages."""

    scale: PositiveDuration
    shape: float = Field(gt=0.05, le=1000)

    def expectation(self) -> float:
        return self.scale * math.gamma(1 + 1 / self.shape)

    def scv(self) -> float:
        return math.gamma(1 + 2 / self.shape) / math.gamma(1 + 1 / self.shape) ** 2 - 1

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        return self.scale * rng.standard_exponential(n) ** (1 / self.shape)


class Part(Spec):
    """One component of a mixture: how often, and of what."""

    weight: float = Field(gt=0)
    of: TimeDistribution


class Mixture(Distribution):
    """One of several distributions at each draw, by weight: fast path and slow path."""

    shorthand: ClassVar[str] = "parts"
    parts: list[Part] = Field(min_length=1)

    def _shares(self) -> list[float]:
        total = sum(part.weight for part in self.parts)
        return [part.weight / total for part in self.parts]

    def expectation(self) -> float:
        return sum(share * part.of.expectation() for share, part in zip(self._shares(), self.parts, strict=True))

    def scv(self) -> float:
        second = sum(share * part.of.expectation() ** 2 * (1 + part.of.scv())
                     for share, part in zip(self._shares(), self.parts, strict=True))
        return second / self.expectation() ** 2 - 1 if self.expectation() else 0.0

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        import numpy as np

        chosen = rng.choice(len(self.parts), size=n, p=self._shares())
        return np.array([part.of.draw(rng, n) for part in self.parts])[chosen, np.arange(n)]


class Empirical(Distribution):
    """Measured times: *values* drawn evenly, *quantiles* (share to time) joined by straight lines, or a *file*, a time in seconds a line."""

    values: list[Duration] | None = Field(default=None, min_length=1)
    quantiles: dict[str, Duration] | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Empirical:
        if sum(source is not None for source in (self.values, self.quantiles, self.file)) != 1:
            raise PydanticCustomError("empirical", "an empirical distribution needs exactly one of `values`, `quantiles`, `file`")
        if self.quantiles is not None:
            times = [time for _, time in self._points()]
            if len(times) < 2 or times != sorted(times):
                example = {"example": "{p0: 1ms, p50: 5ms, p100: 80ms}"}
                raise PydanticCustomError("empirical", "quantiles need two points or more, and times that do not fall: {example}", example)
        if self.file is not None and not Path(self.file).is_file():
            raise PydanticCustomError("empirical", "no such file: {file}", {"file": self.file})
        return self

    def _points(self) -> list[tuple[float, float]]:
        assert self.quantiles is not None
        try:
            return sorted((float(share.removeprefix("p").removesuffix("%")) / 100, time) for share, time in self.quantiles.items())
        except ValueError:
            raise PydanticCustomError("empirical", "a quantile is written p50, p99.9 or 50") from None

    def _sample_values(self) -> list[float]:
        if self.values is not None:
            return self.values
        assert self.file is not None
        with open(self.file, newline="", encoding="utf-8") as lines:
            return [float(row[-1]) for row in csv.reader(lines) if row and row[-1].strip()[:1].isdigit()]

    def _moments(self) -> tuple[float, float]:
        if self.quantiles is None:
            values = self._sample_values()
            return sum(values) / len(values), sum(v * v for v in values) / len(values)
        first = second = 0.0
        points = [(0.0, self._points()[0][1]), *self._points(), (1.0, self._points()[-1][1])]
        for (p, a), (q, b) in pairwise(points):
            first += (q - p) * (a + b) / 2
            second += (q - p) * (a * a + a * b + b * b) / 3
        return first, second

    def expectation(self) -> float:
        return self._moments()[0]

    def scv(self) -> float:
        first, second = self._moments()
        return second / first**2 - 1 if first else 0.0

    def draw(self, rng: np.random.Generator, n: int) -> Any:
        import numpy as np

        if self.quantiles is not None:
            shares, times = zip(*self._points(), strict=True)
            return np.interp(rng.random(n), shares, times)
        values = np.asarray(self._sample_values())
        return values[rng.integers(0, len(values), n)]


class _TimeKinds(OneKey):
    """A bare duration is a constant."""

    def validate(self, value: Any) -> Spec:
        if isinstance(value, Mapping | Spec):
            return super().validate(value)
        return self._inner(Constant, value, ())

    def dump(self, value: Spec) -> Any:
        return value.model_dump(mode="json")["value"] if isinstance(value, Constant) else super().dump(value)

    def json_branches(self, ref: Callable[[type[Spec]], dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"type": "string", "examples": ["5ms"]}, *super().json_branches(ref)]


TimeDistribution = Annotated[Distribution, _TimeKinds("distribution", lambda: DISTRIBUTIONS)]

DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "constant": Constant,
    "exponential": Exponential,
    "lognormal": Lognormal,
    "normal": Normal,
    "uniform": Uniform,
    "gamma": Gamma,
    "erlang": Erlang,
    "pareto": Pareto,
    "weibull": Weibull,
    "mixture": Mixture,
    "empirical": Empirical,
}
