"""The circuit breaker against a slow and obvious model that keeps every call it has seen."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sim.resilience import CircuitBreaker, Consecutive, CountWindow, Outcome, State, TimeWindow

TICK = 0.25  # seconds; times are whole ticks, so that the model needs no tolerance
OPEN_FOR, LEASE = 4, 12  # ticks


class Model:
    """What the documentation says, in lists."""

    def __init__(self, window, minimum, permitted, concurrent, successes):
        self.window, self.minimum, self.permitted, self.concurrent, self.successes = window, minimum, permitted, concurrent, successes
        self.enter("closed", 0)

    def enter(self, state, now):
        self.state, self.since, self.era = state, now, getattr(self, "era", 0) + 1
        if state != "open":
            self.calls = []  # (tick at which it ended, failed)
        self.out = {}  # probe: tick at which its lease ends

    def remembered(self, now):
        kind, size = self.window
        if kind == "time":  # size one-second buckets
            return [failed for at, failed in self.calls if at // 4 > now // 4 - size]
        return [failed for _, failed in self.calls[-size:]]

    def acquire(self, probe, now):
        if self.state == "open" and now >= self.since + OPEN_FOR:
            self.enter("half_open", now)
        if self.state == "closed":
            return True
        if self.state == "open":
            return False
        self.out = {p: end for p, end in self.out.items() if end > now}
        if len(self.out) >= self.concurrent or (self.successes is None and len(self.out) + len(self.calls) >= self.permitted):
            return False
        self.out[probe] = now + LEASE
        return True

    def record(self, probe, era, failed, now):
        """*failed* is None where the call taught nothing."""
        if era != self.era:
            return
        if self.state == "half_open":
            if self.out.pop(probe, now) <= now or failed is None:
                return
            self.calls.append((now, failed))
            self.judge(now)
        elif failed is not None:
            self.calls.append((now, failed))
            seen = self.remembered(now)
            kind, size = self.window
            if kind == "row":
                if len(seen) == size and all(seen):
                    self.enter("open", now)
            elif len(seen) >= min(self.minimum, size if kind == "count" else 10**9) and sum(seen) / len(seen) >= 0.5:
                self.enter("open", now)

    def judge(self, now):
        failures = [failed for _, failed in self.calls]
        if self.successes is not None:
            if failures[-1]:
                self.enter("open", now)
            elif len(failures) == self.successes:
                self.enter("closed", now)
        elif len(failures) == self.permitted:
            self.enter("open" if sum(failures) / len(failures) >= 0.5 else "closed", now)


class BreakerAgainstModel(RuleBasedStateMachine):
    @initialize(window=st.sampled_from([("count", 4), ("count", 7), ("time", 3), ("time", 1), ("row", 1), ("row", 3)]),
                minimum=st.integers(1, 5), permitted=st.integers(1, 4), concurrent=st.none() | st.integers(1, 4),
                successes=st.none() | st.integers(1, 3))
    def start(self, window, minimum, permitted, concurrent, successes):
        kind, size = window
        made = {"count": CountWindow(size), "time": TimeWindow(float(size), size), "row": Consecutive(size)}[kind]
        self.breaker = CircuitBreaker(
            sliding_window=made, minimum_number_of_calls=minimum, wait_duration_in_open_state=OPEN_FOR * TICK,
            permitted_number_of_calls_in_half_open_state=permitted, half_open_max_concurrent=concurrent, success_threshold=successes,
            probe_lease=LEASE * TICK)
        self.model = Model(window, minimum, permitted, concurrent or permitted, successes)
        self.now, self.calls, self.number = 0, [], 0

    @rule(ticks=st.integers(1, 6))
    def time_passes(self, ticks):
        self.now += ticks

    @rule()
    def a_call_begins(self):
        self.number += 1
        permit = self.breaker.try_acquire(self.now * TICK)
        assert (permit is not None) == self.model.acquire(self.number, self.now)
        if permit is not None:
            self.calls.append((permit, self.number, self.model.era))

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 100), outcome=st.sampled_from(list(Outcome)))
    def a_call_ends(self, which, outcome):
        permit, probe, era = self.calls.pop(which % len(self.calls))
        failed = {Outcome.SUCCESS: False, Outcome.FAILURE: True}.get(outcome)
        self.breaker.record(permit, outcome, self.now * TICK)
        self.model.record(probe, era, failed, self.now)

    @rule(state=st.sampled_from(["closed", "open", "half_open"]))
    def by_hand(self, state):
        if state == "closed" and self.model.state != "closed":
            self.breaker.close(self.now * TICK)
            self.model.enter("closed", self.now)
        if state == "open" and self.model.state != "open":
            self.breaker.open_for(OPEN_FOR * TICK, self.now * TICK)
            self.model.enter("open", self.now)
        if state == "half_open" and self.model.state == "open":
            self.breaker.half_open(self.now * TICK)
            self.model.enter("half_open", self.now)

    @invariant()
    def the_same_state_and_counts(self):
        if not hasattr(self, "breaker"):
            return
        assert self.breaker.state is State(self.model.state)
        metrics = self.breaker.metrics(self.now * TICK)
        if self.model.state == "closed":
            seen = self.model.remembered(self.now)
            assert (metrics.buffered, metrics.failed) == (len(seen), sum(seen))
        if self.model.state == "half_open":
            assert (metrics.buffered, metrics.failed) == (len(self.model.calls), sum(failed for _, failed in self.model.calls))


BreakerAgainstModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBreakerAgainstModel = BreakerAgainstModel.TestCase
