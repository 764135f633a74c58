"""Distributions of times: `5ms`, `{exponential: 5ms}`, `{lognormal: {median: 5ms, p99: 40ms}}` ...

Each spec gives its mean and squared coefficient of variation (for the arithmetic of `explain`), and a sampler that draws
from a named stream (sim.sampling).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sim.empirical import Empirical
from sim.sampling import Distribution, Sampler, Times, always
from sim.spec import OneKey, Spec
from sim.streams import Stream
from sim.units import Duration, PositiveDuration

if TYPE_CHECKING:
    import numpy as np

NORMAL_P99 = 2.3263478740408408  # the standard normal's 99th percentile


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

    def times(self, stream: Stream) -> Times:
        return always(self.value)


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

    weight: float = Field(gt=0, le=1e9)
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


class _TimeKinds(OneKey):
    """A bare duration is a constant."""

    def validate(self, value: Any, context: Any = None) -> Spec:
        if isinstance(value, Mapping | Spec):
            return super().validate(value, context)
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
