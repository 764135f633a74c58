"""Times that were measured: a list, quantiles, or a file."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sim.files import NamedFile, read_seconds
from sim.sampling import Distribution
from sim.units import Duration

if TYPE_CHECKING:
    import numpy as np


class Empirical(Distribution):
    """Measured times: *values* drawn evenly, *quantiles* (share to time) joined by straight lines, or a *file* of seconds."""

    values: list[Duration] | None = Field(default=None, min_length=1)
    quantiles: dict[str, Duration] | None = None
    file: NamedFile | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Empirical:
        if sum(source is not None for source in (self.values, self.quantiles, self.file)) != 1:
            raise PydanticCustomError("empirical", "an empirical distribution needs exactly one of `values`, `quantiles`, `file`")
        if self.quantiles is not None:
            times = [time for _, time in self._points()]
            if len(times) < 2 or times != sorted(times):
                example = {"example": "{p0: 1ms, p50: 5ms, p100: 80ms}"}
                raise PydanticCustomError("empirical", "quantiles need two points or more, and times that do not fall: {example}", example)
        if self.file is not None:
            read_seconds(self.file, column=-1)
        return self

    def _points(self) -> list[tuple[float, float]]:
        assert self.quantiles is not None
        try:
            points = sorted((float(share.removeprefix("p").removesuffix("%")) / 100, time) for share, time in self.quantiles.items())
        except ValueError:
            points = [(math.nan, 0.0)]
        if not all(0 <= share <= 1 for share, _ in points):
            raise PydanticCustomError("empirical", "a quantile is written p50, p99.9 or 50, and is between 0 and 100")
        return points

    @cached_property
    def seconds(self) -> list[float]:
        """The measured times."""
        return self.values if self.values is not None else read_seconds(self.file or "", column=-1)

    @cached_property
    def sample(self) -> Any:
        """The measured times as an array."""
        import numpy as np

        return np.array(self.seconds)

    def _moments(self) -> tuple[float, float]:
        if self.quantiles is None:
            values = self.seconds
            return sum(values) / len(values), sum(value * value for value in values) / len(values)
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
        return self.sample[rng.integers(0, len(self.sample), n)]
