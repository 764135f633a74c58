"""At equal times, what was asked for first runs first, whoever asked: asyncio's timers, callbacks and sleeps, or SimPy's events."""

import asyncio
import heapq
import itertools
from functools import partial

import simpy
from hypothesis import given
from hypothesis import strategies as st

from sim.kernel import SimLoop


def test_equal_times_run_in_the_order_of_asking(loop):
    """Timers, `call_soon`, kernel callbacks and SimPy timeouts for one moment run as they were scheduled."""
    log = []

    def note(name, *_):
        log.append(name)

    def at_one():
        note("timer 1")
        loop.call_soon(note, "asked for at t=1: call_soon")
        loop.env.timeout(0).callbacks.append(partial(note, "asked for at t=1: simpy event"))
        loop.call_later(0, note, "asked for at t=1: call_later(0)")
        loop.after(0, note, "asked for at t=1: after(0)")
        loop.call_at(0.5, note, "asked for at t=1: for the past")

    loop.call_later(1, at_one)
    loop.env.timeout(1).callbacks.append(partial(note, "simpy 2"))
    loop.after(1, note, "after 3")
    loop.sleep(1).add_done_callback(partial(note, "callback of sleep 4"))
    loop.call_at(1, note, "timer 5")
    loop.run_until(1)
    assert log == [
        "timer 1", "simpy 2", "after 3", "timer 5",
        "asked for at t=1: call_soon", "asked for at t=1: simpy event", "asked for at t=1: call_later(0)",
        "asked for at t=1: after(0)", "asked for at t=1: for the past",
        "callback of sleep 4",
    ]


def test_a_delay_too_short_for_the_clock_waits_its_turn(loop):
    """1e-20 s after t=1 is t=1: it runs after what was asked for before it, however it was asked for."""
    log = []

    def at_one():
        loop.call_soon(log.append, "first")
        loop.call_later(1e-20, log.append, "second")
        loop.after(1e-20, log.append, "third")
        loop.env.timeout(1e-20).callbacks.append(lambda _: log.append("fourth"))
        loop.sleep(1e-20).add_done_callback(lambda _: log.append("sixth"))
        loop.call_soon(log.append, "fifth")

    loop.call_at(1, at_one)
    loop.run_until(1)
    assert log == ["first", "second", "third", "fourth", "fifth", "sixth"]


def test_an_interrupt_comes_before_everything_else_of_its_time(loop):
    """SimPy's urgent events overtake, as they do in SimPy."""
    log = []

    def process():
        try:
            yield loop.env.timeout(10)
        except simpy.Interrupt as interrupt:
            log.append(interrupt.cause)

    waiting = loop.env.process(process())

    def interrupt():
        loop.call_soon(log.append, "soon")
        waiting.interrupt("interrupted")

    loop.call_later(1, interrupt)
    loop.run_until(2)
    assert log == ["interrupted", "soon"]


# a program is a tree: each node waits for its delay in its own way, notes its number, and then starts its children

WAYS = ("call_later", "call_at", "after", "post", "simpy", "call_soon")
DELAYS = st.sampled_from([0, 0, 0.1, 0.125, 0.1875, 0.2, 0.30000000000000004, 0.3, 1, 5, 1e-20])
NODE = st.recursive(
    st.tuples(st.sampled_from(WAYS), DELAYS, st.just([])),
    lambda children: st.tuples(st.sampled_from(WAYS), DELAYS, st.lists(children, max_size=4)),
    max_leaves=25,
)


def on_the_loop(roots):
    """The order in which a SimLoop runs the nodes, each with its time."""
    with SimLoop() as loop:
        log, numbers = [], itertools.count()

        def start(way, delay, children):
            def run(number, *_):
                log.append((loop.time(), number))
                for child in children:
                    start(*child)

            run = partial(run, next(numbers))
            if way == "simpy":
                loop.env.timeout(delay).callbacks.append(run)
            elif way == "call_soon":
                loop.call_soon(run)
            elif way == "call_at":
                loop.call_at(loop.time() + delay, run)
            else:
                getattr(loop, way)(delay, run)

        for root in roots:
            start(*root)
        loop.run_until(1e3)
        return log


def on_paper(roots):
    """The same by the rule alone: a heap of (time, number in the order of asking)."""
    log, numbers, heap = [], itertools.count(), []

    def start(now, way, delay, children):
        heapq.heappush(heap, (now if way == "call_soon" else now + delay, next(numbers), children))

    for root in roots:
        start(0.0, *root)
    while heap:
        now, number, children = heapq.heappop(heap)
        log.append((now, number))
        for child in children:
            start(now, *child)
    return log


@given(st.lists(NODE, max_size=6))
def test_any_program_runs_in_the_order_of_time_and_asking(roots):
    """Whatever is scheduled in whatever way, the loop agrees with a sorted list of (time, order of asking)."""
    assert on_the_loop(roots) == on_paper(roots)


def simpy_program(env, plan, log):
    """Processes that wait, interrupt each other, and pass a resource around; *plan* holds their delays."""
    resource = simpy.Resource(env, capacity=1)

    def worker(number, delays):
        for delay in delays:
            try:
                yield env.timeout(delay)
                with resource.request() as request:
                    yield request | env.timeout(0.2)
                    log.append((env.now, number, request.triggered))
                    yield env.timeout(delay / 2)
            except simpy.Interrupt as interrupt:
                log.append((env.now, number, f"interrupted by {interrupt.cause}"))

    workers = [env.process(worker(number, delays)) for number, delays in enumerate(plan)]

    def troublemaker():
        for victim in workers:
            yield env.timeout(0.1)
            if victim.is_alive:
                victim.interrupt("troublemaker")

    env.process(troublemaker())


@given(st.lists(st.lists(st.sampled_from([0, 0.1, 0.2, 0.3]), max_size=4), max_size=5))
def test_a_simpy_program_runs_as_in_simpy(plan):
    """The same processes on SimPy's own environment and on the loop's leave the same log."""
    env, alone, beside = simpy.Environment(), [], []
    simpy_program(env, plan, alone)
    env.run(until=100)
    with SimLoop() as loop:
        simpy_program(loop.env, plan, beside)
        loop.run_until(100)
    assert beside == alone


def test_tasks_take_turns_in_the_order_of_their_start(loop):
    """A hundred tasks that all sleep 0.1 s three times: each round in the same order."""
    log = []

    async def sleeper(number):
        for _ in range(3):
            await asyncio.sleep(0.1)
            log.append(number)

    async def main():
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(sleeper(number))

    loop.run_until_complete(main())
    assert log == [*range(100)] * 3
