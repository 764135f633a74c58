"""A run as a Chaos Toolkit journal: the experiment (hypothesis, method), what was done when, and what it came to.

Simulated seconds stand as dates from the epoch on. The experiment in it runs as it stands: `chaos run` in the folder judges
what was measured again (see toolkit.py).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .time import rfc3339

if TYPE_CHECKING:
    from sim.telemetry.result import FaultInterval, RunResult

STATUS = {"pass": "completed", "fail": "completed", "baseline": "failed", "aborted": "aborted", "interrupted": "interrupted"}


def journal(result: RunResult, version: str) -> dict[str, Any]:
    """Chaos Toolkit's journal.json as plain data."""
    verdict = result.summary.get("verdict") or "pass"
    checks = list(result.summary.get("checks") or [])
    return {
        "chaoslib-version": f"mesocosm {version}", "platform": platform.platform(terse=True), "node": "simulation",
        "experiment": _experiment(result, checks),
        "start": _moment(0.0), "end": _moment(result.duration), "duration": result.duration,
        "status": STATUS[verdict], "deviated": verdict == "fail",
        "steady_states": _steady_states(result, checks),
        "run": [_done(fault, result.duration) for fault in result.faults],
        "rollbacks": [],  # a fault of ours heals when it ends
    }


def _experiment(result: RunResult, checks: list[Mapping[str, Any]]) -> dict[str, Any]:
    hypothesis = {"title": f"{result.name} holds its steady state", "probes": [_probe(check) for check in checks]}
    return {
        "version": "1.0.0", "title": result.title or result.name,
        "description": f"{result.name}, seed {result.seed}, simulated by mesocosm",
        "tags": ["mesocosm", *sorted({fault.kind for fault in result.faults})],
        **({"steady-state-hypothesis": hypothesis} if checks else {}),
        "method": [_action(fault) for fault in result.faults], "rollbacks": [],
    }


def _provider(function: str, **arguments: str) -> dict[str, Any]:
    return {"type": "python", "module": "reports.export.toolkit", "func": function, "arguments": arguments}


def _probe(check: Mapping[str, Any]) -> dict[str, Any]:
    """*check* as a probe; an at-least or at-most bound is a range that is open at the other end."""
    bound = check["bound"]
    limits = [bound, 1e308] if check["op"] == "at_least" else [-1e308, bound]
    tolerance = {"type": "range", "range": limits}
    return {"type": "probe", "name": check["title"], "tolerance": tolerance, "provider": _provider("measured", check=check["title"])}


def _action(fault: FaultInterval) -> dict[str, Any]:
    return {"type": "action", "name": f"{fault.name} ({fault.kind})", "provider": _provider("happened", fault=fault.name)}


def _done(fault: FaultInterval, duration: float) -> dict[str, Any]:
    end = duration if fault.until is None else fault.until
    return {
        "activity": _action(fault), "status": "succeeded", "output": {"targets": list(fault.targets)},
        "start": _moment(fault.start), "end": _moment(end), "duration": end - fault.start,
    }


def _steady_states(result: RunResult, checks: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Checks whose window ends before the first fault, those that begin after the last one, and those in between."""
    first = min((fault.start for fault in result.faults), default=result.duration)
    last = max((fault.until or result.duration for fault in result.faults), default=result.duration)
    phases: dict[str, list[Mapping[str, Any]]] = {"before": [], "during": [], "after": []}
    for check in checks:
        until, start = check.get("until_s"), check.get("from_s") or 0.0
        phase = "before" if until is not None and until <= first else "after" if start >= last else "during"
        phases[phase].append(check)
    return {
        "before": _met(phases["before"], result), "after": _met(phases["after"], result),
        "during": [_met([check], result) for check in phases["during"]],
    }


def _met(checks: list[Mapping[str, Any]], result: RunResult) -> dict[str, Any] | None:
    if not checks:
        return None
    return {"steady_state_met": all(check["passed"] for check in checks), "probes": [_measured(check, result) for check in checks]}


def _measured(check: Mapping[str, Any], result: RunResult) -> dict[str, Any]:
    start, end = check.get("from_s") or 0.0, check.get("until_s") or result.duration
    return {
        "activity": _probe(check), "status": "succeeded" if check["measured"] is not None else "failed", "output": check["measured"],
        "tolerance_met": bool(check["passed"]), "start": _moment(start), "end": _moment(end), "duration": end - start,
    }


def _moment(seconds: float) -> str:
    return rfc3339(seconds).rstrip("Z")  # the toolkit writes UTC without a zone
