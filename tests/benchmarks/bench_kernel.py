"""How fast the kernel is: timers, sleeps and tasks per second, beside a plain asyncio loop on virtual time and SimPy itself.

    python tests/benchmarks/bench_kernel.py [COUNT]

Every row does the same work in one process, in turns; the best of three turns counts, so that a busy machine disturbs the ratios
less than the figures. The last column is the ratio to the plain asyncio loop, the fair comparison for asyncio code.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import simpy

from sim.kernel import SimLoop

CHAINS = 1000  # timers, sleepers or spawners that are alive at the same time
TURNS = 3


class _SkipTime(selectors.SelectSelector):
    """A selector that never waits: it moves the clock on by as long as it was asked to."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += timeout or 0.0
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, its own heap and handles, on a clock that jumps: the usual way to test with virtual time."""

    def __init__(self) -> None:
        self._skip = _SkipTime()
        super().__init__(self._skip)

    def time(self) -> float:
        return self._skip.now


# timers: a callback that asks for the next one


def timers_of_a_loop(make_loop: Callable[[], Any], method: str, count: int) -> None:
    loop = make_loop()
    later = getattr(loop, method)
    left = count

    def fire(delay: float) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            later(delay, fire, delay)
        elif left == 0:
            loop.stop()

    for chain in range(CHAINS):
        later(chain / CHAINS, fire, 1 + chain / CHAINS)
    loop.run_forever()
    loop.close()


def timers_of_simpy(count: int) -> None:
    env = simpy.Environment()
    left = count
    done = env.event()

    def fire(delay: float, _: simpy.Event) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            env.timeout(delay).callbacks.append(partial(fire, delay))
        elif left == 0:
            done.succeed()

    for chain in range(CHAINS):
        env.timeout(chain / CHAINS).callbacks.append(partial(fire, 1 + chain / CHAINS))
    env.run(done)


# sleeps: a task that sleeps again and again


def sleeps_of_a_loop(make_loop: Callable[[], Any], own: bool, count: int) -> None:
    loop = make_loop()
    sleep = loop.sleep if own else asyncio.sleep

    async def sleeper(delay: float) -> None:
        for _ in range(count // CHAINS):
            await sleep(delay)

    async def main() -> None:
        await asyncio.gather(*(sleeper(1 + chain / CHAINS) for chain in range(CHAINS)))

    loop.run_until_complete(main())
    loop.close()


def sleeps_of_simpy(count: int) -> None:
    env = simpy.Environment()

    def sleeper(delay: float) -> Any:
        for _ in range(count // CHAINS):
            yield env.timeout(delay)

    env.run(env.all_of([env.process(sleeper(1 + chain / CHAINS)) for chain in range(CHAINS)]))


# tasks: a task that starts another one, which sleeps once, and waits for it


def tasks_of_a_loop(make_loop: Callable[[], Any], own: bool, count: int) -> None:
    loop = make_loop()
    start = partial(loop.spawn, name="work") if own else loop.create_task
    sleep = loop.sleep if own else asyncio.sleep

    async def work(delay: float) -> None:
        await sleep(delay)

    async def spawner(delay: float) -> None:
        for _ in range(count // CHAINS):
            await start(work(delay))

    async def main() -> None:
        await asyncio.gather(*(spawner(1 + chain / CHAINS) for chain in range(CHAINS)))

    loop.run_until_complete(main())
    loop.close()


def tasks_of_simpy(count: int) -> None:
    env = simpy.Environment()

    def work(delay: float) -> Any:
        yield env.timeout(delay)

    def spawner(delay: float) -> Any:
        for _ in range(count // CHAINS):
            yield env.process(work(delay))

    env.run(env.all_of([env.process(spawner(1 + chain / CHAINS)) for chain in range(CHAINS)]))


Row = tuple[str, Callable[[int], None]]

ROWS: dict[str, list[Row]] = {
    "timers/s": [
        ("plain asyncio, virtual time", partial(timers_of_a_loop, VirtualTimeLoop, "call_later")),
        ("SimPy callbacks", timers_of_simpy),
        ("SimLoop.call_later", partial(timers_of_a_loop, SimLoop, "call_later")),
        ("SimLoop.after", partial(timers_of_a_loop, SimLoop, "after")),
    ],
    "sleeps/s": [
        ("plain asyncio, virtual time", partial(sleeps_of_a_loop, VirtualTimeLoop, False)),
        ("SimPy processes", sleeps_of_simpy),
        ("SimLoop, asyncio.sleep", partial(sleeps_of_a_loop, SimLoop, False)),
        ("SimLoop.sleep", partial(sleeps_of_a_loop, SimLoop, True)),
    ],
    "tasks/s": [
        ("plain asyncio, virtual time", partial(tasks_of_a_loop, VirtualTimeLoop, False)),
        ("SimPy processes", tasks_of_simpy),
        ("SimLoop, create_task", partial(tasks_of_a_loop, SimLoop, False)),
        ("SimLoop.spawn and sleep", partial(tasks_of_a_loop, SimLoop, True)),
    ],
}


def per_second(work: Callable[[int], None], count: int) -> float:
    """Repetitions per second of *work*, with the collector out of the way."""
    gc.collect()
    started = perf_counter()
    work(count)
    return count / (perf_counter() - started)


def main(count: int) -> None:
    """Print the table."""
    for what, rows in ROWS.items():
        best = dict.fromkeys((name for name, _ in rows), 0.0)
        for _ in range(TURNS):
            for name, work in rows:
                best[name] = max(best[name], per_second(work, count))
        plain = best[rows[0][0]]
        print(f"{what:<32}{'per second':>12}{'ratio':>8}")
        for name, rate in best.items():
            print(f"  {name:<30}{rate:>12,.0f}{rate / plain:>8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
