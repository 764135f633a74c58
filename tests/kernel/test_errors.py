"""How a run ends that cannot go on: unhandled errors, deadlocks, Ctrl-C, and what belongs to the real machine."""

import asyncio
import gc
import signal
import socket
import threading

import pytest

from sim.kernel import Deadlock, NotSimulated, SimLoop, SimulationError


async def fail_at(when, error=ValueError):
    await asyncio.sleep(when)
    raise error("broken")


def test_an_error_of_the_awaited_coroutine_comes_out_as_it_is(loop):
    """`run_until_complete` raises the user's own error, with simulated time and seed as a note."""
    with pytest.raises(ValueError, match="broken") as caught:
        loop.run_until_complete(fail_at(2))
    assert caught.value.__notes__ == ["at t=2s of the simulation, seed 7"]


def test_an_unhandled_error_in_a_task_stops_the_run(loop):
    """A task that nobody awaits fails at t=2: the run ends there, and the error names time, task and seed."""

    async def main():
        loop.create_task(fail_at(2), name="payments-1")
        await asyncio.sleep(100)

    with pytest.raises(SimulationError, match=r"ValueError: broken \(unhandled at t=2s in payments-1, seed 7\)") as caught:
        loop.run_until_complete(main())
    assert isinstance(caught.value.__cause__, ValueError)
    assert (caught.value.at, caught.value.task, caught.value.seed) == (2, "payments-1", 7)
    assert loop.time() == 2


def test_an_unhandled_error_in_a_spawned_task_stops_the_run(loop):
    """The same for tasks without book-keeping, as soon as their holder lets go of them."""
    loop.spawn(fail_at(2), "worker")
    with pytest.raises(SimulationError, match=r"unhandled at t=2s in worker, seed 7"):
        loop.run_until(100)


def test_the_error_of_a_task_that_is_still_held_is_reported_with_its_own_time():
    """The holder lets go at t=10, but the task failed at t=2: that is the time to look at."""

    async def main():
        held = [asyncio.create_task(fail_at(2), name="held")]
        await asyncio.sleep(10)
        held.clear()
        await asyncio.sleep(10)

    with SimLoop(seed=7) as loop, pytest.raises(SimulationError, match="at t=2s in held"):
        loop.run_until_complete(main())
    assert loop.time() == 10


def test_the_error_of_a_task_that_is_held_to_the_end_is_not_lost():
    """Nobody ever asked for its result: leaving the `with` block raises it."""
    loop = SimLoop()
    held = loop.create_task(fail_at(2), name="held")

    def run():
        with loop:
            loop.run_until(10)

    with pytest.raises(SimulationError, match=r"ValueError: broken \(unhandled at t=2s in held"):
        run()
    assert held.done()
    assert loop.is_closed()


def test_an_error_that_was_asked_for_is_handled():
    """`gather(return_exceptions=True)`, `asyncio.wait` and `exception()` count as taking it."""

    async def main():
        await asyncio.gather(fail_at(1), return_exceptions=True)
        done, _ = await asyncio.wait([asyncio.create_task(fail_at(1))])
        assert isinstance(done.pop().exception(), ValueError)
        task = asyncio.create_task(fail_at(1))
        await asyncio.sleep(5)
        with pytest.raises(ValueError, match="broken"):
            await task
        return asyncio.get_running_loop().time()

    with SimLoop() as loop:
        assert loop.run_until_complete(main()) == 7


def test_the_error_in_the_block_itself_wins_over_an_unhandled_one():
    """Leaving the `with` block because of an error must not replace that error by another one."""
    loop = SimLoop()
    held = loop.create_task(fail_at(2))

    def run():
        with loop:
            loop.run_until(10)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run()
    assert held.done()


def test_an_error_found_while_the_loop_stands_still_ends_the_next_run(loop):
    """The last reference goes between two runs; the second one reports it before it does anything."""
    task = loop.create_task(fail_at(2), name="between")
    loop.run_until(5)
    del task
    gc.collect()
    with pytest.raises(SimulationError, match="at t=2s in between"):
        loop.run_until(20)
    assert loop.time() == 5
    loop.run_until(20)
    assert loop.time() == 20


def test_an_error_in_a_callback_stops_the_run(loop):
    """The callback is named."""

    def careless():
        raise ValueError("broken")

    for schedule in (loop.call_later, loop.after):
        schedule(3, careless)
        with pytest.raises(SimulationError, match=r"ValueError: broken .* in callback .*careless, seed 7"):
            loop.run_until(loop.time() + 3)
    assert loop.time() == 6


def test_a_handler_of_the_users_own_takes_the_errors_and_the_run_goes_on(loop):
    """`set_exception_handler` works as in asyncio, for tasks and for callbacks."""
    taken = []
    loop.set_exception_handler(lambda loop, context: taken.append((loop.time(), str(context["exception"]))))
    loop.create_task(fail_at(1))
    loop.call_later(2, lambda: 1 / 0)
    loop.run_until(5)
    assert taken == [(1, "broken"), (2, "division by zero")]


def test_a_spawned_task_that_nobody_held_does_not_go_unnoticed(loop):
    """A task destroyed while it waits is an error too, never silence."""

    async def forget():
        loop.spawn(asyncio.Event().wait(), "forgotten")
        await asyncio.sleep(1)
        gc.collect()
        await asyncio.sleep(1)

    with pytest.raises(SimulationError, match=r"destroyed but it is pending.* in forgotten"):
        loop.run_until_complete(forget())


def test_a_deadlock_lists_every_waiting_task_and_where_it_waits(loop):
    """Nothing is scheduled and five tasks wait, each for something else: the message has a line for each."""

    async def on_a_queue():
        await asyncio.Queue().get()

    async def inside(depth):
        if depth:
            await inside(depth - 1)
        else:
            await loop.create_future()

    async def on_a_lock(lock):
        async with lock:
            await asyncio.sleep(1)

    async def main():
        lock = asyncio.Lock()
        await lock.acquire()
        async with asyncio.TaskGroup() as group:
            group.create_task(on_a_queue(), name="consumer")
            group.create_task(inside(2), name="deep")
            locked = group.create_task(on_a_lock(lock), name="locked")
            group.create_task(on_a_task(locked), name="on a task")

    async def on_a_task(task):
        await task

    loop.call_later(3, lambda: None)
    with pytest.raises(Deadlock) as caught:
        loop.run_until_complete(main())
    head, *lines = str(caught.value).splitlines()
    assert head == "deadlock at t=3s, seed 7: nothing is scheduled, and 5 task(s) still wait"
    here = "test_a_deadlock_lists_every_waiting_task_and_where_it_waits.<locals>"
    for line, (name, where, what) in zip(lines, [
        ("Task-1", "main", "TaskGroup.__aexit__"), ("consumer", "on_a_queue", "Queue.get"), ("deep", "inside", "Future"),
        ("locked", "on_a_lock", "Lock.acquire"), ("on a task", "on_a_task", "task locked"),
    ], strict=True):
        assert line.startswith(f"  {name}: in {here}.{where} ({__file__}:")
        assert what in line.rsplit("waiting for ", 1)[1]


def test_running_with_nothing_to_do_is_a_deadlock_and_no_endless_loop(loop):
    """`run_forever` on an empty loop would never end."""
    with pytest.raises(Deadlock, match="0 task"):
        loop.run_forever()


def test_after_a_deadlock_the_loop_is_usable_and_closes(loop):
    """The waiting task gets its cancellation when the loop is closed."""
    log = []

    async def waiter():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    with pytest.raises(Deadlock):
        loop.run_until_complete(waiter())
    loop.run_until_complete(asyncio.sleep(1))
    loop.close()
    assert log == ["cancelled"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_passes_through_and_the_loop_can_still_be_closed(error):
    """From a task, from a callback and from a SimPy process; what was left is cleaned up."""
    cleaned = []

    async def left():
        try:
            await asyncio.sleep(1e6)
        finally:
            cleaned.append(asyncio.get_running_loop().time())

    def process(env):
        yield env.timeout(2)
        raise error

    def callback():
        raise error

    def run(start):
        with SimLoop() as loop:
            loop.create_task(left())
            start(loop)
            loop.run_until(10)

    for start in (
        lambda loop: loop.create_task(fail_at(2, error)),
        lambda loop: loop.call_at(2, callback),
        lambda loop: loop.env.process(process(loop.env)),
    ):
        with pytest.raises(error):
            run(start)
    assert cleaned == [2, 2, 2]


def test_a_real_ctrl_c_stops_a_busy_run(loop):
    """The signal arrives in the middle of a run that would take for ever."""

    async def busy():
        while True:
            await asyncio.sleep(1)

    loop.call_later(1000, signal.raise_signal, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(busy())


async def read(loop):
    await loop.sock_recv(None, 1)


@pytest.mark.parametrize(("what", "ask"), [
    ("create_connection", lambda loop: asyncio.open_connection("localhost", 80)),
    ("create_server", lambda loop: asyncio.start_server(lambda *_: None, port=0)),
    ("getaddrinfo", lambda loop: loop.getaddrinfo("localhost", 80)),
    ("sock_recv", read),
    ("create_datagram_endpoint", lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol)),
])
def test_sockets_are_refused_with_the_way_out(loop, what, ask):
    """The error names what was asked for, and the simulated network."""

    async def main():
        await ask(loop)

    with pytest.raises(NotSimulated, match=f"^{what} is not part of a simulation: send requests over the simulated network"):
        loop.run_until_complete(main())


def test_watching_a_real_socket_is_refused(loop):
    """`add_reader` on a real file descriptor."""
    with socket.socket() as real, pytest.raises(NotSimulated, match="add_reader"):
        loop.add_reader(real, lambda: None)


@pytest.mark.parametrize("start", [asyncio.create_subprocess_exec, asyncio.create_subprocess_shell])
def test_subprocesses_are_refused(loop, start):
    """A process lives in real time."""

    async def main():
        await start("true")

    with pytest.raises(NotSimulated, match=r"subprocess_\w+ is not part of a simulation: model the process"):
        loop.run_until_complete(main())


def test_signals_are_refused(loop):
    """asyncio's way needs a real loop; the error says what works."""
    with pytest.raises(NotSimulated, match=r"add_signal_handler .* use signal\.signal"):
        loop.add_signal_handler(signal.SIGTERM, lambda: None)


def test_a_callback_from_another_thread_is_refused(loop):
    """It would come at a real time, different in every run."""
    errors = []

    def other_thread():
        try:
            loop.call_soon_threadsafe(lambda: None)
        except NotSimulated as error:
            errors.append(str(error))

    async def main():
        loop.call_soon_threadsafe(lambda: None)  # from the loop's own thread it is as good as call_soon
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()

    loop.run_until_complete(main())
    assert errors == ["a callback from another thread is not part of a simulation: threads live in real time; use tasks"]
