"""Starting, stopping and resuming the loop."""

import asyncio

import pytest

from sim.kernel import SimLoop


def test_the_loop_runs_again_after_a_run_and_time_goes_on(loop):
    """A second `run_until_complete` starts where the first one ended."""
    loop.run_until_complete(asyncio.sleep(3))
    loop.run_until_complete(asyncio.sleep(4))
    assert loop.time() == 7


def test_a_loop_inside_a_running_loop_is_refused(loop):
    """As in asyncio: neither the same loop nor another one can be run by code that a loop is running."""

    async def main():
        with SimLoop() as other:
            for inner in (loop, other):
                waiting = asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="running"):
                    inner.run_until_complete(waiting)
                waiting.close()

    loop.run_until_complete(main())


def test_asyncios_runner_takes_the_loop():
    """`asyncio.Runner(loop_factory=SimLoop)` runs, cancels what is left and closes."""
    cancelled = []

    async def left():
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            cancelled.append(asyncio.get_running_loop().time())
            raise

    async def main():
        asyncio.create_task(left())  # noqa: RUF006
        await asyncio.sleep(10)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        assert runner.run(main()) == 10
    assert cancelled == [10]


def test_asyncios_debug_mode_changes_nothing(loop):
    """`PYTHONASYNCIODEBUG` and `-X dev` run the same program."""
    loop.set_debug(True)

    async def main():
        async with asyncio.timeout(9), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(2))
            group.create_task(asyncio.to_thread(int))
        return loop.time()

    assert loop.run_until_complete(main()) == 2


def test_run_until_leaves_the_clock_exactly_there(loop):
    """What is due at that time still runs, what is due later does not, and the next call goes on from there."""
    log = []
    for at in (1, 2.5, 2.6):
        loop.call_at(at, log.append, at)
    loop.run_until(2.5)
    assert (log, loop.time()) == ([1, 2.5], 2.5)
    loop.run_until(10)
    assert (log, loop.time()) == ([1, 2.5, 2.6], 10)
    loop.run_until(10)
    assert loop.time() == 10


def test_run_until_refuses_to_go_back(loop):
    """The past, and a time that is no number, are mistakes of the caller."""
    loop.run_until(5)
    for wrong in (4, float("nan")):
        with pytest.raises(ValueError, match="t=5s already"):
            loop.run_until(wrong)
    assert loop.time() == 5


def test_run_until_is_no_deadlock_for_waiting_tasks(loop):
    """Servers wait for ever; that is their work."""
    loop.create_task(asyncio.Event().wait())
    loop.run_until(100)
    assert loop.time() == 100


def test_stop_ends_run_until_early(loop):
    """After `loop.stop()` the clock stays where it was, and the rest can be run later."""
    log = []
    loop.call_later(1, loop.stop)
    loop.call_later(2, log.append, "later")
    loop.run_until(5)
    assert (loop.time(), log) == (1, [])
    loop.run_until(5)
    assert (loop.time(), log) == (5, ["later"])


def test_a_task_factory_is_respected(loop):
    """Instrumentation that installs its own task factory gets to make the tasks."""
    made = []

    def factory(loop, coro, **options):
        made.append(coro.__name__)
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    loop.run_until_complete(asyncio.sleep(1))
    assert made == ["sleep"]
