"""A run under way: the world, the load on it and its faults, for whoever lets time go on; then what it comes to.

    session = Session(scenario, seed, loop)
    loop.run_until(60)                          # or a step at a time, with something done in between
    result = session.end()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter  # by name: inside a run with user code `time.perf_counter` shows simulated time
from typing import Any

from sim.faults.driver import Driver
from sim.kernel import SimLoop
from sim.lab.accounts import Books, books
from sim.lab.conservation import check_conservation
from sim.lab.experiment import Judge, verdict_of
from sim.lab.measuring import Evidence
from sim.lab.summary import SCHEMA, summarise
from sim.model.world import World
from sim.scenario.scenario import Scenario
from sim.telemetry.result import Requests, RunResult, Spans
from sim.workload.load import Load


class Session:
    """Builds everything that *scenario* names, at the time that *loop* has; it begins with the first event that the loop runs."""

    def __init__(self, scenario: Scenario, seed: int, loop: SimLoop) -> None:
        self.scenario, self.seed, self.loop = scenario, seed, loop
        self._began = perf_counter()
        self.world = World(loop, seed, scenario.nodes(), scenario.network, scenario.registry)
        self.loads = {name: Load(name, spec, self.world, scenario.duration) for name, spec in scenario.workloads.items()}
        self._opening: Books | None = None
        loop.after(scenario.warmup, self._begin_to_measure)
        for load in self.loads.values():
            loop.after(load.spec.start_after, load.start)
        self.driver = Driver(self.world, self.loads, scenario.faults, scenario.duration)
        self.driver.start()

    def _begin_to_measure(self) -> None:
        for node in self.world.nodes.values():
            node.measure_from_here()
            for instance in node.ever:
                instance.waiting.forget_peaks()
        self._opening = books(self.world, self.loads)

    def end(self, *, verdict: str = "", stopped: dict[str, Any] | None = None) -> RunResult:
        """Seal the recorder, check the books, and reckon. Where the run was cut short, *verdict* says how and *stopped* by what."""
        world, scenario, now = self.world, self.scenario, self.loop.time()
        warnings = self.driver.warn()
        world.tell_failures(held=True)
        closing = books(world, self.loads)
        for load in self.loads.values():
            load.record_unfinished()
        world.recorder.seal()
        world.shut()
        check_conservation(world, self.loads)
        requests, spans = Requests(world.recorder.requests.array()), Spans(world.recorder.spans.array())
        figures = summarise(world, self.loads, requests, scenario.warmup, self._opening or closing, closing)
        samples, faults = world.recorder.samples.array(), self.driver.intervals()
        evidence = Evidence(world.recorder.names(), requests.rows, spans.rows, samples, world.recorder.events)
        checks = Judge(scenario, evidence, faults, now, figures).checks()
        wall = perf_counter() - self._began
        digest = world.recorder.digest()
        summary: dict[str, Any] = {
            "schema": SCHEMA, "scenario": scenario.name, "variant": scenario.variant, "seed": self.seed, "digest": digest,
            "verdict": verdict or verdict_of(checks),
            "simulated_s": now, "warmup_s": scenario.warmup, "wall_s": wall, "events": self.loop.steps, **figures,
            "checks": checks, "warnings": warnings, "aborted": stopped,
            "faults": [
                {"name": fault.name, "kind": fault.kind, "targets": list(fault.targets), "from_s": fault.start, "until_s": fault.until}
                for fault in faults
            ],
        }
        errors = errors_of_code(world.recorder.events)
        if errors:
            summary["code_errors"] = errors
        return RunResult(
            name=scenario.name, title=scenario.title, variant=scenario.variant, seed=self.seed, duration=now, warmup=scenario.warmup,
            names=world.recorder.names(), requests=requests, spans=spans, samples=samples, events=world.recorder.events,
            logs=world.recorder.logs, attributes=world.recorder.attributes, faults=faults, summary=summary, digest=digest, wall_s=wall,
            scenario=scenario.model_dump(mode="json", by_alias=True, exclude_none=True), description=describe(world),
        )


def errors_of_code(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the code of each service has raised and nobody has handled: how often, and the first of it (seconds)."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        kind = event["kind"]
        if kind in ("handler.error", "background.error"):
            first = {"kind": kind, "node": event["node"], "count": 0, "instance": event["instance"], "error": event["error"],
                     "from_s": event["at"]}
            found.setdefault((kind, event["node"]), first)["count"] += 1
    return list(found.values())


def describe(world: World) -> dict[str, dict[str, Any]]:
    """Of each node what reports need to know: kind, instances and their versions, capacity; and since when (seconds) it has what it has
    not answered."""
    return {
        name: {"kind": node.spec.word, "instances": [instance.name for instance in node.ever], "workers": node.workers,
               "queue_limit": node.queue_limit, "zones": sorted({instance.zone for instance in node.ever if instance.zone}),
               "versions": {instance.name: instance.version for instance in node.ever if instance.version},
               "open": sorted(arrived for instance in node.ever for arrived in instance.taken())}
        for name, node in world.nodes.items()
    }
