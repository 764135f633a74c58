"""A small world for a test, built in a few lines: `lab` of the pytest plugin.

    lab.service("shop", code="myapp.shop:Shop", uses={"payments": {"policies": [{"timeout": "300ms"}]}})
    lab.service("payments", endpoints={"POST /charges": [{"work": "20ms"}]})
    lab.load("users", to="shop", send="POST /orders", rate="20/s")
    lab.fault("network.delay", "shop->payments", at="10s", during="5s", latency="1s")
    result = lab.run("30s")
    assert result.summary["workloads"]["users"]["success_ratio"] > 0.99

Everything is written as in a scenario file, and mistakes are told as for one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.model.world import World
    from sim.telemetry.result import RunResult


class Lab:
    """Services, load and faults; `run` gives the result, and `result` keeps the last one."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.written: dict[str, Any] = {"name": "lab", "services": {}, "workloads": {}, "faults": []}
        self.result: RunResult | None = None

    def scenario(self, path: str | Path, *, variant: str | None = None, overrides: tuple[str, ...] = ()) -> Lab:
        """Begin with the scenario in a file, its *variant*, and *overrides* as `PATH=VALUE`."""
        from sim.scenario.load import read

        self.written = {"workloads": {}, "faults": [], **read(path, variant=variant, overrides=overrides).data}
        return self

    def service(self, name: str, **fields: Any) -> Lab:
        """Add a service; a database, cache or other kind is one with its `kind`."""
        self.written["services"][name] = fields
        return self

    def load(self, name: str, *, to: str, send: str | list[Mapping[str, Any]], rate: str | None = None, **fields: Any) -> Lab:
        """Add a workload: *send* is one request, `POST /orders`, or a whole mix; a *rate* means constant-arrival-rate."""
        mix = [{"send": send}] if isinstance(send, str) else [dict(one) for one in send]
        paced = {"executor": "constant-arrival-rate", "rate": rate} if rate is not None else {}
        self.written["workloads"][name] = {**paced, "to": to, "mix": mix, **fields}
        return self

    def fault(self, kind: str, target: str | Mapping[str, Any], *, at: str, during: str | None = None, name: str | None = None,
              **fields: Any) -> Lab:
        """Add a fault *at* a time, for *during*. A *target* in text is a link `a->b` or a service."""
        aim = ({"link": target} if "->" in target else {"service": target}) if isinstance(target, str) else dict(target)
        schedule = {"at": at, **({"for": during} if during is not None else {})}
        self.written["faults"].append({"kind": kind, "target": aim, "schedule": schedule, **({"name": name} if name else {}), **fields})
        return self

    def run(self, duration: str | None = None, *, seed: int | None = None, on_end: Callable[[World], None] | None = None) -> RunResult:
        """Run for *duration* (a scenario from a file has its own); raise InvalidFile with everything that is wrong."""
        from sim.lab.run import run
        from sim.scenario.load import loads

        written = {**self.written, **({"duration": duration} if duration is not None else {})}
        self.result = run(loads(json.dumps(written, indent=1), name="lab"), self.seed if seed is None else seed, on_end=on_end)
        return self.result

    def told(self) -> str:
        """What somebody who looks into a failure wants to know: the seed, and when which fault was on."""
        lines = [f"seed {self.seed}"]
        if self.result is not None:
            lines.append(f"ran to t={self.result.duration:g}s, verdict {self.result.summary['verdict']}, {self.result.digest}")
            for fault in self.result.faults:
                until = "the end" if fault.until is None else f"t={fault.until:g}s"
                lines.append(f"{fault.name} ({fault.kind}) on {', '.join(fault.targets)} from t={fault.start:g}s until {until}")
        return "\n".join(lines)
