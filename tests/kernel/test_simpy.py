"""SimPy and asyncio side by side: each can wait for the other, and failures cross over."""

import asyncio

import pytest
import simpy

from sim.kernel import Deadlock, SimulationError


def test_a_task_awaits_a_simpy_timeout(loop):
    """`await env.timeout(3, value)` takes 3 s and gives the value."""

    async def main():
        return await loop.env.timeout(3, "value"), loop.time()

    assert loop.run_until_complete(main()) == ("value", 3)


def test_a_task_awaits_a_process_and_gets_what_it_returns(loop):
    """Also twice, and also after it has ended."""

    def process():
        yield loop.env.timeout(2)
        return "done"

    async def main():
        running = loop.env.process(process())
        assert await running == "done"
        await asyncio.sleep(1)
        return await running, loop.time()

    assert loop.run_until_complete(main()) == ("done", 3)


def test_a_failure_of_a_process_arrives_in_the_task(loop):
    """It is handled there, so that the run goes on; asked again, the process fails again."""

    def process():
        yield loop.env.timeout(2)
        raise ValueError("broken")

    async def main():
        running = loop.env.process(process())
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await running
        await asyncio.sleep(1)
        return loop.time()

    assert loop.run_until_complete(main()) == 3


def test_a_failure_of_a_process_that_nobody_awaits_stops_the_run(loop):
    """The error names the process and the time."""

    def careless():
        yield loop.env.timeout(2)
        raise ValueError("broken")

    loop.env.process(careless())
    with pytest.raises(SimulationError, match=r"ValueError: broken \(unhandled at t=2s in Process\(careless\), seed 7\)"):
        loop.run_until(10)


def test_a_failure_that_comes_after_the_waiter_has_left_is_nobodys(loop):
    """The task that awaited the process was cancelled before: the failure is unhandled, as in SimPy."""

    def careless():
        yield loop.env.timeout(2)
        raise ValueError("broken")

    async def main():
        running = loop.env.process(careless())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await running
        await asyncio.sleep(10)

    with pytest.raises(SimulationError, match="ValueError: broken"):
        loop.run_until_complete(main())


def test_an_interrupted_process_fails_for_the_task_that_awaits_it(loop):
    """An interrupt that the process does not catch arrives with its cause."""

    def process():
        yield loop.env.timeout(10)

    async def main():
        running = loop.env.process(process())
        loop.call_later(1, running.interrupt, "enough")
        with pytest.raises(simpy.Interrupt) as caught:
            await running
        return caught.value.cause, loop.time()

    assert loop.run_until_complete(main()) == ("enough", 1)


def test_a_process_waits_for_a_coroutine(loop):
    """`loop.as_event` makes an event of anything that can be awaited; its value is the result."""
    log = []

    async def work():
        await asyncio.sleep(3)
        return "result"

    def process():
        log.append((yield loop.as_event(work())))
        log.append((yield loop.as_event(loop.sleep(1))))
        log.append(loop.env.now)

    loop.env.process(process())
    loop.run_until(10)
    assert log == ["result", None, 4]


def test_a_failure_of_a_coroutine_arrives_in_the_process(loop):
    """Errors and cancellation are thrown into the generator, which may handle them."""
    log = []

    async def work():
        await asyncio.sleep(1)
        raise ValueError("broken")

    def process():
        try:
            yield loop.as_event(work())
        except ValueError as error:
            log.append((str(error), loop.time()))
        sleeping = loop.create_task(asyncio.sleep(100))
        loop.call_later(1, sleeping.cancel)
        try:
            yield loop.as_event(sleeping)
        except asyncio.CancelledError:
            log.append(("cancelled", loop.time()))

    loop.env.process(process())
    loop.run_until(10)
    assert log == [("broken", 1), ("cancelled", 2)]


def test_a_failure_of_a_coroutine_that_the_process_does_not_handle_stops_the_run(loop):
    """The process fails with it, and nobody waits for the process."""

    async def work():
        raise ValueError("broken")

    def process():
        yield loop.as_event(work())

    loop.env.process(process())
    with pytest.raises(SimulationError, match=r"ValueError: broken .* in Process\(process\)"):
        loop.run_until(10)


def test_a_process_that_waits_for_a_coroutine_can_be_interrupted(loop):
    """The interrupt comes through at once; the coroutine goes on to its own end."""
    log = []

    async def work():
        await asyncio.sleep(5)
        log.append(("work", loop.time()))

    def process():
        try:
            yield loop.as_event(work())
        except simpy.Interrupt as interrupt:
            log.append((interrupt.cause, loop.time()))

    running = loop.env.process(process())
    loop.call_later(2, running.interrupt, "enough")
    loop.run_until(10)
    assert log == [("enough", 2), ("work", 5)]


def test_tasks_and_processes_share_a_resource(loop):
    """One place, asked for by turns from both sides: first come, first served."""
    resource = simpy.Resource(loop.env, capacity=1)
    log = []

    async def task(name):
        with resource.request() as request:
            await request
            log.append((name, loop.time()))
            await asyncio.sleep(1)

    def process(name):
        with resource.request() as request:
            yield request
            log.append((name, loop.time()))
            yield loop.env.timeout(1)

    async def main():
        tasks = []
        for number in range(2):
            tasks.append(asyncio.create_task(task(f"task {number}")))
            await asyncio.sleep(0.1)
            loop.env.process(process(f"process {number}"))
            await asyncio.sleep(0.1)
        await asyncio.sleep(10)

    loop.run_until_complete(main())
    assert log == [("task 0", 0), ("process 0", 1), ("task 1", 2), ("process 1", 3)]


def test_a_cancelled_task_gives_its_place_in_the_line_back(loop):
    """`with resource.request()` and a timeout: who left the line is not served, and who comes after is."""
    resource = simpy.Resource(loop.env, capacity=1)
    log = []

    async def task(name, patience):
        with resource.request() as request:
            async with asyncio.timeout(patience):
                await request
                log.append((name, loop.time()))
                await asyncio.sleep(2)

    async def main():
        return await asyncio.gather(task("first", 9), task("impatient", 1), task("third", 9), return_exceptions=True)

    results = loop.run_until_complete(main())
    assert [type(result) for result in results] == [type(None), TimeoutError, type(None)]
    assert log == [("first", 0), ("third", 2)]
    assert resource.count == 0


def test_stores_and_conditions_can_be_awaited(loop):
    """A store hands an item from a process to a task; `a | b` and `a & b` come back with what happened."""
    env = loop.env
    store = simpy.Store(env)

    def producer():
        yield env.timeout(1)
        yield store.put("item")

    async def main():
        env.process(producer())
        assert await store.get() == "item"
        quick, slow = env.timeout(1, "quick"), env.timeout(2, "slow")
        assert (await (quick | slow)).todict() == {quick: "quick"}
        assert loop.time() == 2
        assert (await (quick & slow)).todict() == {quick: "quick", slow: "slow"}
        return loop.time()

    assert loop.run_until_complete(main()) == 3


def test_an_event_of_another_environment_is_refused(loop):
    """It would never happen here: neither one of plain SimPy, nor one of this loop on asyncio's own."""

    async def main(event):
        await event

    with pytest.raises(RuntimeError, match="another environment"):
        loop.run_until_complete(main(simpy.Environment().timeout(1)))
    with pytest.raises(RuntimeError, match="another environment"):
        asyncio.run(main(loop.env.timeout(1)))


def test_the_environment_is_run_by_the_loop_alone(loop):
    """`env.run` and `env.step` would take timers out of the queue that they do not know; the error says what to call."""
    for wrong in (loop.env.run, loop.env.step, lambda: loop.env.run(until=5)):
        with pytest.raises(RuntimeError, match="run_until"):
            wrong()


def test_peek_tells_when_the_next_thing_is_due(loop):
    """Something due now counts; nothing at all is infinity."""
    assert loop.env.peek() == float("inf")
    loop.call_later(3, lambda: None)
    assert loop.env.peek() == 3
    loop.env.event().succeed()
    assert loop.env.peek() == 0


def test_a_deadlock_names_the_event_that_a_task_waits_for(loop):
    """A task that awaits a SimPy event nobody triggers is listed with its place and that event."""

    async def patient():
        await loop.env.event()

    with pytest.raises(Deadlock, match=r"in test_a_deadlock.*patient \(.*test_simpy.py:\d+\), waiting for Event\(\)"):
        loop.run_until_complete(patient())
