"""The options of a circuit breaker: what a scenario writes, and what a program hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from sim.spec import Spec
from sim.units import PositiveDuration, Share

from .backoff import AnyBackoff, Backoff, Constant, ConstantSpec
from .failures import FailureWords, answers, predicate
from .policy import PolicyParts, PolicySpec
from .windows import Consecutive, CountWindow, TimeWindow, Window

if TYPE_CHECKING:
    from .circuit_breaker import CircuitBreaker


_COUNTS = ("minimum_number_of_calls", "permitted_number_of_calls_in_half_open_state", "half_open_max_concurrent", "success_threshold")


@dataclass(frozen=True)
class BreakerOptions:
    """All durations in seconds, all rates and thresholds 0..1."""

    sliding_window: Window = field(default_factory=CountWindow)
    """What is remembered: CountWindow, TimeWindow or Consecutive."""
    minimum_number_of_calls: int = 20
    """Below it the rates are unknown and nothing trips. Consecutive(n) needs n."""
    failure_rate_threshold: float = 0.5
    """Opens at this share of failed calls or more."""
    slow_call_duration_threshold: float | None = None
    """A call that took strictly longer is slow; None: none is."""
    slow_call_rate_threshold: float = 1.0
    """Opens at this share of slow calls or more."""
    wait_duration_in_open_state: float | Backoff = 5.0
    """How long it stays open before probes go out; a Backoff makes it longer with each opening since it was last closed."""
    permitted_number_of_calls_in_half_open_state: int = 1
    """So many probes decide, by their failure and slow rates."""
    half_open_max_concurrent: int | None = None
    """So many probes at once; None: as many as are permitted."""
    success_threshold: int | None = None
    """If set: closes after so many good probes in a row, opens at the first failed or slow one; only the concurrency is bounded then."""
    max_wait_duration_in_half_open_state: float | None = None
    """Half-open for so long without a decision: open again. None: for ever."""
    probe_lease: float = 30.0
    """A probe that has not ended after so long gives its permit back, and its late answer does not count."""
    automatic_transition: bool = False
    """Half-open at the very time, by a timer of the running loop (without one: by `tick`), instead of with the first call after it."""

    def __post_init__(self) -> None:
        for name in _COUNTS:
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")
        for name in ("failure_rate_threshold", "slow_call_rate_threshold"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")
        for name in ("slow_call_duration_threshold", "max_wait_duration_in_half_open_state", "probe_lease"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ValueError(f"{name} must be above 0 s, not {seconds}")

    @property
    def open_backoff(self) -> Backoff:
        """The duration of the open state as a backoff."""
        wait = self.wait_duration_in_open_state
        return wait if isinstance(wait, Backoff) else Constant(wait)

    def failure_trips(self, sums: Sequence[int], threshold: float) -> bool:
        """Is the failure rate of [calls, failed, slow] at *threshold* or above?"""
        return sums[1] / sums[0] >= threshold

    def slow_trips(self, sums: Sequence[int]) -> bool:
        """Is the slow call rate of [calls, failed, slow] at its threshold or above?"""
        return self.slow_call_duration_threshold is not None and sums[2] / sums[0] >= self.slow_call_rate_threshold


class WindowSpec(Spec):
    """What is remembered: the last *calls* calls, those of the last *time* (in *buckets* steps), or *consecutive* failures."""

    calls: int | None = Field(default=None, ge=1, le=1_000_000)
    time: PositiveDuration | None = None
    buckets: int = Field(default=10, ge=1, le=10_000)
    consecutive: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> WindowSpec:
        if [self.calls, self.time, self.consecutive].count(None) != 2:
            raise ValueError("a sliding window is one of `calls: 20`, `time: 30s` or `consecutive: 5`")
        return self

    def build(self) -> Window:
        """The window that this describes."""
        if self.calls is not None:
            return CountWindow(self.calls)
        if self.time is not None:
            return TimeWindow(self.time, self.buckets)
        assert self.consecutive is not None
        return Consecutive(self.consecutive)


class CircuitBreakerSpec(PolicySpec):
    """Stops calling what is failing; after *wait_duration_in_open_state* a few probes find out whether it is well again."""

    sliding_window: WindowSpec = WindowSpec.model_construct(calls=100)
    minimum_number_of_calls: int = Field(default=20, ge=1)
    failure_rate_threshold: Annotated[Share, Field(gt=0)] = 0.5
    slow_call_duration_threshold: PositiveDuration | None = None
    slow_call_rate_threshold: Annotated[Share, Field(gt=0)] = 1.0
    wait_duration_in_open_state: AnyBackoff = ConstantSpec.model_construct(delay=5.0)
    permitted_number_of_calls_in_half_open_state: int = Field(default=1, ge=1, le=1_000_000)
    half_open_max_concurrent: int | None = Field(default=None, ge=1)
    success_threshold: int | None = Field(default=None, ge=1, le=1_000_000)
    max_wait_duration_in_half_open_state: PositiveDuration | None = None
    probe_lease: PositiveDuration = 30.0
    automatic_transition: bool = False
    on: FailureWords = ("any",)
    ignore: FailureWords = ()

    def build(self, parts: PolicyParts) -> CircuitBreaker:
        from .circuit_breaker import CircuitBreaker

        same = {name: getattr(self, name) for name in BreakerOptions.__dataclass_fields__}
        same |= {"sliding_window": self.sliding_window.build(), "wait_duration_in_open_state": self.wait_duration_in_open_state.build()}
        return CircuitBreaker(**same, record_on=predicate(self.on), ignore_on=predicate(self.ignore), record_result=answers(self.on),
                              ignore_result=answers(self.ignore), now=parts.now)
