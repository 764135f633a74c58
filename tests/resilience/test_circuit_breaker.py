"""Circuit breaker: when it opens, who may probe, what counts, and what it says."""

import asyncio
import random

import pytest

from sim.kernel import SimLoop
from sim.resilience import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    Consecutive,
    CountWindow,
    Deadline,
    DeadlineExceeded,
    Exponential,
    Outcome,
    Permit,
    Pipeline,
    Rejected,
    State,
    TimeWindow,
)

S, F, IGNORED, CANCELLED = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED, Outcome.CANCELLED


def calls(breaker, outcomes, now=0.0, duration=None):
    """One call after the other, each let through."""
    for outcome in outcomes:
        breaker.record(breaker.try_acquire(now), outcome, now, duration)
    return breaker


def opened(now=0.0, **options):
    """A breaker that has just opened after one failure."""
    return calls(CircuitBreaker(**{"sliding_window": Consecutive(1), **options}), [F], now)


def test_its_permits_are_those_of_every_policy_that_counts_calls():
    """For a call of a closed circuit as for a probe, and for a bulkhead."""
    breaker, bulkhead = CircuitBreaker(sliding_window=Consecutive(1), wait_duration_in_open_state=1), Bulkhead(1)
    permit = breaker.try_acquire(now=0)
    breaker.record(permit, Outcome.FAILURE, now=0)
    probe = breaker.try_acquire(now=1)
    assert all(isinstance(one, Permit) for one in (permit, probe, bulkhead.try_enter(now=0)))


def test_below_the_minimum_the_rate_is_unknown():
    """Nineteen failures of at least twenty calls: closed, no rate."""
    breaker = calls(CircuitBreaker(), [F] * 19)
    assert (breaker.state, breaker.metrics(0).failure_rate) == (State.CLOSED, None)
    assert calls(breaker, [F]).state is State.OPEN


def test_a_minimum_above_the_window_is_the_window():
    """Ten calls are remembered, twenty asked for: ten are enough, since there are never more."""
    assert calls(CircuitBreaker(sliding_window=CountWindow(10)), [F] * 10).state is State.OPEN


def test_slow_is_strictly_longer():
    """Exactly one second is not slow; more is."""
    options = {"minimum_number_of_calls": 1, "slow_call_duration_threshold": 1.0}
    assert calls(CircuitBreaker(**options), [S], duration=1.0).state is State.CLOSED
    assert calls(CircuitBreaker(**options), [S], duration=1.001).state is State.OPEN


@pytest.mark.parametrize(("now", "let_through"), [(4.999, False), (5.0, True), (5.0 - 1e-10, True), (6, True)])
def test_open_ends_at_its_time(now, let_through):
    """At 5 s or after, and not before; within a nanosecond two times are the same."""
    assert (opened().try_acquire(now) is not None) is let_through


def test_as_many_at_once_as_are_permitted_or_fewer():
    """Four probes may go out, two at a time; in flight plus judged never exceeds four."""
    breaker = opened(permitted_number_of_calls_in_half_open_state=4, half_open_max_concurrent=2)
    out = [breaker.try_acquire(now=5) for _ in range(3)]
    assert out[2] is None
    breaker.record(out[0], S, now=6)
    out += [breaker.try_acquire(now=6) for _ in range(2)]
    assert (out[3] is not None, out[4]) == (True, None)
    for permit in (out[1], out[3]):
        breaker.record(permit, S, now=7)
    last = breaker.try_acquire(now=7)
    assert last is not None
    assert breaker.try_acquire(now=7) is None
    breaker.record(last, S, now=8)
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("outcome", [IGNORED, CANCELLED])
def test_a_probe_that_taught_nothing_makes_room(outcome):
    """Ignored or cancelled: half-open still, and another may go out."""
    breaker = opened()
    breaker.record(breaker.try_acquire(now=5), outcome, now=6)
    assert breaker.state is State.HALF_OPEN
    assert breaker.try_acquire(now=6) is not None


def test_a_probe_that_never_ends_loses_its_lease():
    """After 30 s another may go out; the late answer does not count, and a second answer neither."""
    breaker = opened()
    stuck = breaker.try_acquire(now=5)
    assert breaker.try_acquire(now=34.9) is None
    probe = breaker.try_acquire(now=35)
    breaker.record(stuck, F, now=36)
    assert breaker.state is State.HALF_OPEN
    breaker.record(probe, S, now=37)
    breaker.record(probe, F, now=38)
    assert breaker.state is State.CLOSED


def test_half_open_for_too_long_is_open_again():
    """After 2 s without a verdict: open, counted from the moment when the time was over."""
    breaker = opened(max_wait_duration_in_half_open_state=2.0)
    breaker.try_acquire(now=5)
    assert breaker.try_acquire(now=7.5) is None
    assert breaker.state is State.OPEN
    assert breaker.retry_after(7.5) == pytest.approx(4.5)  # opened at 7, for 5 s


def test_late_answers_do_not_count():
    """A call made before it opened fails after it has closed again: no failure is counted."""
    breaker = CircuitBreaker(sliding_window=Consecutive(2))
    late = breaker.try_acquire(now=0)
    calls(breaker, [F, F])
    calls(breaker, [S], now=5)
    breaker.record(late, F, now=6)
    assert (breaker.state, breaker.metrics(6).failed) == (State.CLOSED, 0)


def test_the_open_time_grows_and_is_short_again_after_closing():
    """5, 10, 20 s; closed; 5 s."""
    breaker = opened(wait_duration_in_open_state=Exponential(5, max=60))
    waits, now = [breaker.retry_after(0)], 0.0
    for _ in range(2):
        now += waits[-1]
        calls(breaker, [F], now)
        waits.append(breaker.retry_after(now))
    now += waits[-1]
    calls(breaker, [S], now)
    calls(breaker, [F], now)
    assert [*waits, breaker.retry_after(now)] == [5, 10, 20, 5]


def test_jitter_of_the_open_time_comes_from_the_generator_handed_in():
    """Two breakers with the same seed wait equally long, another one not."""
    backoff = Exponential(5, jitter="full")
    waits = [opened(wait_duration_in_open_state=backoff, rng=random.Random(seed)).retry_after(0) for seed in (1, 1, 2)]
    assert waits[0] == waits[1] != waits[2]


def test_metrics_only_counts_and_never_opens():
    """Ten failures of two allowed: lets through, says so once."""
    events = []
    breaker = CircuitBreaker(minimum_number_of_calls=2, on_event=events.append)
    breaker.metrics_only(now=0)
    calls(breaker, [F] * 10)
    assert (breaker.state, breaker.metrics(0).failure_rate) == (State.METRICS_ONLY, 1.0)
    assert [event.kind for event in events] == ["state_transition", "failure_rate_exceeded"]


def test_metrics_while_open_are_those_of_the_opening():
    """Also when the window of time has passed; cleared when half-open."""
    breaker = calls(CircuitBreaker(sliding_window=TimeWindow(2, 2), minimum_number_of_calls=2), [F, S])
    assert (breaker.state, breaker.metrics(4.9).failure_rate) == (State.OPEN, 0.5)
    breaker.try_acquire(now=5)
    assert breaker.metrics(5).buffered == 0


def test_reconfigured_while_it_runs():
    """A longer wait holds from the next opening; a new window starts empty; a wrong option changes nothing."""
    breaker = calls(CircuitBreaker(minimum_number_of_calls=4), [F, F, F])
    with pytest.raises(ValueError, match="failure_rate_threshold"):
        breaker.reconfigure(0, failure_rate_threshold=2)
    breaker.reconfigure(0, minimum_number_of_calls=5, wait_duration_in_open_state=9.0)
    assert calls(breaker, [F]).state is State.CLOSED
    assert calls(breaker, [F]).retry_after(0) == 9.0
    breaker.reset(now=0)
    calls(breaker, [F])
    breaker.reconfigure(0, sliding_window=CountWindow(10))
    assert breaker.metrics(0).buffered == 0


@pytest.mark.parametrize("options", [
    {"failure_rate_threshold": 0}, {"minimum_number_of_calls": 0}, {"probe_lease": 0}, {"success_threshold": 0},
    {"slow_call_rate_threshold": 1.5}, {"sliding_window_size": 3},
])
def test_options_that_make_no_sense_are_refused(options):
    """Out of range, or unknown."""
    with pytest.raises((ValueError, TypeError)):
        CircuitBreaker(**options)


def test_events_tell_the_whole_story():
    """Opened, refused, half-open, closed, each with its time and reason."""
    events = []
    breaker = opened(on_event=events.append, now=0.0)
    calls(breaker, [S], now=5)
    assert [(event.at, event.source, event.target, event.reason, event.until) for event in events if event.kind == "state_transition"] == [
        (0.0, "closed", "open", "failure rate", 5.0),
        (5, "open", "half_open", "waited long enough", None),
        (5, "half_open", "closed", "the probes succeeded", None),
    ]


# the wrapper


class Down(Exception):
    pass


async def down():
    raise Down


async def outcome_of(coroutine):
    try:
        return await coroutine
    except Exception as error:
        return type(error)


def test_twenty_callers_at_the_half_open_instant(loop):
    """Two permitted: two reach the dependency, eighteen are refused, on either loop."""
    reached = []

    async def probe():
        reached.append(1)
        await asyncio.sleep(0.001)

    async def scenario():
        breaker = CircuitBreaker(sliding_window=Consecutive(1), wait_duration_in_open_state=0.002,
                                 permitted_number_of_calls_in_half_open_state=2)
        await outcome_of(breaker(down))
        await asyncio.sleep(0.004)
        results = await asyncio.gather(*(outcome_of(breaker(probe)) for _ in range(20)))
        return results.count(CircuitOpen), breaker.state

    assert loop.run_until_complete(scenario()) == (18, State.CLOSED)
    assert len(reached) == 2


def test_a_cancelled_probe_gives_its_permit_back(loop):
    """The trap: the probe's caller leaves, and the next caller may probe."""

    async def scenario():
        breaker = CircuitBreaker(sliding_window=Consecutive(1), wait_duration_in_open_state=0.0)
        await outcome_of(breaker(down))
        probe = asyncio.ensure_future(breaker(asyncio.sleep, 1))
        await asyncio.sleep(0.001)
        probe.cancel()
        await asyncio.wait([probe])
        return breaker.state, await breaker(asyncio.sleep, 0, "well"), breaker.state

    assert loop.run_until_complete(scenario()) == (State.HALF_OPEN, "well", State.CLOSED)


@pytest.mark.parametrize(("predicate", "probe"), [("record_result", lambda: asyncio.sleep(0)), ("record_on", down), ("ignore_on", down)])
def test_a_predicate_that_fails_gives_the_permit_back(loop, predicate, probe):
    """Its error comes out, the probe has taught nothing, and the next caller may probe at once."""

    def broken(ended):
        raise KeyError("code")

    async def scenario():
        breaker = CircuitBreaker(**{predicate: broken})
        breaker.open_for(0, loop.time())
        with pytest.raises(KeyError, match="code"):
            await breaker(probe)
        return breaker.state, breaker.try_acquire(loop.time()) is not None

    assert loop.run_until_complete(scenario()) == (State.HALF_OPEN, True)


def test_which_errors_count():
    """record_on: failures; ignore_on: neither; all others: answers, hence successes; bad results: failures."""

    async def scenario():
        breaker = CircuitBreaker(record_on=(OSError,), ignore_on=(BlockingIOError,), record_result=lambda result: result == "bad")
        for error in (OSError, BlockingIOError, ValueError):
            await outcome_of(breaker(_raising(error)))
        await breaker(asyncio.sleep, 0, "bad")
        await breaker(asyncio.sleep, 0, "good")
        metrics = breaker.metrics(0)
        return metrics.failed, metrics.successful

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == (2, 2)


def _raising(error):
    async def call():
        raise error

    return call


def test_own_refusals_inside_do_not_count_but_a_timeout_does():
    """A full bulkhead and a deadline without time left: ignored. A deadline that ended the call: a failure."""

    async def scenario():
        full = Bulkhead(1)
        full.try_enter(now=0)
        counted = {}
        for name, policy in (("full", full), ("late", Deadline(0)), ("ended", Deadline(0.5))):
            breaker = CircuitBreaker()
            await outcome_of(Pipeline("test", [breaker, policy]).call(asyncio.sleep, 1))
            counted[name] = breaker.metrics(0).buffered
        return counted

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == {"full": 0, "late": 0, "ended": 1}


def test_a_refusal_of_another_clients_policy_is_the_calls_own_failure():
    """The same class, refused by somebody else, or a deadline of another client: counted."""

    async def scenario():
        breaker = CircuitBreaker()
        for error in (Rejected(object(), "theirs"), DeadlineExceeded(sent=False)):
            await outcome_of(Pipeline("test", [breaker, Bulkhead(1)]).call(_raising(error)))
        return breaker.metrics(0).failed

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == 2


def test_automatic_transition_by_a_timer():
    """Half-open at the very time without any call, and open again when nobody probes for long enough."""
    events = []

    async def scenario():
        breaker = CircuitBreaker(sliding_window=Consecutive(1), automatic_transition=True, max_wait_duration_in_half_open_state=2.0,
                                 on_event=events.append)
        await outcome_of(breaker(down))
        await asyncio.sleep(10)

    with SimLoop(seed=1) as loop:
        loop.run_until_complete(scenario())
    transitions = [(event.at, event.target) for event in events if event.kind == "state_transition"]
    assert transitions == [(0, "open"), (5, "half_open"), (7, "open")]


def test_automatic_transition_after_it_was_opened_by_hand():
    """Half-open after the 3 s that somebody asked for, and if it is only now told to be automatic, after what is left."""

    async def scenario():
        breaker, late = CircuitBreaker(automatic_transition=True), CircuitBreaker()
        breaker.open_for(3, now=0)
        late.open_for(3, now=0)
        await asyncio.sleep(2.9)
        late.reconfigure(2.9, automatic_transition=True)
        before = breaker.state, late.state
        await asyncio.sleep(0.1)
        return before, (breaker.state, late.state)

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()) == ((State.OPEN, State.OPEN), (State.HALF_OPEN, State.HALF_OPEN))


def test_automatic_transition_in_another_loop():
    """The loop in which it opened is gone, with its timer: the first refused call sets one in the next."""
    breaker = CircuitBreaker(sliding_window=Consecutive(1), automatic_transition=True)

    async def next_one():
        refused = await outcome_of(breaker(down))
        await asyncio.sleep(6)
        return refused, breaker.state

    with SimLoop(seed=1) as loop:
        loop.run_until_complete(outcome_of(breaker(down)))
    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(next_one()) == (CircuitOpen, State.HALF_OPEN)


def test_a_listener_that_fails_changes_nothing(caplog):
    """Its error is logged, the call goes on."""

    def broken(event):
        raise RuntimeError("listener")

    breaker = CircuitBreaker(sliding_window=Consecutive(1), on_event=broken)
    assert calls(breaker, [F]).state is State.OPEN
    assert "listener" in caplog.text
