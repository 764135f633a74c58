"""Adaptive concurrency: a bulkhead whose size nobody has to guess, since it is learned from the latencies of the calls.

    enter ──below the limit──▶ inside ──ends──▶ a sample for the limit
      ├──limit reached, place in line──▶ waits (oldest or newest first)
      └──limit reached, no line──▶ refused
                                             answers, timeouts and overload answers (429, 503) are samples, the latter
                                             two as drops; other errors, refusals and cancellations teach nothing

*Partitions* divide the limit: each may always use its own share, and what the others leave free. Source: Netflix
concurrency-limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.spec import OneKey, Spec
from sim.units import Duration, PositiveDuration, Share

from .errors import DeadlineExceeded, LoadShed
from .events import Listener
from .failures import status_of
from .limits import Aimd, Gradient2, Limit, Vegas
from .policy import SAME, Policy, PolicyParts, PolicySpec, Proceed, Worst

AtLeastOne = Annotated[int, Field(ge=1)]


class LimitSpec(Spec):
    """Base of the rules that adapt a limit."""

    initial_limit: AtLeastOne = 20
    max_limit: AtLeastOne = 200

    def build(self, parts: PolicyParts) -> Limit:
        """The rule at its initial limit."""
        raise NotImplementedError


class AimdSpec(LimitSpec):
    """One more while busy, times *backoff_ratio* after a drop or an answer slower than *timeout*."""

    min_limit: AtLeastOne = 20
    backoff_ratio: Annotated[Share, Field(ge=0.5, lt=1)] = 0.9
    timeout: PositiveDuration = 5.0

    def build(self, parts: PolicyParts) -> Limit:
        return Aimd(self.initial_limit, self.min_limit, self.max_limit, self.backoff_ratio, self.timeout)


class VegasSpec(LimitSpec):
    """Keep a short queue, estimated from the best and the latest round trip time."""

    max_limit: AtLeastOne = 1000
    smoothing: Annotated[Share, Field(gt=0)] = 1.0

    def build(self, parts: PolicyParts) -> Limit:
        return Vegas(self.initial_limit, self.max_limit, self.smoothing, parts.rng)


class Gradient2Spec(LimitSpec):
    """Follow the ratio of a long average of the round trip time to the latest one."""

    min_limit: AtLeastOne = 20
    queue_size: Annotated[int, Field(ge=0)] = 4
    smoothing: Annotated[Share, Field(gt=0)] = 0.2
    long_window: AtLeastOne = 600
    rtt_tolerance: Annotated[float, Field(ge=1, strict=False)] = 1.5

    def build(self, parts: PolicyParts) -> Limit:
        return Gradient2(self.initial_limit, self.min_limit, self.max_limit, self.queue_size, self.smoothing, self.long_window,
                         self.rtt_tolerance)


LIMITS: dict[str, type[LimitSpec]] = {"aimd": AimdSpec, "vegas": VegasSpec, "gradient2": Gradient2Spec}


class AdaptiveConcurrencySpec(PolicySpec):
    """A limit that *algorithm* adapts; *partitions* are shares of it, by what *partition_by* says of a call."""

    shorthand = "algorithm"

    algorithm: Annotated[LimitSpec, OneKey("limit", lambda: LIMITS)]
    max_queued_calls: Annotated[int, Field(ge=0)] = 0
    max_wait_duration: Duration = 0.0
    order: Literal["fifo", "lifo"] = "fifo"
    partitions: dict[str, Share] = {}
    partition_by: str = "priority"

    def build(self, parts: PolicyParts) -> AdaptiveConcurrency:
        return AdaptiveConcurrency(
            self.algorithm.build(parts), max_queued_calls=self.max_queued_calls, max_wait_duration=self.max_wait_duration, order=self.order,
            partitions=self.partitions, key=parts.read(self.partition_by) if self.partitions else None)


@dataclass(eq=False, slots=True)
class Slot:
    """One call inside: since when (seconds), with how many others, and in which partition."""

    since: float
    in_flight: int
    partition: str | None
    held: bool = True


class AdaptiveConcurrency(Policy):
    """At most `limit.limit` calls at once; *max_queued_calls* more wait for up to *max_wait_duration* seconds, oldest or newest first.

    *partitions* gives names their shares (0..1, together at most 1), *key* the partition of a call from its arguments; a call in
    none of them uses what is free. A waiter whose partition is full is passed over by one whose partition is not.
    """

    word = "adaptive_concurrency"

    def __init__(self, limit: Limit, *, max_queued_calls: int = 0, max_wait_duration: float = 0.0, order: Literal["fifo", "lifo"] = "fifo",
                 partitions: Mapping[str, float] | None = None, key: Callable[..., Any] | None = None, name: str | None = None,
                 on_event: Listener | None = None) -> None:
        shares = dict(partitions or {})
        if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1 + SAME:
            raise ValueError("the shares of the partitions are not negative, and not more than 1 together")
        if max_queued_calls < 0 or max_wait_duration < 0:
            raise ValueError("neither a line nor a wait can be negative")
        self.limit = limit
        self.max_queued_calls = max_queued_calls
        self.max_wait_duration = max_wait_duration
        self.order = order
        self.partitions = shares
        self.inside = 0
        self._inside: dict[str | None, int] = dict.fromkeys(shares, 0)
        self._key = key
        self._line: dict[asyncio.Future[Slot | None], str | None] = {}  # in order of arrival
        self._name, self.on_event = name, on_event

    # what it decides

    def try_enter(self, now: float, partition: str | None = None) -> Slot | None:
        """A slot for a call of *partition*, or None: the limit is reached."""
        if partition not in self.partitions:
            partition = None
        if self.inside >= self.limit.limit and (partition is None or self._inside[partition] >= self._share(partition)):
            return None
        self.inside += 1
        self._inside[partition] = self._inside.get(partition, 0) + 1
        return Slot(now, self.inside, partition)

    def leave(self, slot: Slot, now: float, dropped: bool | None = False) -> None:
        """The call has ended: a sample, unless *dropped* is None, which teaches nothing."""
        assert slot.held, "a call left twice"
        slot.held = False
        self.inside -= 1
        self._inside[slot.partition] -= 1
        if dropped is not None:
            self.limit.on_sample(now, max(0.0, now - slot.since), slot.in_flight, dropped)
        self._let_in(now)

    def _share(self, partition: str) -> int:
        return max(1, ceil(self.limit.limit * self.partitions[partition] - SAME))

    def _let_in(self, now: float) -> None:
        waiting = list(self._line.items())
        for turn, partition in waiting if self.order == "fifo" else reversed(waiting):
            if turn.done():
                continue
            slot = self.try_enter(now, partition)
            if slot is not None:
                del self._line[turn]
                turn.set_result(slot)
            elif not self.partitions:
                return

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Run *proceed* inside; raise LoadShed if the limit is reached and there is no place in line, or the wait took too long."""
        loop = asyncio.get_running_loop()
        partition = None if self._key is None else str(self._key(*args))
        slot = self.try_enter(loop.time(), partition)  # what is free is free: whoever waited for it was let in as it came free
        if slot is None:
            slot = await self._turn(loop, partition)
        dropped: bool | None = None
        try:
            result = await proceed(*args)
            dropped = False
            return result
        except Exception as error:
            dropped = True if _is_drop(error) else None
            raise
        finally:
            self.leave(slot, loop.time(), dropped)

    async def _turn(self, loop: asyncio.AbstractEventLoop, partition: str | None) -> Slot:
        now = loop.time()
        if len(self._line) >= self.max_queued_calls:
            raise self.refusal(LoadShed(self, f"{self.inside} calls in flight, the limit is {self.limit.limit}"), now)
        turn: asyncio.Future[Slot | None] = loop.create_future()
        self._line[turn] = partition
        timer = loop.call_at(now + self.max_wait_duration, _time_is_over, turn)
        try:
            slot = await turn
        except asyncio.CancelledError:
            given = None if turn.cancelled() else turn.result()
            if given is not None:  # its turn came as the caller gave up: the slot goes on to the next
                self.leave(given, loop.time(), None)
            raise
        finally:
            timer.cancel()
            self._line.pop(turn, None)
        if slot is None:
            raise self.refusal(LoadShed(self, f"waited {self.max_wait_duration:g} s"), loop.time())
        return slot

    def worst(self, inner: Worst) -> Worst:
        return Worst(inner.attempts, inner.latency + (self.max_wait_duration if self.max_queued_calls else 0.0))


def _time_is_over(turn: asyncio.Future[Slot | None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _is_drop(error: Exception) -> bool:
    """Did the other side not keep up? A deadline that was over before anything was sent says nothing about it."""
    if isinstance(error, DeadlineExceeded) and not error.sent:
        return False
    return isinstance(error, TimeoutError) or status_of(error) in (429, 503)
