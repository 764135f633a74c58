"""Pipeline: order, names, listeners, changes while it runs, and what it costs at worst."""

import asyncio
import functools
import math
import random

import pytest
from pydantic import TypeAdapter

from sim.kernel import SimLoop
from sim.resilience import (
    AnyPolicy,
    Bulkhead,
    CircuitBreaker,
    Constant,
    Deadline,
    Exponential,
    Fallback,
    Pipeline,
    Policy,
    Retry,
    Timeout,
    TokenBudget,
    explain_specs,
)
from sim.resilience.hedge import Hedge
from sim.resilience.policy import Worst


class Marks(Policy):
    """Writes down when it is entered and left."""

    def __init__(self, word, log):
        self.word, self.log = word, log

    async def __call__(self, proceed, *args):
        self.log.append(f"+{self.word}")
        result = await proceed(*args)
        self.log.append(f"-{self.word}")
        return result


async def add(a, b=0):
    return a + b


def run(coroutine):
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(coroutine)


def test_outermost_first_as_listed():
    """In by the first, out by the last."""
    log = []
    assert run(Pipeline("test", [Marks("a", log), Marks("b", log)]).call(add, 1, 2)) == 3
    assert log == ["+a", "+b", "-b", "-a"]


def test_without_policies_it_is_the_call():
    """Nothing is added."""
    assert run(Pipeline("test").call(add, 1, b=5)) == 6


def test_as_a_decorator_it_keeps_name_and_arguments():
    """Positional and keyword arguments arrive."""
    log = []
    through = Pipeline("test", [Marks("a", log)])(add)
    assert (through.__name__, run(through(1, b=2)), log) == ("add", 3, ["+a", "-a"])


def test_the_composition_is_made_once_for_a_function():
    """A bound method is another object each time, and the same function; a thousand lambdas do not pile up."""
    pipeline, composed = Pipeline("test", [Marks("a", [])]), []
    compose = pipeline._compose
    pipeline._compose = lambda fn: composed.append(fn) or compose(fn)

    class Client:
        async def send(self):
            return "sent"

    async def scenario():
        client = Client()
        for _ in range(5):
            await pipeline.call(client.send)
        for number in range(1000):
            await pipeline.call(lambda number=number: add(number))

    run(scenario())
    assert composed.count(composed[0]) == 1
    assert len(pipeline._chains) <= 64


def test_names_generator_and_listener_where_there_are_none():
    """Two timeouts get two names; what a policy has of its own stays."""
    rng, own = random.Random(1), random.Random(2)
    retry, first, second, named = Retry(rng=own), Timeout(1), Timeout(2), Bulkhead(1, name="pool")
    Pipeline("payments", [retry, first, second, named], rng=rng)
    assert [policy.name for policy in (retry, first, second, named)] == ["payments.retry", "payments.timeout", "payments.timeout-2", "pool"]
    assert (retry.rng, first.rng) == (own, rng)


def test_two_listeners_hear_the_same_and_a_broken_one_disturbs_nobody(caplog):
    """One from the start, one that fails, one that came later."""
    heard, later = [], []

    def broken(event):
        raise RuntimeError("broken listener")

    pipeline = Pipeline("test", [Timeout(1)], on_event=broken)
    pipeline.listen(heard.append)

    async def scenario():
        await asyncio.gather(pipeline.call(asyncio.sleep, 5), return_exceptions=True)
        pipeline.listen(later.append)
        await asyncio.gather(pipeline.call(asyncio.sleep, 5), return_exceptions=True)

    run(scenario())
    assert ([event.at for event in heard], [event.at for event in later]) == ([1, 2], [2])
    assert "broken listener" in caplog.text


class Adds:
    """Equal to any other, and therefore not hashable unless it says so."""

    def __init__(self, b):
        self.b = b

    def __eq__(self, other):
        return True

    async def __call__(self, a):
        return a + self.b


class Hashable(Adds):
    def __hash__(self):
        return 1


@pytest.mark.parametrize("kind", [Adds, Hashable])
def test_a_callable_is_itself_whatever_it_is_equal_to(kind):
    """Two that are equal, hashable or not: each is called in its turn."""
    pipeline = Pipeline("test", [Timeout(1)])
    callables = [kind(1), kind(2)]
    assert [run(pipeline.call(fn, 10)) for fn in callables * 2] == [11, 12, 11, 12]


def test_a_method_is_composed_once():
    """It is a new object each time, and equal to the one before: the fast path holds for a client's methods, also of an unhashable one."""
    pipeline, client = Pipeline("test", [Timeout(1)]), Adds(1)
    for _ in range(3):
        assert run(pipeline.call(client.__call__, 10)) == 11
    assert len(pipeline._chains) == 1
    assert run(pipeline.call(Adds(2).__call__, 10)) == 12


def test_what_gives_an_awaitable_is_async_enough():
    """A lambda, a partial, a future."""
    pipeline = Pipeline("test", [Timeout(1)])
    assert run(pipeline.call(lambda a: add(a, 1), 1)) == 2
    assert run(pipeline.call(functools.partial(add, b=2), 1)) == 3
    assert run(pipeline.call(lambda: asyncio.gather(add(1), add(2)))) == [1, 2]


@pytest.mark.parametrize("policies", [[], [Timeout(1)]])
def test_a_function_that_is_not_async_is_named(policies):
    """With what it returned, and the cure."""

    def total(a):
        return a

    with pytest.raises(TypeError, match=r"total is not async: it returned 7, .* `async def`, .* `call\(asyncio\.to_thread"):
        run(Pipeline("test", policies).call(total, 7))


@pytest.mark.parametrize("wrong", ["retry", Retry, None])
def test_what_is_no_policy_is_named(wrong):
    """At once, with the name of the pipeline; one that has policies already keeps them."""
    with pytest.raises(TypeError, match=r"pipeline 'payments': .* is no policy: write objects such as Retry\(\)"):
        Pipeline("payments", [Retry(), wrong])
    pipeline = Pipeline("payments", [Retry()])
    with pytest.raises(TypeError, match="is no policy"):
        pipeline.reconfigure([wrong])
    assert len(pipeline.policies) == 1


def test_a_listener_that_comes_to_a_silent_pipeline():
    """Nobody listened before; now somebody does."""
    heard, pipeline = [], Pipeline("test", [Timeout(1)])
    pipeline.listen(heard.append)
    run(asyncio.wait_for(_quietly(pipeline.call(asyncio.sleep, 5)), 9))
    assert [event.policy for event in heard] == ["test.timeout"]


async def _quietly(awaitable):
    await asyncio.gather(awaitable, return_exceptions=True)


def test_reconfigured_while_a_call_is_under_way():
    """The call under way ends by the old policies, the next one goes through the new; what stays keeps its state."""

    async def scenario():
        breaker = CircuitBreaker()
        pipeline = Pipeline("test", [breaker, Timeout(10)])
        call = asyncio.ensure_future(pipeline.call(asyncio.sleep, 5, "old"))
        await asyncio.sleep(1)
        pipeline.reconfigure([breaker, Timeout(1)])
        with pytest.raises(TimeoutError):
            await pipeline.call(asyncio.sleep, 5)
        return await call, breaker.metrics(9).buffered

    assert run(scenario()) == ("old", 2)


# what it costs at worst


def test_attempts_and_latency_at_worst():
    """Three attempts of at most 0.5 s (0.1 in line, 0.4 to answer), 0.1 and 0.2 s between them: 1.8 s, cut at a deadline of 1.5 s."""
    inner = [Retry(backoff=Exponential(0.1)), Bulkhead(5, max_queued_calls=5, max_wait_duration=0.1), Timeout(0.4)]
    assert Pipeline("test", inner).explain().latency == pytest.approx(1.8)
    explained = Pipeline("test", [Deadline(1.5), *inner]).explain()
    assert (explained.attempts, explained.latency, explained.warnings) == (3, 1.5, ())


def test_what_is_known_of_the_call_counts():
    """A call that itself takes at most 1 s and sends two: six, and 3 s."""
    explained = Pipeline("test", [Retry(backoff=Constant(0))]).explain(Worst(attempts=2, latency=1))
    assert (explained.attempts, explained.latency) == (6, 3)


def test_without_a_limit_it_is_infinite():
    """No timeout: for ever; retries without end: infinitely many."""
    explained = Pipeline("test", [Retry(max_attempts=math.inf)]).explain()
    assert (explained.attempts, explained.latency) == (math.inf, math.inf)


@pytest.mark.parametrize(("policies", "warning"), [
    ([CircuitBreaker(), Retry()], "retry is inside the circuit breaker"),
    ([Retry(), Fallback(value=1)], "fallback is inside the retry"),
    ([Timeout(1), CircuitBreaker()], "circuit breaker is inside the timeout"),
    ([Timeout(1), Retry()], "retry is inside the timeout"),
    ([Retry(), Deadline(1)], "deadline is inside the retry"),
    ([Deadline(1), Timeout(1)], "not below the deadline"),
    ([Retry(), Hedge()], "up to 6 attempts"),
])
def test_orders_that_cannot_work_are_told(policies, warning):
    """Each by its own warning, and by no other."""
    (text,) = Pipeline("test", policies).explain().warnings
    assert warning in text


def test_the_recommended_order_has_no_warning():
    """Fallback, deadline, retry, breaker, bulkhead, timeout; a shared budget is named where retries and hedges multiply."""
    recommended = [Fallback(value=1), Deadline(1.5), Retry(), CircuitBreaker(), Bulkhead(5), Timeout(0.4)]
    assert Pipeline("test", recommended).explain().warnings == ()
    budget = TokenBudget()
    (text,) = Pipeline("test", [Retry(budget=budget), Hedge(budget=budget)]).explain().warnings
    assert "share a budget" in text


def test_a_scenarios_policies_are_explained_the_same():
    """By their specs, without a run."""
    written = [{"circuit_breaker": {}}, {"retry": {"backoff": "100ms"}}, {"timeout": "400ms"}]
    explained = explain_specs(TypeAdapter(list[AnyPolicy]).validate_python(written))
    assert (explained.attempts, explained.latency, len(explained.warnings)) == (3, pytest.approx(1.4), 1)
    assert str(explained).startswith("at worst 3 attempts, 1.4 s\nwarning: the retry is inside")
