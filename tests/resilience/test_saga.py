"""Saga: order, compensation, unknown outcomes, the pivot, stuck sagas, crashes."""

import asyncio
import itertools
import threading

import pytest

from sim.kernel import SimLoop
from sim.resilience.backoff import Constant
from sim.resilience.deadline import current_deadline, deadline_at
from sim.resilience.errors import AttemptTimeout, DeadlineExceeded, RateLimited
from sim.resilience.retry import Retry
from sim.resilience.saga import Saga, Step, StepFailed
from sim.resilience.saga_log import MemorySagaStore, SagaLog

RETRY = Retry(max_attempts=3, backoff=Constant(0.01))


class World:
    """Services that remember what was done and not undone, and what was asked of them; calls are idempotent."""

    def __init__(self, **errors):
        self.effects, self.asked = set(), []
        self.errors = {name: list(raised) for name, raised in errors.items()}

    def do(self, name):
        async def do(context):
            self.asked.append(name)
            await asyncio.sleep(0.01)
            self._raise(name)
            self.effects.add(name)
            context[name] = "done"
        return do

    def undo(self, name):
        async def undo(context):
            self.asked.append(f"-{name}")
            await asyncio.sleep(0.01)
            self._raise(f"undo_{name}")
            self.effects.discard(name)
        return undo

    def _raise(self, key):
        if self.errors.get(key):
            error = self.errors[key].pop(0)
            if isinstance(error, AttemptTimeout):
                self.effects.add(key)  # it happened, only the answer was lost
            raise error

    def saga(self, *steps, **options):
        """Steps by name; a trailing "!" makes one the pivot, a "+" retriable, a "~" has no undo."""
        saga = Saga("order", **options)
        for step in steps:
            name, mark = step.rstrip("!+~"), step[-1]
            kind = {"!": "pivot", "+": "retriable"}.get(mark, "compensatable")
            saga.step(name, self.do(name), None if mark in "!+~" else self.undo(name), kind)
        return saga


def run(saga, **options):
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(saga.run(compensation=RETRY, **options))


def test_all_steps_succeed():
    """In order, each once; the context has what they left in it."""
    world, heard = World(), []
    result = run(world.saga("reserve", "charge!", "ship+", on_event=heard.append), context={"order": 7})
    assert (result.status, result.error, result.completed) == ("completed", None, ("reserve", "charge", "ship"))
    assert world.asked == ["reserve", "charge", "ship"]
    assert result.context == {"order": 7, "reserve": "done", "charge": "done", "ship": "done"}
    assert [event.kind for event in heard] == ["begun", "step_done", "step_done", "step_done", "completed"]


def test_a_failure_undoes_what_was_completed_last_one_first():
    """The failed step itself is not undone; its error is in the result and is not raised."""
    world = World(c=[ValueError("out of stock")])
    result = run(world.saga("a", "b", "c", "d"))
    assert result.status == "compensated"
    assert isinstance(result.error, ValueError)
    assert world.asked == ["a", "b", "c", "-b", "-a"]
    assert world.effects == set()
    assert result.compensated == ("a", "b")


@pytest.mark.parametrize(("error", "undone"), [
    (AttemptTimeout(), True), (DeadlineExceeded(), True), (ConnectionResetError(), True),
    (type("Gateway", (Exception,), {"status": 504})(), True), (DeadlineExceeded(sent=False), False),
    (RateLimited("limiter", "no token"), False), (ConnectionRefusedError(), False), (KeyError("no"), False),
])
def test_a_step_whose_outcome_is_unknown_is_undone_too(error, undone):
    """After a timeout it may have happened; what was refused before it was sent surely did not."""
    world = World(b=[error])
    assert run(world.saga("a", "b")).status == "compensated"
    assert world.asked == ["a", "b", *(["-b"] if undone else []), "-a"]
    assert world.effects == set()


def test_a_compensation_that_fails_is_tried_again():
    """Twice it fails, the third time it works, with the delays of the retry between."""
    world = World(b=[ValueError()], undo_a=[TimeoutError(), DeadlineExceeded()])
    assert run(world.saga("a", "b")).status == "compensated"
    assert world.asked == ["a", "b", "-a", "-a", "-a"]


@pytest.mark.parametrize(("mode", "asked", "parked"), [("continue", ["-b"] * 3 + ["-a"], ("b",)), ("stop", ["-b"] * 3, ("b",))])
def test_a_compensation_that_never_works_is_parked(mode, asked, parked):
    """The saga is stuck, and says with what; the other compensations go on, or stop."""
    world, heard = World(c=[ValueError()], undo_b=[OSError()] * 3), []
    result = run(world.saga("a", "b", "c", on_event=heard.append), on_compensation_failure=mode)
    assert (result.status, result.parked) == ("stuck", parked)
    assert world.asked[3:] == asked
    assert [event.kind for event in heard if event.step == "b"] == ["step_done", "undo_failed"]
    assert heard[-1].kind == "stuck"


def test_after_the_pivot_it_only_goes_forward():
    """A retriable step fails twice and is called again; nothing is undone."""
    world = World(ship=[ValueError(), AttemptTimeout()])
    assert run(world.saga("a", "charge!", "ship+")).status == "completed"
    assert world.asked == ["a", "charge", "ship", "ship", "ship"]


def test_a_retriable_step_that_never_works_leaves_the_saga_stuck():
    """What was done stays done: somebody has to look."""
    world = World(ship=[ValueError("no")] * 3)
    result = run(world.saga("a", "charge!", "ship+"))
    assert (result.status, str(result.error), result.parked) == ("stuck", "no", ("ship",))
    assert world.effects == {"a", "charge"}


def test_a_pivot_that_fails_is_the_last_chance_to_undo():
    """A definite no: all before it is undone."""
    world = World(charge=[ValueError("card refused")])
    assert run(world.saga("a", "charge!", "ship+")).status == "compensated"
    assert world.asked == ["a", "charge", "-a"]


@pytest.mark.parametrize(("errors", "status"), [
    ([AttemptTimeout()], "completed"), ([AttemptTimeout(), ValueError(), ValueError(), ValueError()], "compensated"),
    ([AttemptTimeout()] * 9, "stuck"),
])
def test_a_pivot_whose_outcome_is_unknown_is_asked_again(errors, status):
    """It cannot be undone, so nothing may be decided before it is known; if it never is, the saga is stuck."""
    assert run(World(charge=errors).saga("a", "charge!", "ship+")).status == status


def test_a_step_without_undo_has_nothing_to_undo():
    """A check that changes nothing is passed over on the way back."""
    world = World(c=[ValueError()])
    assert run(world.saga("a", "check~", "c")).status == "compensated"
    assert world.asked == ["a", "check", "c", "-a"]


def test_a_condition_that_does_not_hold_skips_the_step_both_ways():
    """Neither done nor undone."""
    world = World(b=[ValueError()])
    saga = Saga("order").step("a", world.do("a"), world.undo("a"), when=lambda context: context["amount"] > 100).step("b", world.do("b"))
    result = run(saga, context={"amount": 50})
    assert result.status == "compensated"
    assert world.asked == ["b"]


@pytest.mark.parametrize(("kind", "status", "asked"), [("compensatable", "compensated", ["a", "-a"]), ("retriable", "stuck", ["a"])])
def test_a_condition_that_cannot_be_told_is_a_failure_of_its_step(kind, status, asked):
    """Its predicate raises: the step is not begun and not undone, what was done before it is; a retriable one is stuck."""
    world = World()
    saga = Saga("order").step("a", world.do("a"), world.undo("a"))
    result = run(saga.step("b", world.do("b"), kind=kind, when=lambda context: context["amount"] > 100))
    assert (result.status, world.asked) == (status, asked)
    assert isinstance(result.error, KeyError)


def test_a_condition_of_the_pivot_that_runs_into_a_timeout_leaves_nothing_unknown():
    """The pivot was not begun: it is not asked for, and what was before it is undone."""

    def slow(context):
        raise TimeoutError

    world = World()
    saga = Saga("order").step("a", world.do("a"), world.undo("a")).step("charge", world.do("charge"), kind="pivot", when=slow)
    assert run(saga).status == "compensated"
    assert world.asked == ["a", "-a"]


def test_whoever_cannot_tell_whether_it_happened_does_not_know(caplog):
    """The saga's own `unknown` raises: the failed step is undone too, and the log says why."""
    world = World(b=[ValueError()])
    assert run(world.saga("a", "b", unknown=lambda error: error.status == 504)).status == "compensated"
    assert world.asked == ["a", "b", "-b", "-a"]
    assert "cannot tell" in caplog.text


def test_a_listener_that_fails_stops_no_saga(caplog):
    """Its errors are logged."""

    def broken(event):
        raise RuntimeError("listener")

    world = World(b=[ValueError()])
    assert run(world.saga("a", "b", on_event=broken)).status == "compensated"
    assert world.effects == set()
    assert "listener" in caplog.text


def test_without_a_log_anything_may_be_in_the_context():
    """Also what cannot be copied, such as a lock."""
    result = run(World().saga("a"), context={"lock": threading.Lock()})
    assert (result.status, set(result.context)) == ("completed", {"lock", "a"})


def test_parallel_steps_are_undone_once_all_of_them_have_ended():
    """One of three fails at once; the two that are still at it end first and are undone then, last one first."""
    world = World(b=[ValueError()])
    saga = Saga("order").parallel(*(Step(name, world.do(name), world.undo(name)) for name in "abc"))
    assert run(saga).status == "compensated"
    assert world.asked == ["a", "b", "c", "-c", "-a"]


def test_compensations_have_time_although_the_caller_has_none_left():
    """The deadline of the caller does not hold for what has to be undone."""
    seen = []

    async def undo(context):
        seen.append(current_deadline())

    async def fail(context):
        raise TimeoutError

    async def scenario():
        with deadline_at(0.5):
            return await Saga("order").step("a", fail, undo).run()

    with SimLoop(seed=1) as loop:
        assert loop.run_until_complete(scenario()).status == "compensated"
    assert seen == [float("inf")]


@pytest.mark.parametrize("build", [
    lambda saga, do: saga.step("a", do).step("a", do), lambda saga, do: saga.step("a", do, kind="pivot").step("b", do, do),
    lambda saga, do: saga.step("a", do, kind="pivot").step("b", do, kind="pivot"), lambda saga, do: saga.step("a", do, kind="final"),
    lambda saga, do: saga.parallel(Step("a", do), Step("b", do, kind="pivot")),
])
def test_sagas_that_make_no_sense_are_refused(build):
    """Names twice, something to undo after the pivot, two pivots, unknown kinds, a pivot beside others."""
    with pytest.raises(ValueError, match="step"):
        build(Saga("order"), World().do("x"))


# crashes


class Crash(Exception):
    """The process dies."""


class CrashingStore(MemorySagaStore):
    """Dies at the *at*-th append, before or after the entry is kept."""

    def __init__(self, at, kept):
        super().__init__()
        self.at, self.kept, self.count = at, kept, 0

    def append(self, saga_id, entry):
        self.count += 1
        if self.count != self.at:
            super().append(saga_id, entry)
            return
        if self.kept:
            super().append(saga_id, entry)
        raise Crash


PLOTS = {
    "all well": (("a", "b", "charge!", "ship+"), {}),
    "a step fails": (("a", "b", "c", "d"), {"c": [ValueError()] * 9}),
    "a step is lost": (("a", "b", "c"), {"b": [AttemptTimeout()] * 9}),
    "an undo fails": (("a", "b", "c"), {"c": [ValueError()] * 9, "undo_a": [OSError()] * 99}),
    "the pivot fails": (("a", "charge!", "ship+"), {"charge": [ValueError()] * 9}),
    "shipping fails": (("a", "charge!", "ship+"), {"ship": [ValueError()] * 99}),
}


def ended(plot, store):
    """Run *plot* with *store*, again after every crash; return how it ends and what is left in the world."""
    steps, errors = PLOTS[plot]
    world = World(**errors)
    for _ in range(3):
        try:
            result = run(world.saga(*steps), context={"order": 7}, log=SagaLog(store))
        except Crash:
            continue
        return result.status, world.effects, result.context, result.parked, [entry["entry"] for entry in store.entries["order"]]
    raise AssertionError("it crashed three times")


@pytest.mark.parametrize("plot", PLOTS)
def test_killed_at_any_entry_and_resumed_it_ends_as_if_nothing_had_happened(plot):
    """Before and after each entry is kept: the same status, world, context and log."""
    undisturbed = ended(plot, MemorySagaStore())
    count = len(undisturbed[-1])
    assert count >= 8
    for at, kept in itertools.product(range(1, count + 1), (False, True)):
        store = CrashingStore(at, kept)
        assert ended(plot, store) == undisturbed, f"killed at entry {at}, which was {'kept' if kept else 'lost'}"
        assert store.count >= at


@pytest.mark.parametrize("plot", PLOTS)
def test_cancelled_at_any_moment_and_resumed_it_ends_as_if_nothing_had_happened(plot):
    """A cancellation is a crash: it comes out, nothing is written, and another run goes on."""
    steps, errors = PLOTS[plot]
    undisturbed = ended(plot, MemorySagaStore())
    for moment in range(1, 12):
        world, store = World(**errors), MemorySagaStore()

        async def scenario(world=world, store=store, moment=moment):
            task = asyncio.ensure_future(world.saga(*steps).run({"order": 7}, SagaLog(store), RETRY))
            await asyncio.sleep(moment * 0.005)
            task.cancel()
            await asyncio.wait([task])
            return await world.saga(*steps).run({}, SagaLog(store), RETRY)

        with SimLoop(seed=1) as loop:
            result = loop.run_until_complete(scenario())
        assert (result.status, world.effects, result.context, result.parked) == undisturbed[:4]


def test_parallel_steps_survive_a_crash_too():
    """Killed at any entry of a stage of three of which one fails: all is undone in the end."""
    for at in range(1, 14):
        world, store = World(b=[ValueError()] * 9), CrashingStore(at, kept=True)
        for _ in range(3):
            saga = Saga("order").parallel(*(Step(name, world.do(name), world.undo(name)) for name in "abc"))
            try:
                status = run(saga, log=SagaLog(store)).status
            except Crash:
                continue
            break
        assert (status, world.effects) == ("compensated", set())


def test_a_saga_that_has_ended_is_not_run_again():
    """The same id and store: the result of before, with the error as the log has it."""
    world, store = World(b=[ValueError("no")]), MemorySagaStore()
    first = run(world.saga("a", "b"), log=SagaLog(store))
    asked = list(world.asked)
    again = run(world.saga("a", "b"), log=SagaLog(store))
    assert (again.status, again.context) == (first.status, first.context)
    assert isinstance(again.error, StepFailed)
    assert str(again.error) == "b: ValueError: no"
    assert world.asked == asked


def test_sagas_with_ids_of_their_own_share_a_store(loop):
    """By the log's id or the run's; an async store works as well."""

    class AsyncStore(MemorySagaStore):
        async def append(self, saga_id, entry):
            await asyncio.sleep(0)
            super().append(saga_id, entry)

        async def read(self, saga_id):
            await asyncio.sleep(0)
            return super().read(saga_id)

    world, store = World(), AsyncStore()
    loop.run_until_complete(world.saga("a").run(log=SagaLog(store, "order-1")))
    loop.run_until_complete(world.saga("a").run(log=SagaLog(store), saga_id="order-2"))
    assert list(store.entries) == ["order-1", "order-2"]
    assert world.asked == ["a", "a"]
