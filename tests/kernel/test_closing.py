"""Live tasks stay alive, and what is left at the end is closed in order."""

import asyncio
import contextlib
import gc
import warnings
import weakref

import pytest

from sim.kernel import SimLoop


def test_a_task_that_nobody_refers_to_runs_to_its_end(loop):
    """asyncio holds tasks weakly; here a collection in the middle of the run takes none away."""
    log = []

    class Ring:
        """A task, and a future only that task knows: a cycle that nothing outside refers to."""

        async def run(self, name):
            self.task = asyncio.current_task()
            self.answer = loop.create_future()
            weakref.finalize(self.answer, log.append, f"{name}: collected")
            ring = weakref.ref(self)
            loop.env.timeout(2).callbacks.append(lambda _: ring() and ring().answer.set_result(name))
            try:
                log.append(await self.answer)
            finally:
                log.append(f"{name}: end")

    async def main():
        for name in "abc":
            asyncio.create_task(Ring().run(name))  # noqa: RUF006
        await asyncio.sleep(1)
        gc.collect()
        await asyncio.sleep(5)

    loop.run_until_complete(main())
    assert [entry for entry in log if "collected" not in entry] == ["a", "a: end", "b", "b: end", "c", "c: end"]


def test_finished_tasks_are_let_go(loop):
    """The loop's book-keeping does not grow with the tasks that were."""

    async def main():
        for _ in range(1000):
            await asyncio.create_task(asyncio.sleep(0.01))

    loop.run_until_complete(main())
    loop.run_until(100)
    assert not loop._kept
    assert not loop._failed


def test_what_is_left_is_cancelled_in_the_order_of_its_start():
    """Three tasks still sleep at the end: each runs its `finally`, first started first."""
    log = []

    async def sleeper(name):
        try:
            await asyncio.sleep(1e6)
        finally:
            log.append(name)

    with SimLoop() as loop:
        for name in "abc":
            loop.create_task(sleeper(name))
        loop.run_until(1)
        assert log == []
    assert log == ["a", "b", "c"]


def test_spawned_tasks_are_closed_too():
    """`spawn` keeps no reference, but a task that its caller still holds is cancelled at the end all the same."""
    log = []

    async def sleeper():
        try:
            await asyncio.sleep(1e6)
        finally:
            log.append("closed")

    with SimLoop() as loop:
        held = loop.spawn(sleeper(), "sleeper")
        loop.run_until(1)
    assert held.cancelled()
    assert log == ["closed"]


def test_cleaning_up_may_take_simulated_time():
    """A `finally` that sleeps, and one that starts a task and waits for it, come to their ends."""
    log = []

    async def slow_to_go(loop):
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(2)
            await asyncio.create_task(asyncio.sleep(1))
            log.append(loop.time())

    with SimLoop() as loop:
        loop.create_task(slow_to_go(loop))
        loop.run_until(10)
    assert log == [13]


def test_a_task_that_will_not_go_does_not_hold_the_end_up():
    """One that swallows every cancellation is left behind after the time of grace."""

    async def stubborn():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

    with SimLoop() as loop:
        loop.create_task(stubborn())
        loop.run_until(5)
    assert loop.is_closed()
    assert loop.time() < 5 + 1000


def test_nothing_new_begins_while_closing():
    """Timers of the future are dropped: an arrival at t=20 does not come in because a task cleans up until t=50."""
    log = []

    async def slow_to_go():
        try:
            await asyncio.sleep(1e6)
        finally:
            await asyncio.sleep(40)
            log.append("gone")

    with SimLoop() as loop:
        loop.create_task(slow_to_go())
        loop.call_at(20, log.append, "arrival")
        loop.env.timeout(30).callbacks.append(lambda _: log.append("simpy"))
        loop.run_until(10)
    assert log == ["gone"]


def test_errors_while_cleaning_up_are_dropped():
    """The run is over; a `finally` that breaks, and a callback that does, must not hide its result."""

    async def breaks():
        try:
            await asyncio.sleep(1e6)
        finally:
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            raise ValueError("in the finally")

    with SimLoop() as loop:
        loop.create_task(breaks())
        loop.run_until(1)
    assert loop.is_closed()


def test_closing_twice_is_fine_and_closing_while_running_is_not(loop):
    """As in asyncio."""

    async def main():
        with pytest.raises(RuntimeError, match="running"):
            loop.close()
        await asyncio.sleep(1)

    loop.run_until_complete(main())
    loop.close()
    loop.close()
    nothing = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        loop.create_task(nothing)
    nothing.close()


def test_a_loop_that_is_thrown_away_says_so_and_runs_nothing():
    """A forgotten loop is collected at any moment: it warns, and no task runs in that moment."""
    log = []

    async def sleeper():
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            log.append("ran")
            raise

    loop = SimLoop()
    loop.create_task(sleeper())
    loop.run_until(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    assert any(issubclass(warning.category, ResourceWarning) and "with SimLoop()" in str(warning.message) for warning in caught)
    assert log == []
