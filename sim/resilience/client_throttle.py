"""Client throttle: a caller that is being turned away stops asking, before its refused requests alone overload the other side.

    p(reject) = max(0, (requests - k * accepts) / (requests + 1))      both counted over the last *window* seconds

Requests that are rejected here count too; then the other side sees at most about k times what it accepts, however much is offered.
One that was sent counts when it has ended: while it is under way nobody knows whether it is accepted, and if it counted as one that is
not, a slow other side would be throttled although it accepts everything, and the rejections would then keep the throttle closed.
Source: Google, Site Reliability Engineering, ch. 21, Handling Overload.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Annotated, Any

from pydantic import Field

from sim.units import PositiveDuration, Share

from .errors import LoadShed, Rejected
from .events import Listener
from .failures import status_of
from .policy import Policy, PolicyParts, PolicySpec, Proceed
from .windows import SlidingSums

REQUESTS, ACCEPTS = 0, 1


class ClientThrottleSpec(PolicySpec):
    """Reject here once the other side accepts less than 1 / *k* of the requests of the last *window*."""

    k: Annotated[float, Field(ge=1, strict=False)] = 2.0
    window: PositiveDuration = 120.0
    max_rejection: Share = 1.0
    minimum_number_of_calls: Annotated[int, Field(ge=0)] = 0

    def build(self, parts: PolicyParts) -> ClientThrottle:
        return ClientThrottle(self.k, self.window, max_rejection=self.max_rejection, minimum_number_of_calls=self.minimum_number_of_calls,
                              now=parts.now, rng=parts.rng)


class ClientThrottle(Policy):
    """Counts over *window* seconds, forgotten in 24 steps; never rejects more than *max_rejection* (0..1), nor below a minimum.

    *k* of 2 lets twice as much through as is accepted, so that recovery is seen soon; 1.1 sheds harder.
    """

    word = "client_throttle"

    def __init__(self, k: float = 2.0, window: float = 120, *, max_rejection: float = 1.0, minimum_number_of_calls: int = 0,
                 now: float = 0.0, rng: Random | None = None, name: str | None = None, on_event: Listener | None = None) -> None:
        if not (k >= 1 and window > 0 and 0 <= max_rejection <= 1):
            raise ValueError("a throttle needs a k of at least 1, a window above 0 s and a share between 0 and 1")
        self.k = k
        self.max_rejection = max_rejection
        self.minimum_number_of_calls = minimum_number_of_calls
        self._counts = SlidingSums(window, 24, origin=now, columns=2)
        self.rng, self._name, self.on_event = rng, name, on_event

    # what it decides

    def rejection_probability(self, now: float) -> float:
        """The chance (0..1) with which a request is rejected now."""
        self._counts.advance(now)
        requests, accepts = self._counts.sums
        if requests < self.minimum_number_of_calls:
            return 0.0
        return min(self.max_rejection, max(0.0, (requests - self.k * accepts) / (requests + 1)))

    def admit(self, now: float, rng: Random, queue_delay: float = 0.0, priority: int = 0) -> bool:
        """May this request be sent? It counts as attempted either way, from now on: its result is expected before the next is asked for."""
        rejected = self._rejects(now, rng)
        self._count(REQUESTS, now)
        return not rejected

    def on_result(self, now: float, accepted: bool) -> None:
        """The other side has accepted a request, or has not."""
        if accepted:
            self._count(ACCEPTS, now)

    def _rejects(self, now: float, rng: Random) -> bool:
        """Draws only where there is a chance of rejection."""
        chance = self.rejection_probability(now)
        return chance > 0.0 and rng.random() < chance

    def _count(self, column: int, now: float) -> None:
        self._counts.row(now)[column] += 1
        self._counts.sums[column] += 1

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Call *proceed*, or raise LoadShed. Whatever is answered counts as accepted, even an error, unless it says overload."""
        clock = asyncio.get_running_loop().time
        if self._rejects(clock(), self.dice()):
            self._count(REQUESTS, clock())
            raise self.refusal(LoadShed(self, "the other side turns too much away"), clock())
        accepted = False
        try:
            result = await proceed(*args)
            accepted = True
        except Exception as error:
            accepted = not _turned_away(error)
            raise
        finally:
            self._count(REQUESTS, clock())
            self.on_result(clock(), accepted)
        return result


def _turned_away(error: Exception) -> bool:
    """No answer at all, also where a policy further in refused to ask, or one that says overload: 429, 503."""
    return isinstance(error, Rejected | TimeoutError | ConnectionError) or status_of(error) in (429, 503)
