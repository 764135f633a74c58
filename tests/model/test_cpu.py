"""Processor sharing: everybody who works gets an equal part of the cores, and never more than one."""

from __future__ import annotations

import asyncio
import random

import pytest

from sim.kernel import SimLoop
from sim.model.cpu import Cpu
from tests.model.small_runs import answers, at, ran


def ends(cores, jobs, meddle=lambda loop, cpu, tasks: None):
    """When each of *jobs* (start, seconds of work) is done; None for one that was cancelled. *meddle* arranges what else happens."""
    with SimLoop() as loop:
        cpu = Cpu(loop, cores)

        async def job(start, work):
            await asyncio.sleep(start)
            await cpu.work(work)
            return loop.time()

        async def everything():
            tasks = [loop.create_task(job(*one)) for one in jobs]
            meddle(loop, cpu, tasks)
            return await asyncio.gather(*tasks, return_exceptions=True)

        times = loop.run_until_complete(everything())
        assert cpu.used(loop.time()) == pytest.approx(cpu.used(1e9)), "nobody works any more"
        return [None if isinstance(time, asyncio.CancelledError) else time for time in times]


def test_alone_a_job_takes_its_work():
    """However many cores there are: it can use only one."""
    assert ends(1, [(0, 3)]) == ends(8, [(0, 3)]) == [3]


def test_two_jobs_on_one_core_take_turns_faster_than_one_can_see():
    """3 s and 1 s at once: the short one ends at 2, the long one at 4."""
    assert ends(1, [(0, 3), (0, 1)]) == pytest.approx([4, 2])


def test_who_comes_later_shares_from_then_on():
    """One job of 2 s; after a second another of 2 s: the first has 1 s left, which takes 2."""
    assert ends(1, [(0, 2), (1, 2)]) == pytest.approx([3, 4])


def test_jobs_do_not_disturb_each_other_while_there_are_cores():
    """Two jobs on two cores; a third makes all of them slower by a third."""
    assert ends(2, [(0, 1), (0, 2)]) == [1, 2]
    assert ends(2, [(0, 2), (0, 2), (0, 2)]) == pytest.approx([3, 3, 3])


def test_part_of_a_core():
    """Half a core takes twice as long."""
    assert ends(0.5, [(0, 1)]) == [2] and ends(1.5, [(0, 3), (0, 3)]) == pytest.approx([4, 4])


def test_equal_jobs_end_in_the_order_in_which_they_came():
    """At the same instant."""
    order = []
    with SimLoop() as loop:
        cpu = Cpu(loop, 1)
        for number in range(5):
            cpu.work(1).add_done_callback(lambda done, number=number: order.append((number, loop.time())))
        loop.run_until(10)
    assert [number for number, _ in order] == [0, 1, 2, 3, 4] and {time for _, time in order} == {5}


def test_no_work_takes_no_time():
    """And nobody else's."""
    assert ends(1, [(0, 2), (1, 0)]) == [2, 1]


def test_who_is_cancelled_leaves_its_part_to_the_others():
    """2 s and 2 s at once; at 1 s the second is cancelled: the first has 1.5 s left, and the core for itself."""
    def meddle(loop, cpu, tasks):
        loop.call_later(1, tasks[1].cancel)

    assert ends(1, [(0, 2), (0, 2)], meddle) == [2.5, None]


def test_a_job_that_is_cancelled_as_it_ends_harms_nobody():
    """In the same instant."""
    def meddle(loop, cpu, tasks):
        loop.call_later(1, tasks[0].cancel)

    assert ends(1, [(0, 1), (1, 1)], meddle)[1] == 2


def test_a_slower_cpu_does_less_for_all_from_now_on():
    """Half as fast from 1 s on: of two jobs of 2 s on one core, 3 s are left, which take 6."""
    def meddle(loop, cpu, tasks):
        loop.call_later(1, cpu.set_speed, 0.5)

    assert ends(1, [(0, 2), (0, 2)], meddle) == pytest.approx([7, 7])


def test_a_cpu_that_stands_still_does_nothing():
    """For 5 s by a stop, or by a speed of 0: all is later by as much, and the speed is what it was."""
    def stop(loop, cpu, tasks):
        loop.call_later(1, cpu.stop)
        loop.call_later(6, cpu.go_on)

    def freeze(loop, cpu, tasks):
        loop.call_later(1, cpu.set_speed, 0.0)
        loop.call_later(6, cpu.set_speed, 1.0)

    assert ends(1, [(0, 2), (3, 1)], stop) == ends(1, [(0, 2), (3, 1)], freeze) == [8, 8]


def test_use_is_the_cores_that_work():
    """One job on two cores uses one; three jobs use two; standing still uses none."""
    with SimLoop() as loop:
        cpu = Cpu(loop, 2)
        cpu.work(1)
        loop.run_until(1)
        assert cpu.used(1) == 1
        for _ in range(3):
            cpu.work(2)
        loop.run_until(2)
        assert cpu.used(2) == pytest.approx(3)
        cpu.stop()
        loop.run_until(9)
        assert cpu.used(9) == pytest.approx(3)


@pytest.mark.parametrize("seed", range(5))
def test_any_jobs_end_when_arithmetic_says(seed):
    """Random jobs, some of which are cancelled, against a simulation in small steps of equal sharing."""
    dice = random.Random(seed)
    cores = dice.choice([1, 2, 3.5])
    jobs = [(dice.randint(0, 60) / 10, dice.randint(1, 30) / 10) for _ in range(12)]
    cancelled = {number: dice.randint(1, 100) / 10 for number in range(0, 12, 4)}

    def meddle(loop, cpu, tasks):
        for number, when in cancelled.items():
            loop.call_later(when, tasks[number].cancel)

    expected = shared(cores, jobs, cancelled)
    for found, wanted in zip(ends(cores, jobs, meddle), expected, strict=True):
        assert found == (wanted if wanted is None else pytest.approx(wanted, abs=1e-6))


def shared(cores, jobs, cancelled):
    """The end of each job by going from event to event."""
    left, now, done = [work for _, work in jobs], 0.0, [None] * len(jobs)
    over = [False] * len(jobs)
    while not all(over):
        inside = [number for number, (start, _) in enumerate(jobs) if start <= now and not over[number]]
        rate = min(1.0, cores / len(inside)) if inside else 0.0
        coming = [start for start, _ in jobs if start > now]
        coming += [when for number, when in cancelled.items() if when > now and not over[number]]
        until = min([*coming, *(now + left[number] / rate for number in inside)])
        for number in inside:
            left[number] -= (until - now) * rate
            if left[number] < 1e-9:
                over[number], done[number] = True, until
        now = until
        for number, when in cancelled.items():
            if when <= now and not over[number]:
                over[number] = True
    return done


def test_a_service_with_cores_shares_them():
    """Two requests of 100 ms at once on one core take 200 ms each; `sleep` takes a worker and no core."""
    api = {"cpu": {"cores": 1}, "workers": 8, "endpoints": {"GET /": [{"work": "100ms"}], "POST /": [{"sleep": "100ms"}]}}
    loads = {"users": at("0s", "0s"), "sleepers": at("0s", "0s", "0s", send="POST /")}
    result = ran({"api": api}, loads, latency="0ms")
    assert answers(result, "users") == [("200", 200.0)] * 2 and answers(result, "sleepers") == [("200", 100.0)] * 3


def test_a_user_who_gives_up_leaves_the_core_to_others():
    """With on_caller_gone: cancel. Two of 100 ms; one user leaves after 50 ms: the other has 75 ms left, and the core to itself."""
    api = {"cpu": {"cores": 1}, "on_caller_gone": "cancel", "endpoints": {"GET /": [{"work": "100ms"}]}}
    result = ran({"api": api}, {"users": at("0s"), "hasty": at("0s", timeout="50ms")}, latency="0ms")
    assert answers(result, "hasty") == [("timeout", 50.0)] and answers(result, "users") == [("200", 125.0)]
