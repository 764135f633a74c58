"""Rate limiters against what they promise, in any order of asking, waiting and giving back."""

import asyncio
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.kernel import SimLoop
from sim.resilience import FixedWindow, Gcra, RateLimited, RateLimiter, SlidingCounter, SlidingLog, TokenBucket

MILLISECONDS = st.integers(0, 150)
COUNTS = st.integers(1, 4)


def same_time(one, other):
    """Two reservations for the same moment, or two refusals."""
    return (one is None and other is None) or (one is not None and other is not None and one.at == pytest.approx(other.at, abs=1e-7))


class GcraIsATokenBucket(RuleBasedStateMachine):
    """The same questions to both, changes of rate and burst and a clock that jumps included: the same answers."""

    def __init__(self):
        super().__init__()
        self.now = 5.0
        self.both = TokenBucket(10, 3, self.now), Gcra(10, 3, self.now)
        self.promised = []

    @rule(wait=MILLISECONDS)
    def wait(self, wait):
        self.now += wait / 1000

    @rule(back=MILLISECONDS)
    def jump_back(self, back):
        self.now -= back / 1000

    @rule(n=COUNTS)
    def acquire(self, n):
        bucket, gcra = (one.try_acquire(self.now, n) for one in self.both)
        assert bucket == gcra

    @rule(n=COUNTS, patience=st.sampled_from([0.0, 0.15, float("inf")]))
    def reserve(self, n, patience):
        pair = tuple(one.reserve(self.now, n, patience) for one in self.both)
        assert same_time(*pair)
        if pair[0] is not None:
            self.promised.append(pair)

    @precondition(lambda self: self.promised)
    @rule(data=st.data())
    def cancel(self, data):
        pair = self.promised.pop(data.draw(st.integers(0, len(self.promised) - 1)))
        for one, reservation in zip(self.both, pair, strict=True):
            one.cancel(reservation, self.now)

    @rule(rate=st.sampled_from([0, 1, 10, 25]))
    def set_rate(self, rate):
        for one in self.both:
            one.set_rate(rate, self.now)

    @rule(burst=st.integers(0, 5))
    def set_burst(self, burst):
        for one in self.both:
            one.set_burst(burst, self.now)

    @invariant()
    def the_same_stock(self):
        bucket, gcra = (one.tokens(self.now) for one in self.both)
        assert bucket == pytest.approx(gcra, abs=1e-6)


class NeverTooMuch(RuleBasedStateMachine):
    """Whatever is asked, reserved and given back: what was admitted keeps the algorithm's promise."""

    def __init__(self):
        super().__init__()
        self.limiter, self.now = self.build(), 0.0
        self.admitted = []  # [when, how many]
        self.promised = []

    @rule(wait=MILLISECONDS)
    def wait(self, wait):
        self.now += wait / 1000

    @rule(n=COUNTS)
    def acquire(self, n):
        if self.limiter.try_acquire(self.now, n):
            self.admitted.append([self.now, n])

    @rule(n=COUNTS, patience=st.sampled_from([0.0, 0.3, float("inf")]))
    def reserve(self, n, patience):
        reservation = self.limiter.reserve(self.now, n, patience)
        if reservation is not None:
            assert self.now <= reservation.at <= self.now + patience + 1e-9
            self.admitted.append([reservation.at, n])
            self.promised.append((reservation, self.admitted[-1]))

    @precondition(lambda self: self.promised)
    @rule(data=st.data())
    def cancel(self, data):
        reservation, entry = self.promised.pop(data.draw(st.integers(0, len(self.promised) - 1)))
        self.limiter.cancel(reservation, self.now)
        if entry[0] >= self.now - 1e-9:
            entry[1] = 0

    def spans(self):
        """(length of the span, calls in it) from every admitted call to every later one."""
        calls = sorted(self.admitted)
        for first, (start, _) in enumerate(calls):
            total = 0
            for end, n in calls[first:]:
                total += n
                yield end - start, total

    def teardown(self):
        assert self.kept(), (sorted(self.admitted))


class TokenBucketKeepsItsRate(NeverTooMuch):
    def build(self):
        return TokenBucket(10, 3)

    def kept(self):
        return all(total <= 3 + 10 * length + 1e-6 for length, total in self.spans())


class GcraKeepsItsRate(TokenBucketKeepsItsRate):
    def build(self):
        return Gcra(10, 3)


class SlidingLogKeepsItsLimit(NeverTooMuch):
    def build(self):
        return SlidingLog(3, 0.5)

    def kept(self):
        return all(total <= 3 for length, total in self.spans() if length < 0.5 - 1e-9)


class FixedWindowKeepsItsLimit(NeverTooMuch):
    def build(self):
        return FixedWindow(3, 0.5)

    def kept(self):
        windows = {}
        for at, n in self.admitted:
            window = int((at + 1e-9) / 0.5)
            windows[window] = windows.get(window, 0) + n
        return all(total <= 3 for total in windows.values())


class SlidingCounterKeepsItsEstimate(NeverTooMuch):
    def build(self):
        return SlidingCounter(3, 0.5)

    def kept(self):
        counts = {}
        for at, n in sorted(self.admitted):
            window = int((at + 1e-9) / 0.5)
            share = 1 - (at - window * 0.5) / 0.5
            counts[window] = counts.get(window, 0) + n
            if n and counts.get(window - 1, 0) * share + counts[window] > 3 + 1e-6:
                return False
        return all(total <= 6 for length, total in self.spans() if length < 0.5 - 1e-9)


MACHINES = [GcraIsATokenBucket, TokenBucketKeepsItsRate, GcraKeepsItsRate, SlidingLogKeepsItsLimit, FixedWindowKeepsItsLimit,
            SlidingCounterKeepsItsEstimate]
for machine in MACHINES:
    machine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
    globals()[f"Test{machine.__name__}"] = machine.TestCase


def served(arrivals, patience):
    """The obvious model of a line before a bucket of 100/s and a burst of 1, in steps of half a millisecond: when each caller goes.

    *arrivals* are (when it comes, after how long it gives up), in milliseconds; None: refused or gave up.
    """
    line, result, free_at = deque(), [None] * len(arrivals), 0.0
    for half in range(2 * 1200):
        now = half / 2
        line = deque(number for number in line if now < arrivals[number][0] + arrivals[number][1])
        for number in [number for number, (at, _) in enumerate(arrivals) if at == now]:
            if max(free_at, now) + 10 * len(line) - now <= patience:
                line.append(number)
        while line and free_at <= now:
            result[line.popleft()] = now
            free_at = now + 10
    return result


@given(arrivals=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 60).map(lambda number: number + 0.5)), min_size=5, max_size=25),
       patience=st.sampled_from([0, 25, 45, 1000]))
@settings(max_examples=60, deadline=None)
def test_the_line_before_a_limiter(arrivals, patience):
    """Arrivals at any time, who give up at any time: each goes when the obvious model says, or is refused where it refuses."""
    arrivals = sorted(arrivals)
    limiter, times = RateLimiter(TokenBucket(100, 1), max_wait=patience / 1000), [None] * len(arrivals)

    async def caller(number, loop):
        at, gives_up = arrivals[number]
        await asyncio.sleep(at / 1000)
        try:
            async with asyncio.timeout(gives_up / 1000):
                await limiter(asyncio.sleep, 0)
        except (RateLimited, TimeoutError):
            return
        times[number] = loop.time() * 1000

    async def scenario(loop):
        await asyncio.gather(*(caller(number, loop) for number in range(len(arrivals))))

    with SimLoop(seed=1) as loop:
        loop.run_until_complete(scenario(loop))
    expected = served(arrivals, patience)
    assert [time is None for time in times] == [time is None for time in expected]
    assert [time for time in times if time is not None] == pytest.approx([time for time in expected if time is not None])
    assert limiter.waiting == 0
