"""What a failing test tells of its simulation: seed, time, which faults were on when, what went wrong inside, and how to see it again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.telemetry.result import FaultInterval
    from sim.testing.lab import Lab

ERRORS = ("handler.error", "background.error", "startup.failed", "shutdown.failed")  # events that tell of errors in the user's code
MOST = 10  # lines of one kind


def story(loop: SimLoop, lab: Lab | None, replay: str) -> str:
    """Some lines for the report of a test that failed now."""
    inside = _inside(lab) if lab is not None else ()
    return "\n".join([f"seed {loop.seed}, t={loop.time():g} s when the test failed", *inside, f"replay: {replay}"])


def _inside(lab: Lab) -> Iterator[str]:
    yield "faults:" if lab.faults else "no fault was on"
    yield from _few([f"  {_when(fault)}  {_what(fault)}  {', '.join(fault.targets)}" for fault in lab.faults])
    errors = [event for event in lab.events if event["kind"] in ERRORS]
    if errors:
        yield "errors in service code:"
        yield from _few([f"  {event['at']:g} s  {event['instance']}: {event['error']}" for event in errors])


def _when(fault: FaultInterval) -> str:
    return f"{fault.start:g} s – " + (f"{fault.until:g} s" if fault.until is not None else "(still on)")


def _what(fault: FaultInterval) -> str:
    return fault.kind if fault.name == fault.kind else f"{fault.name} ({fault.kind})"


def _few(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST else [*lines[:MOST], f"  … and {len(lines) - MOST} more"]
