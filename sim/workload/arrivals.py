"""When requests arrive, for a rate that changes over time.

Arrivals are counted in units of their mean distance: the k-th comes when the integral of the rate has grown by its own gap
(1 for evenly spaced, exponential for Poisson: see sim.workload.patterns). So a ramp, a stage or a surge in the middle of a gap needs no
approximation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Literal

from sim.sampling import Sampler
from sim.streams import Stream

if TYPE_CHECKING:
    from sim.kernel import SimLoop, Timer


class Stages:
    """A rate that goes from target to target in straight lines; times in seconds from the start, rates per second."""

    def __init__(self, start: float, stages: list[tuple[float, float]]) -> None:
        self.points: list[tuple[float, float]] = [(0.0, start)]  # (time, rate)
        for duration, target in stages:
            self.points.append((self.points[-1][0] + duration, target))

    def rate(self, at: float) -> float:
        """The rate at a time; after the last stage it stays."""
        for (begin, low), (end, high) in zip(self.points, self.points[1:], strict=False):
            if at < end:
                return low + (high - low) * (at - begin) / (end - begin)
        return self.points[-1][1]

    def when(self, since: float, units: float) -> float:
        """The time at which the integral of the rate from *since* reaches *units*; inf if it never does."""
        for (begin, low), (end, high) in zip(self.points, self.points[1:], strict=False):
            if since >= end:
                continue
            slope = (high - low) / (end - begin)
            here = low + slope * (since - begin)
            whole = (here + high) / 2 * (end - since)
            if units <= whole:
                root = math.sqrt(max(0.0, here * here + 2 * slope * units))
                return since + 2 * units / (here + root) if units > 0 else since  # the quadratic's stable form: slope may be next to 0
            units -= whole
            since = end
        last = self.points[-1][1]
        return since + units / last if last > 0 else math.inf

    def leaves(self, since: float, low: float, high: float) -> float:
        """The next time at which the rate is at *low* or below and falling, or at *high* or above and rising; inf if it never is."""
        for (begin, first), (end, last) in zip(self.points, self.points[1:], strict=False):
            if since < end and first != last:
                level = high if last > first else low
                at = max(since, begin + (level - first) * (end - begin) / (last - first))
                if at <= end:
                    return at
        return math.inf

    def integral(self, since: float, until: float) -> float:
        """Requests expected between two times."""
        total, at = 0.0, since
        for (_, _), (end, _) in zip(self.points, self.points[1:], strict=False):
            if at < end and at < until:
                stop = min(end, until)
                total += (self.rate(at) + self.rate(math.nextafter(stop, 0))) / 2 * (stop - at)
                at = stop
        return total + self.points[-1][1] * max(0.0, until - at)


class Arrivals:
    """Calls *arrive* at each arrival. `factor` multiplies the rate, at once and also in the middle of a gap."""

    def __init__(self, loop: SimLoop, stages: Stages, gap: Sampler, arrive: Callable[[], None]) -> None:
        self._loop, self._stages, self._gap, self._arrive = loop, stages, gap, arrive
        self._factor = 1.0
        self._units = 0.0  # still to go until the next arrival, as of `_since`
        self._since = 0.0
        self._began = 0.0
        self._timer: Timer | None = None
        self._constant = len(stages.points) == 1
        self._running = False

    def start(self) -> None:
        """The first arrival comes one gap from now."""
        self._running = True
        self._began = self._since = self._loop.time()
        self._units = self._gap()
        self._arm()

    @property
    def factor(self) -> float:
        """What the rate is multiplied by."""
        return self._factor

    @factor.setter
    def factor(self, factor: float) -> None:
        if not self._running:
            self._factor = factor
            return
        now = self._loop.time()
        self._units = max(0.0, self._units - self._factor * self._stages.integral(self._since - self._began, now - self._began))
        self._since, self._factor = now, factor
        if self._timer is not None:
            self._timer.cancel()
        self._arm()

    def _arm(self) -> None:
        self._timer = None
        if self._factor <= 0:
            return
        units = self._units / self._factor
        if self._constant:
            rate = self._stages.points[0][1]
            wait = units / rate if rate > 0 else math.inf
        else:
            wait = self._stages.when(self._since - self._began, units) - (self._since - self._began)
        if wait < math.inf:
            self._timer = self._loop.after(wait, self._next)

    def _next(self) -> None:
        self._since = self._loop.time()
        self._units = self._gap()
        self._arm()
        self._arrive()


def batch_sizes(kind: Literal["fixed", "geometric"], mean: float, stream: Stream) -> Callable[[], int]:
    """How many arrive together: *mean* (2, 3, 2, 3 ... for 2.5), or geometric from 1 on with that mean."""
    if kind == "geometric":
        rng = stream.numpy
        return lambda: int(rng.geometric(1 / mean))
    batches = count(1)

    def size() -> int:
        number = next(batches)
        return math.floor(number * mean) - math.floor((number - 1) * mean)

    return size
