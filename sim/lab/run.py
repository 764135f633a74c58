"""One run: build the world, let it run, seal the recorder, reckon."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter  # by name: inside a run with user code `time.perf_counter` shows simulated time
from typing import Any

from sim.faults.driver import Driver
from sim.kernel import SimLoop
from sim.lab.accounts import Books, books
from sim.lab.experiment import Judge, Watch, verdict_of
from sim.lab.interrupts import Interrupt, interruptible
from sim.lab.measuring import Evidence
from sim.lab.summary import SCHEMA, summarise
from sim.lab.vitals import Progress, Vitals
from sim.model.place import clock_offset
from sim.model.world import World
from sim.scenario.scenario import Scenario
from sim.scenario.trial import refuse_unsound
from sim.telemetry.codes import SpanKind
from sim.telemetry.recorder import Recorder
from sim.telemetry.result import Requests, RunResult, Spans
from sim.workload.load import Load

SAMPLES = 600  # of every gauge in a run


class ConservationError(AssertionError):
    """Requests or calls went missing: our own bug."""


def run(scenario: Scenario, seed: int | None = None, *, variant: str | None = None,
        on_sample: Callable[[Progress], None] | None = None, on_end: Callable[[World], None] | None = None) -> RunResult:
    """Run *scenario* and return what it left. The same scenario and *seed* (default: the scenario's) give the same digest.

    Ctrl-C ends the run early: the result then holds what was measured until there, with the verdict `interrupted`.
    *on_end* is shown the world as it is at the end, for what only the data of the services can tell.
    Raise InvalidInput where its faults or measures name what it does not have.
    """
    refuse_unsound(scenario)
    with _fewer_collections():
        return _run(scenario, scenario.seed if seed is None else seed, variant, on_sample, on_end)


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """A run makes millions of short-lived objects and hardly any cycles: look for those a hundred times less often."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _clock_of(scenario: Scenario, loop: SimLoop) -> AbstractContextManager[None]:
    """Where a user's own code runs, the clocks of the machine show simulated time to it."""
    if not any(spec.has_user_code() for spec in scenario.nodes().values()):
        return nullcontext()
    from sim.kernel.clock import virtual_clock  # takes a while, and most scenarios do without

    return virtual_clock(loop, offset=clock_offset)


def _run(scenario: Scenario, seed: int, variant: str | None, on_sample: Callable[[Progress], None] | None,
         on_end: Callable[[World], None] | None) -> RunResult:
    began = perf_counter()
    with SimLoop(seed) as loop, _clock_of(scenario, loop):
        world = World(loop, seed, scenario.nodes(), scenario.network, scenario.registry)
        loads = {name: Load(name, spec, world) for name, spec in scenario.workloads.items()}
        opening: list[Books] = []
        loop.after(scenario.warmup, lambda: opening.append(_begin_to_measure(world, loads)))
        for load in loads.values():
            loop.after(load.spec.start_after, load.start)
        driver = Driver(world, {name: load.executor for name, load in loads.items()}, scenario.faults, scenario.duration)
        driver.start()
        vitals = Vitals(world, loads, lambda: driver.active, scenario.duration)
        with interruptible(loop) as interrupt:
            stopped = _run_to_the_end(scenario, world, vitals, interrupt, on_sample)
        verdict = "interrupted" if interrupt.asked else "aborted" if stopped is not None else ""
        warnings = driver.warn()
        closing = books(world, loads)
        if on_end is not None:
            on_end(world)
        for load in loads.values():
            load.record_unfinished()
        world.recorder.seal()
        check_conservation(world, loads)
        requests, spans = Requests(world.recorder.requests.array()), Spans(world.recorder.spans.array())
        figures = summarise(world, loads, requests, scenario.warmup, opening[0] if opening else closing, closing)
        samples, faults = world.recorder.samples.array(), driver.intervals()
        evidence = Evidence(world.recorder.names(), requests.rows, spans.rows, samples, world.recorder.events)
        checks = Judge(scenario, evidence, faults, loop.time(), figures).checks()
        wall = perf_counter() - began
        digest = world.recorder.digest()
        summary: dict[str, Any] = {
            "schema": SCHEMA, "scenario": scenario.name, "variant": variant, "seed": seed, "digest": digest,
            "verdict": verdict or verdict_of(checks),
            "simulated_s": loop.time(), "warmup_s": scenario.warmup, "wall_s": wall, "events": loop.steps, **figures,
            "checks": checks, "warnings": warnings, "aborted": stopped,
            "faults": [
                {"name": fault.name, "kind": fault.kind, "targets": list(fault.targets), "from_s": fault.start, "until_s": fault.until}
                for fault in faults
            ],
        }
        return RunResult(
            name=scenario.name, title=scenario.title, variant=variant, seed=seed, duration=loop.time(), warmup=scenario.warmup,
            names=world.recorder.names(), requests=requests, spans=spans, samples=samples, events=world.recorder.events,
            logs=world.recorder.logs, attributes=world.recorder.attributes, faults=faults, summary=summary, digest=digest, wall_s=wall,
            scenario=scenario.model_dump(mode="json", by_alias=True, exclude_none=True), description=describe(world),
        )


def _begin_to_measure(world: World, loads: Mapping[str, Load]) -> Books:
    for node in world.nodes.values():
        node.measure_from_here()
        for instance in node.ever:
            instance.waiting.forget_peaks()
    return books(world, loads)


def _run_to_the_end(scenario: Scenario, world: World, vitals: Vitals, interrupt: Interrupt,
                    on_sample: Callable[[Progress], None] | None) -> dict[str, Any] | None:
    """Run, and take a sample at each step; return which condition of `abort_if` ended it early, or None."""
    step = scenario.duration / SAMPLES
    watch = Watch(scenario.abort_if, world.recorder, scenario.warmup, step)
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
    return None


def check_conservation(world: World, loads: Mapping[str, Load]) -> None:
    """started = ok + degraded + failed + rejected + unfinished, for requests and for every call edge; or raise ConservationError."""
    started = sum(load.started for load in loads.values())
    if started != len(world.recorder.requests):
        raise ConservationError(f"{started} requests started, {len(world.recorder.requests)} recorded")
    recorded, node_of = _calls_recorded(world.recorder), world.recorder.node
    for edge in world.edges.values():
        rows = recorded[node_of(edge.caller), node_of(edge.callee)]
        if not edge.started >= edge.finished == rows:
            raise ConservationError(f"{edge.name}: {edge.started} calls started, {edge.finished} ended, {rows} recorded")
    for node in world.nodes.values():
        node.check_books()


def _calls_recorded(recorder: Recorder) -> Counter[tuple[int, int]]:
    """How many calls have ended, by caller and callee."""
    import numpy as np

    counts: Counter[tuple[int, int]] = Counter()
    for part in recorder.spans.chunks():
        calls = part[part["kind"] == SpanKind.CLIENT]
        edges, numbers = np.unique(calls["node"].astype("<u4") << 16 | calls["peer"], return_counts=True)
        for edge, number in zip(edges.tolist(), numbers.tolist(), strict=True):
            counts[edge >> 16, edge & 0xFFFF] += number
    return counts


def describe(world: World) -> dict[str, dict[str, Any]]:
    """Of each node what charts need to know: kind, instances, capacity."""
    return {
        name: {"kind": node.spec.word, "instances": [instance.name for instance in node.ever], "workers": node.workers,
               "queue_limit": node.queue_limit, "zones": sorted({instance.zone for instance in node.ever if instance.zone})}
        for name, node in world.nodes.items()
    }
