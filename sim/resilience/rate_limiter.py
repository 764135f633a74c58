"""Rate limiter: so many calls a second go through; the others wait a little, or are turned away.

    call ──token──▶ through            One line, first come first served. Everybody in it has a promised time, and these
      ├──token soon──▶ in line ──▶     belong to places, not to people: if someone leaves, all behind move up by one and
      └──too late──▶ refused           the last promise is given back. So a caller who gives up costs nothing.

The algorithm is one of `TokenBucket`, `Gcra`, `FixedWindow`, `SlidingLog`, `SlidingCounter`. A limiter that is shared by
several pipelines must be one `RateLimiter` object: it owns the line.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.units import Duration, PositiveDuration, PositiveRate

from .deadline import current_deadline
from .errors import RateLimited
from .events import Listener
from .fixed_window import FixedWindow
from .gcra import Gcra
from .limiter import Limiter, Reservation
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed, Worst
from .sliding_counter import SlidingCounter
from .sliding_log import SlidingLog
from .token_bucket import TokenBucket

Algorithm = Literal["token_bucket", "gcra", "fixed_window", "sliding_log", "sliding_counter"]


class RateLimiterSpec(PolicySpec):
    """At most *rate*; bursts of up to *burst* (token_bucket, gcra) or windows of *period* (the others); waits up to *max_wait*."""

    rate: PositiveRate
    burst: Annotated[int, Field(ge=1)] = 1
    algorithm: Algorithm = "token_bucket"
    period: PositiveDuration = 1.0
    max_wait: Duration = 0.0

    def limiter(self, now: float) -> Limiter:
        """The algorithm by itself, full at *now*."""
        if self.algorithm == "token_bucket":
            return TokenBucket(self.rate, self.burst, now)
        if self.algorithm == "gcra":
            return Gcra(self.rate, self.burst, now)
        windows: dict[str, type[FixedWindow | SlidingLog | SlidingCounter]] = {
            "fixed_window": FixedWindow, "sliding_log": SlidingLog, "sliding_counter": SlidingCounter}
        return windows[self.algorithm](max(1, round(self.rate * self.period)), self.period, now)

    def build(self, parts: PolicyParts) -> RateLimiter:
        return RateLimiter(self.limiter(parts.now), self.max_wait)


class RateLimiter(Policy):
    """Let calls through at the pace of *limiter*; refuse at once what would wait longer than *max_wait* seconds or its deadline."""

    word = "rate_limiter"

    def __init__(self, limiter: Limiter, max_wait: float = 0.0, *, name: str | None = None, on_event: Listener | None = None) -> None:
        if max_wait < 0:
            raise ValueError("nobody can wait less than 0 s")
        self.limiter = limiter
        self.max_wait = max_wait
        self._name, self.on_event = name, on_event
        self._line: dict[asyncio.Future[Reservation], None] = {}  # in order of arrival; leaving from the middle is O(1)
        self._promises: deque[Reservation] = deque()  # one for each in line, soonest first
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    def worst(self, inner: Worst) -> Worst:
        return Worst(inner.attempts, inner.latency + self.max_wait)

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Call *proceed* when its turn comes; raise RateLimited if that would take too long."""
        loop = asyncio.get_running_loop()
        if self._line or not self.limiter.try_acquire(loop.time()):
            await self._turn(loop)
        return await proceed(*args)

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        promise = self.limiter.reserve(now, 1, min(self.max_wait, current_deadline() - now))
        if promise is None:
            wait = self.limiter.wait(now)
            reason = f"no token within {self.max_wait:g} s" if self.max_wait else "no token"
            raise self.refusal(RateLimited(self, reason, wait if wait < math.inf else None), now)
        if promise.at <= now + SAME and not self._line:
            return
        turn: asyncio.Future[Reservation] = loop.create_future()
        self._line[turn] = None
        self._promises.append(promise)
        self._arm(loop)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(turn, loop)
            raise

    def _leave(self, turn: asyncio.Future[Reservation], loop: asyncio.AbstractEventLoop) -> None:
        """One gave up. If its turn had just come, the next in line goes instead; one promise is then not needed any more."""
        self._line.pop(turn, None)
        spare = None if turn.cancelled() else turn.result()
        if spare is None or self._admit_first(spare):
            spare = self._promises.pop()
        self.limiter.cancel(spare, loop.time())
        self._arm(loop)

    def _admit_first(self, promise: Reservation) -> bool:
        while self._line:
            turn = next(iter(self._line))
            del self._line[turn]
            if not turn.done():  # else it was cancelled in this instant, and will give a promise back as it leaves
                turn.set_result(promise)
                return True
        return False

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer for the whole line, at the time of its head."""
        at = self._promises[0].at if self._promises else None
        if self._timer is not None:
            if at == self._timer.when():
                return
            self._timer.cancel()
        self._timer = None if at is None else loop.call_at(at, self._on_time, loop)

    def _on_time(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._promises and self._promises[0].at <= now + SAME:
            if not self._admit_first(self._promises[0]):
                break  # all who waited are on their way out and will give the promises back
            self._promises.popleft()
        if self._line:
            self._arm(loop)
