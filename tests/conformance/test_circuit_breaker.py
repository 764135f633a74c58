"""Circuit breaker cases of other libraries, by the ids of the reference; numbers are theirs."""

import asyncio
import traceback

import pytest

from sim.kernel import SimLoop
from sim.resilience import (
    Backoff,
    CircuitBreaker,
    CircuitOpen,
    Consecutive,
    CountWindow,
    IllegalTransition,
    Outcome,
    Sequence,
    State,
    TimeWindow,
)

S, F, IGNORED = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED
BASE = {  # the set-up of CB-01 to CB-14
    "sliding_window": TimeWindow(seconds=20, buckets=20), "minimum_number_of_calls": 5, "failure_rate_threshold": 0.5,
    "permitted_number_of_calls_in_half_open_state": 4, "slow_call_duration_threshold": 4.0, "slow_call_rate_threshold": 0.5,
    "max_wait_duration_in_half_open_state": 1.0, "wait_duration_in_open_state": 5.0,
}


def calls(breaker, outcomes, now=0.0, duration=None):
    """One call after the other, each let through; the state after each."""
    states = []
    for outcome in outcomes:
        breaker.record(breaker.try_acquire(now), outcome, now, duration)
        states.append(breaker.state)
    return states


def numbers(breaker, now=0.0):
    metrics = breaker.metrics(now)
    return metrics.buffered, metrics.failed, metrics.failure_rate


def half_open(**options):
    breaker = CircuitBreaker(**{**BASE, "max_wait_duration_in_half_open_state": None, **options})
    breaker.open_for(1, now=0)
    breaker.half_open(now=0)
    return breaker


def test_cb_01_opens_on_the_call_that_makes_the_rate_known():
    """F F F S: unknown rate. The fifth call, a success, makes it 60 %: open, one event; a refusal changes nothing but its own count."""
    events = []
    breaker = CircuitBreaker(**BASE, on_event=events.append)
    assert calls(breaker, [F, F, F, S])[-1] is State.CLOSED
    assert numbers(breaker) == (4, 3, None)
    assert calls(breaker, [S]) == [State.OPEN]
    assert numbers(breaker) == (5, 3, 0.6)
    assert [event.rate for event in events if event.kind == "failure_rate_exceeded"] == [0.6]
    assert breaker.try_acquire(now=0) is None
    assert breaker.metrics(0).not_permitted == 1
    assert numbers(breaker) == (5, 3, 0.6)


def test_cb_03_opens_on_slow_calls():
    """Successes of 5 5 1 1 5 seconds, slow above 4: slow counts 1 2 2 2, and the fifth opens at 60 %."""
    breaker = CircuitBreaker(**BASE)
    slow = []
    for duration in (5, 5, 1, 1):
        calls(breaker, [S], duration=duration)
        slow.append(breaker.metrics(0).slow)
    assert (slow, breaker.state) == ([1, 2, 2, 2], State.CLOSED)
    calls(breaker, [S], duration=5)
    assert (breaker.state, breaker.metrics(0).slow, breaker.metrics(0).slow_call_rate) == (State.OPEN, 3, 0.6)


def test_cb_05_opened_by_hand_for_a_while():
    """For two hours: refused at 0 and 1 h, let through at 2 h + 1 s; for 30 min: refused at 15, let through after 30."""
    breaker = CircuitBreaker(**BASE)
    breaker.open_for(7200, now=0)
    assert [breaker.try_acquire(now) is not None for now in (0, 3600, 7201)] == [False, False, True]
    breaker = CircuitBreaker(**BASE)
    breaker.open_for(1800, now=0)
    assert [breaker.try_acquire(now) is not None for now in (900, 1801)] == [False, True]


def test_cb_07_half_open_lets_out_four_and_again_four():
    """Four are permitted; after opening and half-opening again there are four new ones."""
    breaker = half_open()
    for _ in range(2):
        assert [breaker.try_acquire(now=0) is not None for _ in range(6)] == [True] * 4 + [False] * 2
        breaker.open_for(1, now=0)
        breaker.half_open(now=0)


def test_cb_09_the_fourth_probe_decides():
    """F F S F: open with 75 %, not before the fourth."""
    breaker = half_open()
    assert calls(breaker, [F, F, S, F]) == [State.HALF_OPEN] * 3 + [State.OPEN]
    assert numbers(breaker) == (4, 3, 0.75)
    assert breaker.metrics(0).successful == 1


def test_cb_11_slow_probes_open_it_too():
    """Successes of 5 5 5 1 seconds: open, slow rate 75 %, failure rate 0."""
    breaker = half_open()
    for duration in (5, 5, 5, 1):
        calls(breaker, [S], duration=duration)
    metrics = breaker.metrics(0)
    assert (breaker.state, metrics.slow_call_rate, metrics.failure_rate) == (State.OPEN, 0.75, 0)


def test_cb_13_transitions_by_hand():
    """CLOSED to HALF_OPEN is illegal; a transition to itself makes no event; FORCED_OPEN refuses and counts; DISABLED counts nothing."""
    events = []
    breaker = CircuitBreaker(**BASE, on_event=events.append)
    with pytest.raises(IllegalTransition):
        breaker.half_open(now=0)
    assert breaker.state is State.CLOSED
    for step in (lambda: breaker.open_for(9, 0), lambda: breaker.half_open(0), lambda: breaker.disable(0), lambda: breaker.metrics_only(0),
                 lambda: breaker.close(0)):
        step()
        step()
    assert [event.target for event in events] == ["open", "half_open", "disabled", "metrics_only", "closed"]
    breaker.open_for(9, now=0)
    breaker.reset(now=0)
    assert breaker.state is State.CLOSED
    breaker.disable(now=0)
    calls(breaker, [F] * 10)
    assert (breaker.state, breaker.metrics(0).buffered) == (State.DISABLED, 0)
    breaker.force_open(now=0)
    assert breaker.try_acquire(now=1e9) is None
    assert breaker.metrics(1e9).not_permitted == 1
    breaker.metrics_only(now=0)
    assert breaker.state is State.METRICS_ONLY


def test_cb_15_a_sliding_window_of_time():
    """Five seconds in five buckets: seven calls; at 5.2 the first bucket is gone; five seconds later all others too."""
    breaker = CircuitBreaker(**{**BASE, "sliding_window": TimeWindow(seconds=5, buckets=5), "minimum_number_of_calls": 100})
    for now, outcome in ((0.0, F), (0.1, S), (0.2, S), (1.2, S), (2.2, S), (3.2, F), (4.2, S)):
        calls(breaker, [outcome], now)
    assert breaker.metrics(4.2).buffered == 7
    calls(breaker, [S], now=5.2)
    assert numbers(breaker, 5.2) == (5, 1, None)
    calls(breaker, [S], now=10.2)
    assert breaker.metrics(10.2).buffered == 1


def test_cb_17_a_fixed_interval_is_a_window_of_one_bucket():
    """(S, F, ignored) x 5 stays closed at 50 % of 60 %; the interval over, F S F trips with 2 of 3."""
    breaker = CircuitBreaker(sliding_window=TimeWindow(seconds=30, buckets=1), minimum_number_of_calls=3, failure_rate_threshold=0.6,
                             wait_duration_in_open_state=90)
    assert calls(breaker, [S, F, IGNORED] * 5)[-1] is State.CLOSED
    assert numbers(breaker) == (10, 5, 0.5)
    assert calls(breaker, [F], now=31) == [State.CLOSED]
    assert numbers(breaker, 31) == (1, 1, None)
    assert calls(breaker, [S, F], now=31) == [State.CLOSED, State.OPEN]


def test_cb_19_an_answer_to_an_earlier_state_does_not_count():
    """Begun while closed, answered after it was opened and closed again: the counts stay at zero."""
    breaker = CircuitBreaker(**BASE)
    late = breaker.try_acquire(now=29)
    breaker.force_open(now=29.5)
    breaker.close(now=30)
    breaker.record(late, F, now=30.5)
    assert breaker.metrics(30.5).buffered == 0


def test_cb_21_the_first_bucket_leaves_as_the_eleventh_starts():
    """30 s in 3 s buckets: ten calls at 0, then some in each bucket; at 30 s exactly those ten are gone."""
    breaker = CircuitBreaker(sliding_window=TimeWindow(seconds=30, buckets=10), minimum_number_of_calls=1000)
    calls(breaker, [S, F, IGNORED] * 5, now=0)
    totals = []
    for bucket in range(1, 10):
        calls(breaker, [S], now=3 * bucket)
        totals.append(breaker.metrics(3 * bucket).buffered)
    assert totals == list(range(11, 20))
    assert breaker.metrics(29.99).buffered == 19
    assert numbers(breaker, 30)[:2] == (9, 0)


HALF_OPEN_TABLE = [  # options, probes, states after each (H: half-open); failsafe-go's n-of-m ratios as rates
    ({"permitted_number_of_calls_in_half_open_state": 1}, [F], "O"),
    ({"permitted_number_of_calls_in_half_open_state": 1}, [S], "C"),
    ({"permitted_number_of_calls_in_half_open_state": 3, "failure_rate_threshold": 1.0}, [F, F, F], "HHO"),
    ({"permitted_number_of_calls_in_half_open_state": 3, "failure_rate_threshold": 2 / 3}, [F, S, F], "HHO"),
    ({"permitted_number_of_calls_in_half_open_state": 3, "failure_rate_threshold": 2 / 3}, [F, S, S], "HHC"),
    ({"success_threshold": 3, "half_open_max_concurrent": 3}, [S, S, F], "HHO"),
    ({"success_threshold": 3, "half_open_max_concurrent": 3}, [S, S, S], "HHC"),
    ({"success_threshold": 3, "half_open_max_concurrent": 3}, [S, F], "HO"),
    ({"permitted_number_of_calls_in_half_open_state": 4, "failure_rate_threshold": 0.5}, [S, F, S, F], "HHHO"),
    ({"permitted_number_of_calls_in_half_open_state": 4, "failure_rate_threshold": 0.5}, [S, F, S, S], "HHHC"),
    ({"permitted_number_of_calls_in_half_open_state": 4, "failure_rate_threshold": 0.75}, [S, F, F, F], "HHHO"),
    ({"permitted_number_of_calls_in_half_open_state": 4, "failure_rate_threshold": 0.5}, [S, S, F, S], "HHHC"),
]


@pytest.mark.parametrize(("options", "probes", "expected"), HALF_OPEN_TABLE)
def test_cb_23_half_open_table(options, probes, expected):
    """What the probes decide, and with which of them."""
    letters = {State.HALF_OPEN: "H", State.OPEN: "O", State.CLOSED: "C"}
    assert "".join(letters[state] for state in calls(half_open(**options), probes)) == expected


def test_cb_25_the_first_after_the_wait_is_let_through_and_the_second_told_when():
    """At exactly 5 s one probe goes out, half-open; the next is refused with a time to come back."""

    async def scenario(loop):
        breaker = CircuitBreaker(wait_duration_in_open_state=5.0)
        breaker.open_for(5, now=loop.time())
        await asyncio.sleep(5)
        probe = asyncio.ensure_future(breaker(asyncio.sleep, 1))
        await asyncio.sleep(0)
        assert breaker.state is State.HALF_OPEN
        with pytest.raises(CircuitOpen) as refused:
            await breaker(asyncio.sleep, 1)
        await probe
        return refused.value.retry_after

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario(loop)) == pytest.approx(30)  # when the probe's lease ends, at the latest


class Counting(Backoff):
    """Notes the attempts that it is asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def base(self, attempt, rng, previous):
        self.asked.append(attempt)
        return 1.0


def test_cb_27_the_open_time_grows_until_it_is_closed():
    """Opened five times in a row, closed, three times: attempts 1 2 3 4 5 1 2 3."""
    backoff, now = Counting(), 0.0
    breaker = CircuitBreaker(sliding_window=Consecutive(1), wait_duration_in_open_state=backoff)
    for times in (5, 3):
        calls(breaker, [F], now)
        for _ in range(times - 1):
            now += 1
            calls(breaker, [F], now)
        now += 1
        calls(breaker, [S], now)
    assert backoff.asked == [1, 2, 3, 4, 5, 1, 2, 3]


def test_cb_29_refusals_do_not_grow_and_name_their_cause():
    """A hundred refusals: each a new exception with the same short traceback, caused by what opened the circuit."""

    async def scenario():
        breaker, seen = CircuitBreaker(sliding_window=Consecutive(1)), []
        opening = ConnectionError("down")
        with pytest.raises(ConnectionError):
            await breaker(_raising(opening))
        for _ in range(100):
            try:
                await breaker(asyncio.sleep, 0)
            except CircuitOpen as refused:
                seen.append((refused, len(traceback.extract_tb(refused.__traceback__)), refused.__cause__))
        return opening, seen

    with SimLoop(seed=1) as loop:
        opening, seen = loop.run_until_complete(scenario())
    assert len({id(refused) for refused, _, _ in seen}) == 100
    assert {depth for _, depth, _ in seen} == {seen[0][1]}
    assert all(cause is opening for _, _, cause in seen)


def test_cb_29_opened_by_a_result_there_is_no_cause():
    """A bad result opens it: the refusal has no cause."""

    async def scenario():
        breaker = CircuitBreaker(sliding_window=Consecutive(1), record_result=lambda result: result == "bad")
        await breaker(asyncio.sleep, 0, "bad")
        with pytest.raises(CircuitOpen) as refused:
            await breaker(asyncio.sleep, 0, "bad")
        return refused.value.__cause__

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) is None


def _raising(error):
    async def call():
        raise error

    return call


def test_cb_31_volume_threshold_and_a_cancelled_probe():
    """4 S + 4 F trips at 50 %, 5 S + 3 F does not, 4 F of a minimum of 5 do not; a cancelled probe leaves room for the next."""
    options = {"sliding_window": CountWindow(8), "minimum_number_of_calls": 8, "wait_duration_in_open_state": 1.0}
    assert calls(CircuitBreaker(**options), [S] * 4 + [F] * 4)[-1] is State.OPEN
    assert calls(CircuitBreaker(**options), [S] * 5 + [F] * 3)[-1] is State.CLOSED
    assert calls(CircuitBreaker(**{**options, "minimum_number_of_calls": 5}), [F] * 4)[-1] is State.CLOSED
    breaker = CircuitBreaker(**options)
    calls(breaker, [S] * 4 + [F] * 4)
    probe = breaker.try_acquire(now=1)
    assert breaker.try_acquire(now=1) is None
    breaker.record(probe, Outcome.CANCELLED, now=2)
    assert calls(breaker, [S], now=3) == [State.CLOSED]


def test_cb_33_consecutive_failures_and_successes():
    """Three failures open it; half-open it takes three successes, and one failure opens it and starts the count again."""
    breaker = CircuitBreaker(sliding_window=Consecutive(3), success_threshold=3, wait_duration_in_open_state=1.0)
    assert calls(breaker, [F, F, IGNORED, S, F, F, F])[-2:] == [State.CLOSED, State.OPEN]
    assert calls(breaker, [S, S, F], now=1) == [State.HALF_OPEN, State.HALF_OPEN, State.OPEN]
    assert calls(breaker, [S, S, S], now=2) == [State.HALF_OPEN, State.HALF_OPEN, State.CLOSED]


def test_cb_35_at_exactly_the_end_of_the_wait():
    """Threshold 1, 30 s: refused at 0, let through at exactly 30 s, still half-open after one of two successes."""
    breaker = CircuitBreaker(sliding_window=Consecutive(1), success_threshold=2, wait_duration_in_open_state=30.0)
    calls(breaker, [F])
    assert breaker.try_acquire(now=0) is None
    assert calls(breaker, [S], now=30) == [State.HALF_OPEN]


def test_cb_37_the_list_of_open_times_ends_with_its_last():
    """Consecutive 3: dead for 5 s, then 300 s for ever; a success in between starts the count again."""
    breaker = CircuitBreaker(sliding_window=Consecutive(3), wait_duration_in_open_state=Sequence([5, 300]))
    assert calls(breaker, [F, F, S, F, F])[-1] is State.CLOSED
    calls(breaker, [F])
    waits, now = [breaker.retry_after(0)], 5.0
    for _ in range(3):
        calls(breaker, [F], now)
        waits.append(breaker.retry_after(now))
        now += 300
    assert waits == [5, 300, 300, 300]
