"""One run from its first second to its last."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sim.kernel import SimLoop
from sim.kernel.chance import seeded_chance
from sim.lab.experiment import Watch
from sim.lab.interrupts import Interrupt, interruptible
from sim.lab.session import Session
from sim.lab.vitals import Progress, Vitals
from sim.model.place import clock_offset
from sim.model.world import World
from sim.scenario.scenario import Scenario
from sim.scenario.trial import refuse_unsound
from sim.telemetry.result import RunResult

SAMPLES = 600  # of every gauge in a run


def run(scenario: Scenario, seed: int | None = None, *, on_sample: Callable[[Progress], None] | None = None,
        on_end: Callable[[World], None] | None = None, interrupt: Interrupt | None = None) -> RunResult:
    """Run *scenario* and return what it left. The same scenario and *seed* (default: the scenario's) give the same digest.

    Ctrl-C ends the run early: the result then holds what was measured until there, with the verdict `interrupted`. So does asking
    *interrupt*; whoever gives one minds signals themselves (sim.lab.interrupts).
    *on_end* is shown the world as it is at the end, for what only the data of the services can tell.
    Raise InvalidInput where its faults or measures name what it does not have.
    """
    refuse_unsound(scenario)
    with _fewer_collections():
        return _run(scenario, scenario.seed if seed is None else seed, on_sample, on_end, interrupt)


def run_whole(scenario: Scenario, seed: int | None = None) -> RunResult:
    """`run` for those who can use whole runs only; raise KeyboardInterrupt where Ctrl-C ended it early."""
    result = run(scenario, seed)
    if result.summary["verdict"] == "interrupted":
        raise KeyboardInterrupt
    return result


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """A run makes millions of short-lived objects and hardly any cycles: look for those a hundred times less often."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def machine_of(scenario: Scenario, loop: SimLoop) -> Iterator[None]:
    """Where a user's own code runs, the clocks of the machine show simulated time to it, and its chance repeats with the seed."""
    if not any(spec.has_user_code() for spec in scenario.nodes().values()):
        yield
        return
    import numpy.random  # noqa: F401 - before chance repeats, since it draws when it is first loaded: the second run would not draw that

    from sim.kernel.clock import virtual_clock  # takes a while, and most scenarios do without

    with virtual_clock(loop, offset=clock_offset), seeded_chance(loop.seed):
        yield


def _run(scenario: Scenario, seed: int, on_sample: Callable[[Progress], None] | None,
         on_end: Callable[[World], None] | None, interrupt: Interrupt | None) -> RunResult:
    with SimLoop(seed) as loop, machine_of(scenario, loop):
        session = Session(scenario, seed, loop)
        vitals = Vitals(session.world, session.loads, lambda: session.driver.active, scenario.duration)
        with interruptible() if interrupt is None else nullcontext(interrupt) as stop, stop.stops(loop):
            stopped = _run_to_the_end(scenario, session.world, vitals, stop, on_sample)
            cut = stop.asked
        if on_end is not None:
            on_end(session.world)
        verdict = "interrupted" if cut else "aborted" if stopped is not None else ""
        return session.end(verdict=verdict, stopped=stopped)


def _run_to_the_end(scenario: Scenario, world: World, vitals: Vitals, interrupt: Interrupt,
                    on_sample: Callable[[Progress], None] | None) -> dict[str, Any] | None:
    """Run, and take a sample at each step; return which condition of `abort_if` ended it early, or None."""
    step = scenario.duration / SAMPLES
    watch = Watch(scenario.abort_if, world.recorder, scenario.warmup, step)
    world.recorder.thin(SAMPLES)
    for number in range(1, SAMPLES + 1):
        world.loop.run_until(scenario.duration if number == SAMPLES else number * step)
        world.recorder.sample()
        if interrupt.asked:
            return None
        stopped = watch.step(world.loop.time())
        if stopped is not None:
            world.recorder.event("abort", **stopped)
            return stopped
        if on_sample is not None:
            on_sample(vitals.now())
        if interrupt.asked:
            return None
    return None
