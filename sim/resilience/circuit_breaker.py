"""Circuit breaker: stop calling what is failing, and find out with a few probes when it is well again.

            failure or slow rate reaches its threshold
    CLOSED ────────────────────────────────────────────▶ OPEN ◀────────────────┐
      ▲                                                   │ now >= open_until  │ probes failed, or
      │  probes succeeded                                 ▼                    │ half-open for too long
      └─────────────────────────────────────────────── HALF_OPEN ──────────────┘

    by hand: FORCED_OPEN refuses for ever, DISABLED lets through and learns nothing, METRICS_ONLY counts and never opens

Ties: it trips at rate >= threshold; a call is slow when it took strictly longer; OPEN ends at now >= open_until. Below the minimum
number of calls a rate is unknown (None), never 0. Sources: Nygard, *Release It!*, 2nd ed., 5.2; resilience4j; gobreaker for the
generation number.
"""

from __future__ import annotations

import random
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

from .breaker_options import BreakerOptions
from .breaker_states import BreakerMetrics, IllegalTransition, State
from .errors import CircuitOpen, Rejected
from .events import FailureRateExceeded, Listener, Reset, SlowCallRateExceeded, StateTransition
from .failures import Errors, matcher
from .outcomes import Outcome
from .policy import SAME, Policy, Proceed, refused_inside
from .probes import BreakerPermit, Probes

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED, METRICS_ONLY = State
SUCCESS, FAILURE, IGNORED, CANCELLED = Outcome


class CircuitBreaker(Policy):
    """Lets calls through while they succeed. *options* are those of `BreakerOptions`.

    *record_on* says which errors are failures (others are answers, hence successes), *ignore_on* which count neither way,
    *record_result* and *ignore_result* say the same of results. *now* (seconds) is what windows of time are aligned to.
    """

    word = "circuit_breaker"

    def __init__(self, *, record_on: Errors = (Exception,), ignore_on: Errors = (), record_result: Callable[[Any], bool] | None = None,
                 ignore_result: Callable[[Any], bool] | None = None, now: float = 0.0, rng: random.Random | None = None,
                 name: str | None = None, on_event: Listener | None = None, **options: Any) -> None:
        self.options = BreakerOptions(**options)
        self.state = CLOSED
        self.generation = 0  # answers to calls made in an earlier state must not count in this one
        self.last_failure: BaseException | None = None
        self.rng, self._name, self.on_event = rng, name, on_event
        self._failure, self._ignored = matcher(record_on), matcher(ignore_on)
        self._bad_result, self._ignored_result = record_result, ignore_result
        self._origin = now
        self._openings = 0  # since it was last closed
        self._last_wait: float | None = None
        self._until = inf  # end of OPEN, or of the longest HALF_OPEN
        self._not_permitted = 0
        self._alarm: tuple[AbstractEventLoop, float] | None = None  # the last one that was set
        self._apply_options()
        self._counts = self.options.sliding_window.start(now)
        self._probes = Probes(self.options, 0)
        self._announced = [False, False]  # the failure rate, the slow call rate
        self._open_to_all: BreakerPermit | None = BreakerPermit(0)  # one for everybody, as it holds nothing of a single call

    def _apply_options(self) -> None:
        window = self.options.sliding_window
        self._minimum = window.minimum(self.options.minimum_number_of_calls)
        self._threshold = window.threshold(self.options.failure_rate_threshold)
        self._automatic = self.options.automatic_transition
        slow = self.options.slow_call_duration_threshold
        self._slow_above = inf if slow is None else slow + SAME

    # what it decides

    def try_acquire(self, now: float) -> BreakerPermit | None:
        """A permit for one call, to be handed to `record` or `release` when it has ended; None: refused."""
        if self._open_to_all is not None:
            return self._open_to_all
        self.tick(now)
        permit = self._probes.try_acquire(now) if self.state is HALF_OPEN else None
        if permit is None:
            self._not_permitted += 1
        return permit

    def record(self, permit: BreakerPermit, outcome: Outcome, now: float, duration: float | None = None) -> None:
        """The call ended at *now* after *duration* seconds. An answer to a call of an earlier state does not count."""
        if permit is self._open_to_all:
            if (outcome is SUCCESS or outcome is FAILURE) and self.state is not DISABLED:
                counts = self._counts
                counts.add(outcome is FAILURE, duration is not None and duration > self._slow_above, now)
                calls, failed, slow = counts.sums
                if (failed or slow) and calls >= self._minimum:
                    self._trip(now)
        elif self.state is HALF_OPEN:
            self._record_probe(permit, outcome, now, duration)

    def release(self, permit: BreakerPermit, now: float) -> None:
        """The call taught nothing."""
        self.record(permit, IGNORED, now)

    def tick(self, now: float) -> None:
        """Do what is due: end HALF_OPEN that took too long, end OPEN. Called by every acquisition, and by the timer if there is one."""
        if self.state is HALF_OPEN and now >= self._until - SAME:
            self._open(now, "half-open for too long", since=self._until)
        if self.state is OPEN and now >= self._until - SAME:
            self._half_open(now, "waited long enough")

    def metrics(self, now: float) -> BreakerMetrics:
        """Counts and rates; while OPEN as they stood at opening, cleared on entering HALF_OPEN and CLOSED."""
        if self.options.automatic_transition:
            self.tick(now)
        return self._measured(now)

    def readings(self, now: float) -> dict[str, float | None]:
        found = self._measured(now)
        return {"failure_rate": found.failure_rate, "slow_call_rate": found.slow_call_rate}

    def _measured(self, now: float) -> BreakerMetrics:
        if self.state is CLOSED or self.state is METRICS_ONLY:
            self._counts.advance(now)
        calls, failed, slow = self._counts.sums
        known = calls >= self._rates_from()
        return BreakerMetrics(calls, failed, slow, calls - failed, self._not_permitted, failed / calls if known else None,
                              slow / calls if known else None)

    def retry_after(self, now: float) -> float | None:
        """Seconds until a call may be let through; None if nobody knows."""
        if self.state is OPEN:
            return max(0.0, self._until - now)
        if self.state is HALF_OPEN:
            end = min(self._probes.next_lease_end(), self._until)
            return max(0.0, end - now) if end < inf else None
        return None

    # by hand

    def force_open(self, now: float) -> None:
        """Refuse everything until told otherwise."""
        self._enter(FORCED_OPEN, now, "by hand")

    def disable(self, now: float) -> None:
        """Let everything through and learn nothing."""
        self._enter(DISABLED, now, "by hand")

    def metrics_only(self, now: float) -> None:
        """Let everything through and count it, from zero."""
        self._enter(METRICS_ONLY, now, "by hand")

    def open_for(self, seconds: float, now: float) -> None:
        """Open, and let probes out after *seconds*."""
        self._until = now + seconds
        self._enter(OPEN, now, "by hand", until=now + seconds)
        self._set_alarm_if_there_is_a_loop()

    def half_open(self, now: float) -> None:
        """Let probes out now; raise IllegalTransition where it is closed, since that lets everybody through already."""
        if self.state is CLOSED:
            raise IllegalTransition(f"{self.name} is closed: it can only be half-open after it was open")
        self._half_open(now, "by hand")
        self._set_alarm_if_there_is_a_loop()

    def close(self, now: float) -> None:
        """Let everybody through and count from zero; nothing happens if it is closed already."""
        self._enter(CLOSED, now, "by hand")

    def reset(self, now: float) -> None:
        """Closed, and everything forgotten, as if it were new."""
        self._enter(CLOSED, now, "reset")
        self._forget(now)
        if self.on_event is not None:
            self.emit(Reset(at=now, policy=self.name))

    def reconfigure(self, now: float, **options: Any) -> None:
        """Change some of `BreakerOptions`. State and counts stay; a new window starts empty, and probes that are out keep the old rules."""
        before = self.options
        self.options = replace(before, **options)
        self._apply_options()
        if self.options.sliding_window != before.sliding_window and self._open_to_all is not None:
            self._counts = self.options.sliding_window.start(self._origin)
        self._set_alarm_if_there_is_a_loop()

    def process_ended(self, now: float) -> None:
        self._enter(CLOSED, now, "its process has ended")

    # transitions

    def _record_probe(self, permit: BreakerPermit, outcome: Outcome, now: float, duration: float | None) -> None:
        self.tick(now)
        if self.state is not HALF_OPEN or not self._probes.give_back(permit, now) or outcome is IGNORED or outcome is CANCELLED:
            return
        well = self._probes.judge(outcome is FAILURE, duration is not None and duration > self._slow_above, now)
        if well:
            self._enter(CLOSED, now, "the probes succeeded")
        elif well is False:
            self._open(now, "the probes failed or were slow")

    def _trip(self, now: float) -> None:
        sums = self._counts.sums
        by_failures = self.options.failure_trips(sums, self._threshold)
        if by_failures or self.options.slow_trips(sums):
            self._announce(sums, now)
            if self.state is CLOSED:
                self._open(now, "failure rate" if by_failures else "slow call rate")

    def _announce(self, sums: list[int], now: float) -> None:
        if self.on_event is None:
            return
        if self.options.failure_trips(sums, self._threshold) and not self._announced[0]:
            self._announced[0] = True  # METRICS_ONLY stays above its threshold for long; once is enough
            self.emit(FailureRateExceeded(at=now, policy=self.name, rate=sums[1] / sums[0]))
        if self.options.slow_trips(sums) and not self._announced[1]:
            self._announced[1] = True
            self.emit(SlowCallRateExceeded(at=now, policy=self.name, rate=sums[2] / sums[0]))

    def _open(self, now: float, reason: str, since: float | None = None) -> None:
        self._openings += 1
        self._last_wait = self.options.open_backoff.delay(self._openings, self.dice(), self._last_wait)
        self._enter(OPEN, now, reason, until=(now if since is None else since) + self._last_wait)

    def _half_open(self, now: float, reason: str) -> None:
        longest = self.options.max_wait_duration_in_half_open_state
        self._enter(HALF_OPEN, now, reason, until=inf if longest is None else now + longest)

    def _enter(self, state: State, now: float, reason: str, until: float = inf) -> None:
        source = self.state
        if state is source:
            return
        self.state, self._until = state, until
        self.generation += 1
        self._open_to_all = BreakerPermit(self.generation) if state in (CLOSED, DISABLED, METRICS_ONLY) else None
        if state in (CLOSED, HALF_OPEN, METRICS_ONLY):
            self._forget(now)
        if self.on_event is not None:
            known = until if state is OPEN else None
            self.emit(StateTransition(at=now, policy=self.name, source=source.value, target=state.value, reason=reason, until=known))

    def _forget(self, now: float) -> None:
        self._not_permitted = 0
        self._announced = [False, False]
        if self.state is HALF_OPEN:
            self._probes = Probes(self.options, self.generation)
            self._counts = self._probes.counts
        else:
            self._counts = self.options.sliding_window.start(self._origin)
            self._openings, self._last_wait = 0, None
            self.last_failure = None

    def _rates_from(self) -> int:
        if self._counts is self._probes.counts:
            return 1 if self.options.success_threshold is not None else self._probes.permitted
        return self._minimum

    # how it wraps a call

    async def __call__(self, proceed: Proceed, *args: Any) -> Any:
        """Await *proceed* if it is let through; raise CircuitOpen, caused by the last failure, if not."""
        clock = get_running_loop().time
        started = clock()
        permit = self._open_to_all or self.try_acquire(started)
        if permit is None:
            raise self._refuse(started) from self.last_failure
        try:
            result = await proceed(*args)
        except BaseException as error:
            self._failed(permit, error, proceed, started, clock())
            raise
        now = clock()
        outcome = SUCCESS if self._bad_result is None and self._ignored_result is None else self._judge(result, permit, now)
        if outcome is FAILURE:
            self.last_failure = None
        self.record(permit, outcome, now, now - started)
        if self._automatic:
            self._set_alarm()
        return result

    def _judge(self, result: Any, permit: BreakerPermit, now: float) -> Outcome:
        try:
            if self._ignored_result is not None and self._ignored_result(result):
                return IGNORED
            return FAILURE if self._bad_result is not None and self._bad_result(result) else SUCCESS
        except BaseException:  # nobody knows what the call has taught
            self.release(permit, now)
            raise

    def _failed(self, permit: BreakerPermit, error: BaseException, proceed: Proceed, started: float, now: float) -> None:
        try:
            outcome = self._classify(error, proceed)
        except BaseException:
            self.release(permit, now)
            raise
        if outcome is FAILURE and permit.generation == self.generation:
            self.last_failure = error
        self.record(permit, outcome, now, now - started)
        if self._automatic:
            self._set_alarm()

    def _refuse(self, now: float) -> CircuitOpen:
        if self._automatic:
            self._set_alarm()
        reason = "half-open, and all probes are out" if self.state is HALF_OPEN else self.state.value.replace("_", " ")
        return self.refusal(CircuitOpen(self, reason, self.retry_after(now)), now)

    def _classify(self, error: BaseException, proceed: Proceed) -> Outcome:
        if not isinstance(error, Exception):
            return CANCELLED
        unsent = refused_inside(error, proceed) and (isinstance(error, Rejected) or not getattr(error, "sent", True))
        if unsent or self._ignored(error):
            return IGNORED
        return FAILURE if self._failure(error) else SUCCESS

    def _set_alarm(self) -> None:
        """Have `tick` called when something is due, once for each time; a loop that was closed has taken its timers along."""
        if self._until < inf and (alarm := (get_running_loop(), self._until)) != self._alarm:
            self._alarm = alarm
            get_running_loop().call_at(self._until, self._ring)

    def _set_alarm_if_there_is_a_loop(self) -> None:
        if self._automatic:
            with suppress(RuntimeError):  # no loop runs: who drives the breaker by hand calls `tick`
                self._set_alarm()

    def _ring(self) -> None:
        self.tick(get_running_loop().time())
        self._set_alarm()
