"""Ordinary asyncio code on simulated time."""

import asyncio
import contextvars
import threading
from time import perf_counter

import pytest

from sim.kernel import SimLoop


def test_a_sleep_takes_its_time_and_no_real_time(loop):
    """A year of sleep is over at once, and the clock is exactly a year further."""

    async def main():
        await asyncio.sleep(365 * 86_400)
        return loop.time()

    started = perf_counter()
    assert loop.run_until_complete(main()) == 365 * 86_400
    assert perf_counter() - started < 1


def test_the_loops_own_sleep_is_the_same_as_asyncios(loop):
    """`loop.sleep` wakes at the same time and in the same order as `asyncio.sleep`; for no time it lets the others go first."""
    log = []

    async def sleeper(name, sleep, delay):
        await sleep(delay)
        log.append((name, loop.time()))

    async def main():
        await asyncio.gather(sleeper("own0", loop.sleep, 0), *(sleeper(f"{kind}{delay}", sleep, delay) for delay in (2, 1)
                               for kind, sleep in (("own", loop.sleep), ("asyncio", asyncio.sleep))))

    loop.run_until_complete(main())
    assert log == [("own0", 0), ("own1", 1), ("asyncio1", 1), ("own2", 2), ("asyncio2", 2)]


def test_a_future_set_later_wakes_its_waiters_in_order(loop):
    """Two tasks wait for one future: both get the value at the time it is set, the first to wait first."""
    future = loop.create_future()
    loop.call_later(5, future.set_result, "value")
    woken = []

    async def waiter(name):
        woken.append((name, await future, loop.time()))

    async def main():
        await asyncio.gather(waiter("first"), waiter("second"))

    loop.run_until_complete(main())
    assert woken == [("first", "value", 5), ("second", "value", 5)]


def test_a_timeout_fires_at_its_time(loop):
    """`asyncio.timeout(2)` ends a sleep of 10 at t=2, and one that is not needed leaves no trace."""

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.sleep(10)
        assert loop.time() == 2
        async with asyncio.timeout(100):
            await asyncio.sleep(1)
        await asyncio.sleep(200)
        return loop.time()

    assert loop.run_until_complete(main()) == 203


@pytest.mark.parametrize("limit", [0, -1])
def test_a_timeout_that_is_already_over_fires_at_once(loop, limit):
    """No time, or less: the first await inside is ended without the clock moving."""

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(limit):
                await asyncio.sleep(1)
        return loop.time()

    assert loop.run_until_complete(main()) == 0


def test_of_two_nested_timeouts_the_shorter_one_fires(loop):
    """The inner deadline is caught inside, and the outer one still stands."""

    async def main():
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await asyncio.sleep(5)
            await asyncio.sleep(6)
        return loop.time()

    assert loop.run_until_complete(main()) == 9


def test_a_timeout_does_not_lose_a_cancellation_that_comes_with_the_result(loop):
    """`wait_for` of Python 3.11 can swallow a cancellation in the instant in which its future is done; `timeout` does not."""
    future = loop.create_future()

    async def waiter():
        async with asyncio.timeout(10):
            await future
        return "went on"

    async def main():
        task = asyncio.create_task(waiter())
        await asyncio.sleep(1)
        future.set_result(None)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert loop.run_until_complete(main())


def test_a_queue_hands_over_in_order_and_holds_the_producer_back(loop):
    """A queue of one place: the producer waits until the consumer, who needs 1 s each, has taken the item before."""
    log = []

    async def producer(queue):
        for item in range(3):
            await queue.put(item)
            log.append(("put", item, loop.time()))

    async def consumer(queue):
        for _ in range(3):
            item = await queue.get()
            await asyncio.sleep(1)
            log.append(("done", item, loop.time()))

    async def main():
        queue = asyncio.Queue(maxsize=1)
        await asyncio.gather(producer(queue), consumer(queue))

    loop.run_until_complete(main())
    assert [entry for entry in log if entry[0] == "put"] == [("put", 0, 0), ("put", 1, 0), ("put", 2, 1)]
    assert [entry for entry in log if entry[0] == "done"] == [("done", 0, 1), ("done", 1, 2), ("done", 2, 3)]


def test_a_semaphore_lets_two_in_at_a_time(loop):
    """Five holders of 1 s through a semaphore of two end at 1, 1, 2, 2, 3, in the order in which they came."""
    ends = []

    async def holder(name, semaphore):
        async with semaphore:
            await asyncio.sleep(1)
            ends.append((name, loop.time()))

    async def main():
        semaphore = asyncio.Semaphore(2)
        await asyncio.gather(*(holder(name, semaphore) for name in "abcde"))

    loop.run_until_complete(main())
    assert ends == [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3)]


def test_a_lock_goes_round_in_the_order_of_asking(loop):
    """Three tasks, one lock, 2 s each."""
    got = []

    async def holder(name, lock):
        async with lock:
            got.append((name, loop.time()))
            await asyncio.sleep(2)

    async def main():
        lock = asyncio.Lock()
        await asyncio.gather(*(holder(name, lock) for name in "abc"))

    loop.run_until_complete(main())
    assert got == [("a", 0), ("b", 2), ("c", 4)]


def test_an_event_wakes_everyone_at_its_time(loop):
    """All waiters go on at t=4, when the event is set."""

    async def waiter(event):
        await event.wait()
        return loop.time()

    async def main():
        event = asyncio.Event()
        loop.call_later(4, event.set)
        return await asyncio.gather(waiter(event), waiter(event))

    assert loop.run_until_complete(main()) == [4, 4]


def test_gather_keeps_the_order_and_passes_the_first_error_on(loop):
    """Results stand in the order of the arguments; with `return_exceptions` an error is one of them."""

    async def work(delay):
        await asyncio.sleep(delay)
        if delay == 2:
            raise ValueError("two")
        return delay

    async def main():
        assert await asyncio.gather(work(3), work(1)) == [3, 1]
        with pytest.raises(ValueError, match="two"):
            await asyncio.gather(work(3), work(2))
        assert loop.time() == 5
        return await asyncio.gather(work(1), work(2), return_exceptions=True)

    one, error = loop.run_until_complete(main())
    assert one == 1
    assert isinstance(error, ValueError)


def test_a_task_group_cancels_the_others_when_one_fails(loop):
    """One of three fails at t=1: the other two are cancelled at t=1, not at their own ends."""
    ends = []

    async def work(name, delay):
        try:
            await asyncio.sleep(delay)
        except asyncio.CancelledError:
            ends.append((name, loop.time()))
            raise
        raise ValueError(name)

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(work("slow", 100))
            group.create_task(work("quick", 1))
            group.create_task(work("slower", 200))

    with pytest.raises(ExceptionGroup) as caught:
        loop.run_until_complete(main())
    assert [str(error) for error in caught.value.exceptions] == ["quick"]
    assert ends == [("slow", 1), ("slower", 1)]


def test_wait_reports_what_is_done_first(loop):
    """FIRST_COMPLETED comes back at the time of the first, with the others pending."""

    async def main():
        tasks = [asyncio.create_task(asyncio.sleep(delay, delay)) for delay in (3, 1, 2)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return loop.time(), [task.result() for task in done], len(pending)

    assert loop.run_until_complete(main()) == (1, [1], 2)


def test_sets_of_tasks_have_the_order_in_which_the_tasks_were_started(loop):
    """`asyncio.wait` and `TaskGroup` keep tasks in sets; here their order is no matter of addresses."""

    async def main():
        tasks = [asyncio.create_task(asyncio.sleep(1, number)) for number in range(50)]
        garbage = [object() for _ in range(1000)]
        done, _ = await asyncio.wait(reversed(tasks))
        del garbage
        return [task.result() for task in done]

    assert loop.run_until_complete(main()) == list(range(50))


def test_as_completed_starts_its_coroutines_in_the_order_of_the_list(loop):
    """asyncio itself puts them into a set, whose order follows from where they lie in memory."""
    started = []

    async def job(number):
        started.append(number)
        await asyncio.sleep(10 - number)
        return number

    async def main():
        return [await done for done in asyncio.as_completed([job(number) for number in range(8)], timeout=20)]

    assert loop.run_until_complete(main()) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert started == [0, 1, 2, 3, 4, 5, 6, 7]


def test_names_of_tasks_start_at_one_in_every_loop():
    """A log line with a task's name in it is the same in the second run of a process."""

    async def main():
        return [asyncio.create_task(asyncio.sleep(0)).get_name(), asyncio.create_task(asyncio.sleep(0), name="mine").get_name()]

    for _ in range(2):
        with SimLoop() as loop:
            assert loop.run_until_complete(main()) == ["Task-2", "mine"]


def test_functions_for_threads_run_inline_in_no_time(loop):
    """`to_thread` and `run_in_executor` call the function in this very thread; errors arrive at the caller."""

    def work(number):
        if number < 0:
            raise ValueError("negative")
        return number + 1, threading.current_thread()

    async def main():
        await asyncio.sleep(3)
        here = threading.current_thread()
        assert await asyncio.to_thread(work, 1) == (2, here)
        assert await loop.run_in_executor(None, work, 2) == (3, here)
        with pytest.raises(ValueError, match="negative"):
            await asyncio.to_thread(work, -1)
        return loop.time()

    assert loop.run_until_complete(main()) == 3


def test_each_task_has_its_own_context(loop):
    """What a task sets, its children see and its siblings do not; a callback sees what was set when it was scheduled."""
    user = contextvars.ContextVar("user", default="nobody")
    seen = []

    async def child():
        await asyncio.sleep(1)
        seen.append(user.get())

    async def parent(name):
        user.set(name)
        loop.call_later(2, lambda: seen.append(f"callback of {user.get()}"))
        await asyncio.create_task(child())
        await asyncio.to_thread(user.set, "changed in a thread")
        await asyncio.sleep(2)
        seen.append(user.get())

    async def main():
        await asyncio.gather(parent("ann"), parent("ben"))
        seen.append(user.get())

    loop.run_until_complete(main())
    assert seen == ["ann", "ben", "callback of ann", "callback of ben", "ann", "ben", "nobody"]


def test_async_generators_are_finalised(loop):
    """One that is left early runs its `finally` soon after, one that is still open at the end when the loop is closed."""
    log = []
    held = []

    async def numbers(name):
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(1)
            log.append((name, loop.time()))

    async def main():
        async for number in numbers("left early"):
            if number == 2:
                break
        await asyncio.sleep(5)
        for number in range(20):
            held.append(numbers(f"open {number}"))
            await anext(held[-1])

    loop.run_until_complete(main())
    assert log == [("left early", 1)]
    loop.close()
    assert log[1:] == [(f"open {number}", 6) for number in range(20)]
