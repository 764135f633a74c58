# ruff: noqa: RUF006 - tasks that nobody looks after are what this is about
"""Code that has an owner: its unhandled errors are kept for him, and the run goes on."""

import asyncio
import gc
from contextvars import ContextVar

import pytest

from sim.kernel import SimLoop, SimulationError

WHO: ContextVar[str] = ContextVar("who")


@pytest.fixture
def owned():
    with SimLoop(seed=7) as loop:
        loop.owner_of = lambda started: WHO.get(None)
        yield loop


async def fail_at(when):
    await asyncio.sleep(when)
    raise ValueError(f"at {when}")


async def start(who, *whens):
    WHO.set(who)
    return [asyncio.create_task(fail_at(when)) for when in whens]


def run(loop, *starts):
    for one in starts:
        loop.create_task(one)
    loop.run_until(10)


def test_errors_are_kept_in_the_order_in_which_they_came_up(owned):
    """Not in that of their tasks; after that they are the asker's."""
    run(owned, start("a", 3, 1), start("b", 2))
    assert [failure[2:] for failure in owned.take_failures(held=False)] == [
        ("a", "ValueError: at 1"), ("b", "ValueError: at 2"), ("a", "ValueError: at 3")]
    assert not owned.take_failures(held=True)


def test_who_may_still_ask_for_an_error_is_left_in_peace_until_the_end(owned):
    """A task that is held counts only where nothing runs from here on, and ends no run either."""
    held = owned.run_until_complete(start("a", 1))
    owned.run_until(10)
    assert not owned.take_failures(held=False)
    (failure,) = owned.take_failures(held=True)
    assert failure.at == 1 and held[0].done()


def test_a_callback_and_what_gather_put_together_have_owners_too(owned):
    """Each is found at its own time."""

    async def begin():
        WHO.set("a")
        owned.call_later(1, [].pop)
        owned.call_soon(dict.__delitem__, {}, "key")
        asyncio.gather(fail_at(2), fail_at(3))

    run(owned, begin())
    assert [(failure.at, failure.owner, failure.error) for failure in owned.take_failures(held=False)] == [
        (0, "a", "KeyError: 'key'"), (1, "a", "IndexError: pop from empty list"), (2, "a", "ValueError: at 2")]


def test_an_owner_cannot_end_the_program(owned):
    """`sys.exit` in his task and in his callback; without an owner it still does."""

    async def leave():
        raise SystemExit(3)

    async def begin():
        WHO.set("a")
        asyncio.create_task(leave())
        owned.call_later(2, exit_now)

    def exit_now():
        raise SystemExit(4)

    run(owned, begin())
    assert [failure.error for failure in owned.take_failures(held=True)] == ["SystemExit: 3", "SystemExit: 4"]
    owned.call_later(1, exit_now)
    with pytest.raises(SystemExit):
        owned.run_until(20)


def test_what_has_no_owner_ends_the_run(owned):
    """As without any owners."""
    with pytest.raises(SimulationError, match="ValueError: at 1"):
        run(owned, fail_at(1), start("a", 2))


def test_garbage_has_its_owner_and_its_time_too(owned):
    """A task, its error and a frame that refer to each other, found at 5 s by the collector."""

    async def fail_in_a_circle():
        await asyncio.sleep(1)
        here = asyncio.current_task()
        raise ValueError(here.get_name())

    async def begin():
        WHO.set("a")
        asyncio.create_task(fail_in_a_circle(), name="circle")

    owned.call_later(5, gc.collect)
    run(owned, begin())
    (failure,) = owned.take_failures(held=False)
    assert (failure.at, failure.owner, failure.error) == (1, "a", "ValueError: circle")


def test_a_handler_of_errors_is_for_those_of_its_own_owner(owned):
    """Those of others are kept, those of nobody end the run; what it hands back, or raises itself, is kept for its owner too."""
    taken = []

    def handle(loop, context):
        taken.append(str(context["exception"]))
        if taken[-1] == "at 2":
            loop.default_exception_handler(context)
        if taken[-1] == "at 3":
            raise KeyError("of the handler")

    async def careful(*whens):
        WHO.set("a")
        owned.set_exception_handler(handle)
        for when in whens:
            asyncio.create_task(fail_at(when))
        await asyncio.sleep(4)
        owned.set_exception_handler(None)
        asyncio.create_task(fail_at(1))

    run(owned, careful(1, 2, 3), start("b", 1))
    assert taken == ["at 1", "at 2", "at 3"]
    assert sorted((failure.owner, failure.error) for failure in owned.take_failures(held=False)) == [
        ("a", "KeyError: 'of the handler'"), ("a", "ValueError: at 1"), ("a", "ValueError: at 2"), ("b", "ValueError: at 1")]
    owned.create_task(careful())
    owned.create_task(fail_at(1))
    with pytest.raises(SimulationError, match="at 1"):
        owned.run_until(20)


def test_who_sets_a_handler_of_errors_finds_it_again(owned):
    """As code does that hands on what it does not know to the handler before; nobody else sees it, and what cannot be called is refused."""
    found = []

    async def careful():
        WHO.set("a")
        owned.set_exception_handler(print)
        found.append(owned.get_exception_handler())
        with pytest.raises(TypeError, match="'no'"):
            owned.set_exception_handler("no")

    async def other():
        WHO.set("b")
        found.append(owned.get_exception_handler())

    run(owned, careful(), other())
    assert found == [print, None] and owned.get_exception_handler() is None


def test_an_owners_own_handler_of_errors_goes_before_that_of_the_whole_loop(owned):
    """The errors of others are the loop's; and nobody is asked any more while the loop is closed."""
    own, common = [], []

    async def fail_late():
        try:
            await asyncio.sleep(100)
        finally:
            raise ValueError("at the end")

    async def careful():
        WHO.set("a")
        owned.set_exception_handler(lambda loop, context: own.append(str(context["exception"])))
        asyncio.create_task(fail_at(1))
        asyncio.create_task(fail_late())

    owned.set_exception_handler(lambda loop, context: common.append(str(context["exception"])))
    run(owned, careful(), start("b", 2))
    owned.close()
    gc.collect()
    assert (own, common) == (["at 1"], ["at 2"])
