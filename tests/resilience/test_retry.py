"""Retry: what is tried again, when, and what is raised in the end."""

import asyncio
import math
import random

import pytest

from sim.kernel import SimLoop
from sim.resilience import (
    Bulkhead,
    BulkheadFull,
    CircuitOpen,
    Constant,
    DeadlineExceeded,
    Exponential,
    InFlightBudget,
    Outcome,
    Pipeline,
    Retry,
    Stop,
    TokenBudget,
    deadline_at,
)


class Script:
    """Raises or returns the *ends* in turn; the last one repeats."""

    def __init__(self, *ends):
        self.ends, self.times = ends, []

    async def __call__(self):
        end = self.ends[min(len(self.times), len(self.ends) - 1)]
        self.times.append(asyncio.get_running_loop().time())
        if isinstance(end, BaseException) or (isinstance(end, type) and issubclass(end, BaseException)):
            raise end
        return end


class Overloaded(Exception):
    status = 503
    retry_after = 2.0


def run(coroutine):
    with SimLoop(seed=1) as loop:
        try:
            return loop.run_until_complete(coroutine)
        except Exception as error:
            return error


def ask(retry, attempt=1, outcome=Outcome.FAILURE, now=0.0, deadline=math.inf, **more):
    return retry.next(attempt, outcome, now, deadline, random.Random(1), **more)


def test_only_a_failure_is_tried_again():
    """Success, ignored and cancelled end it."""
    assert [ask(Retry(), outcome=outcome) for outcome in (Outcome.SUCCESS, Outcome.IGNORED, Outcome.CANCELLED)] == [
        Stop("success"), Stop("ignored"), Stop("cancelled")]


def test_the_first_call_counts_as_an_attempt():
    """Three attempts: two delays."""
    retry = Retry(max_attempts=3, backoff=Constant(1))
    assert [ask(retry, attempt) for attempt in (1, 2, 3)] == [1, 1, Stop("max_attempts")]


@pytest.mark.parametrize(("deadline", "answer"), [
    (1.1, 1), (1.0, Stop("deadline")), (1.0 + 1e-10, Stop("deadline")), (0.5, Stop("deadline")),
])
def test_a_delay_that_would_end_at_the_deadline_is_not_waited(deadline, answer):
    """At the deadline or after: stop at once; before: wait."""
    assert ask(Retry(backoff=Constant(1)), deadline=deadline) == answer


def test_the_servers_word_takes_the_place_of_the_delay_and_keeps_the_deadline():
    """Two seconds instead of one; beyond the deadline: stop."""
    retry = Retry(backoff=Constant(1, max=1))
    assert ask(retry, retry_after=2.0) == 2.0
    assert ask(retry, retry_after=2.0, deadline=2.0) == Stop("deadline")


def test_no_longer_than_max_duration():
    """Started at 0, at most 3 s: a delay of 1 s at 1.5 is waited, at 2 not."""
    retry = Retry(backoff=Constant(1), max_duration=3)
    assert ask(retry, now=1.5, started=0.0) == 1
    assert ask(retry, now=2, started=0.0) == Stop("max_duration")


def test_the_budget_is_asked_last():
    """What is stopped for another reason costs nothing."""
    budget = TokenBudget(share=0, min_per_second=0.1, ttl=10)
    retry = Retry(backoff=Constant(1), budget=budget)
    assert ask(retry, deadline=1.0) == Stop("deadline")
    assert ask(retry, attempt=3) == Stop("max_attempts")
    assert [ask(retry), ask(retry)] == [1, Stop("budget")]


def test_the_last_real_error_is_raised():
    """Three different errors: the third."""
    assert str(run(Retry(backoff=Constant(0))(Script(OSError("1"), OSError("2"), OSError("3"))))) == "3"


def test_which_errors_are_tried_again():
    """retry_on minus abort_on; never a deadline."""
    for error, attempts in ((ConnectionError, 3), (BlockingIOError, 1), (ValueError, 1), (DeadlineExceeded, 1)):
        script = Script(error)
        run(Retry(backoff=Constant(0), retry_on=(OSError,), abort_on=(BlockingIOError,))(script))
        assert len(script.times) == attempts


def test_an_open_circuit_on_the_way_is_never_tried_again_and_another_refusal_is():
    """A full bulkhead inside: three attempts, after its delay."""
    full = Bulkhead(1)
    full.try_enter(now=0)
    events = []
    error = run(Pipeline("test", [Retry(backoff=Constant(1), on_event=events.append), full]).call(Script("ok")))
    assert isinstance(error, BulkheadFull)
    assert [event.kind for event in events] == ["retry", "retry", "retry_gave_up"]


def test_a_result_that_is_not_wanted_is_tried_again_and_returned_in_the_end():
    """"no" three times: returned; once: "yes"."""
    retry = Retry(backoff=Constant(0), retry_result=lambda result: result == "no")
    script = Script("no")
    assert (run(retry(script)), len(script.times)) == ("no", 3)
    assert run(retry(Script("no", "yes"))) == "yes"


def test_retry_after_of_an_error_is_waited():
    """The second attempt starts after the 2 s that the first one's error asks for."""
    script = Script(Overloaded(), "ok")
    assert run(Retry(backoff=Constant(0.1))(script)) == "ok"
    assert script.times == [0, 2]


def test_the_deadline_in_force_is_kept():
    """5 s, delays of 2 s: attempts at 0, 2, 4, and the real error at 4, not at 5."""

    async def scenario(script):
        with deadline_at(5.0):
            await Retry(max_attempts=9, backoff=Constant(2))(script)

    script = Script(OSError("down"))
    assert str(run(scenario(script))) == "down"
    assert script.times == [0, 2, 4]


def test_a_cancellation_is_never_swallowed(loop):
    """Cancelled while an attempt runs, with everything to be retried: cancelled."""

    async def scenario():
        call = asyncio.ensure_future(Retry(retry_on=lambda error: True, backoff=Constant(0))(lambda: asyncio.sleep(1)))
        await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    assert loop.run_until_complete(scenario())


def test_events_of_a_call_that_succeeds_at_last():
    """Two retries, then success on attempt 3."""
    events = []
    run(Retry(backoff=Constant(0), on_event=events.append)(Script(OSError("a"), OSError("b"), "ok")))
    assert [(event.kind, getattr(event, "attempt", None) or event.attempts) for event in events] == [
        ("retry", 1), ("retry", 2), ("retry_succeeded", 3)]
    assert events[0].error == "OSError: a"


def test_the_budget_is_whole_again_after_every_ending():
    """Success, failure, cancelled in an attempt and in a delay: nothing stays in flight."""
    budget = InFlightBudget(share=1.0, min_concurrent=3)
    retry = Retry(backoff=Constant(1), budget=budget)

    async def slow_after_one():
        if not started:
            started.append(1)
            raise OSError
        await asyncio.sleep(5)

    async def scenario():
        await retry(Script(OSError(), "ok"))
        await asyncio.gather(retry(Script(OSError())), return_exceptions=True)
        for pause in (0.5, 2):
            started.clear()
            call = asyncio.ensure_future(retry(slow_after_one))
            await asyncio.sleep(pause)
            assert budget.retries == 1
            call.cancel()
            await asyncio.wait([call])

    started = []
    run(scenario())
    assert (budget.calls, budget.retries) == (0, 0)


def test_one_who_shares_a_budget_with_an_outer_policy_does_not_report_to_it():
    """Two retries, one budget: the call is in flight once, and deposited once."""

    class Counting(InFlightBudget):
        deposits = 0

        def deposit(self, now):
            self.deposits += 1

    budget, seen = Counting(share=1.0), []

    async def call():
        seen.append(budget.calls)

    run(Pipeline("test", [Retry(budget=budget), Retry(budget=budget)]).call(call))
    assert (seen, budget.calls, budget.deposits) == ([1], 0, 1)


def test_jitter_comes_from_the_pipelines_generator():
    """Same seed, same delays; each attempt has its own."""

    def delays(seed):
        events = []
        retry = Retry(max_attempts=5, backoff=Exponential(1, jitter="full"))
        run(Pipeline("test", [retry], rng=random.Random(seed), on_event=events.append).call(Script(OSError())))
        return [event.delay for event in events if event.kind == "retry"]

    assert delays(1) == delays(1) != delays(2)
    assert len(set(delays(1))) == 4


def test_no_attempts_are_no_retry():
    """Zero attempts are refused."""
    with pytest.raises(ValueError, match="counts the first call"):
        Retry(max_attempts=0)


def test_circuit_open_of_a_nested_client_is_an_error_like_others():
    """Refused by a policy that is not on the way: three attempts."""
    script = Script(CircuitOpen(object(), "theirs"))
    run(Retry(backoff=Constant(0))(script))
    assert len(script.times) == 3
