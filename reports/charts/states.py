"""States over time, read from events: breakers of an edge, instances that were up or down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

TRANSITION = "circuit_breaker.state_transition"


@dataclass(frozen=True)
class Stay:
    """How long something was in one state, in seconds of the run."""

    state: str
    start: float
    until: float


def breakers(result: RunResult) -> dict[tuple[str, str], list[Stay]]:
    """For each (edge, caller's instance) whose breaker ever changed its state: its states, in order and without gaps."""
    stays: dict[tuple[str, str], list[Stay]] = {}
    for event in result.events:
        if event["kind"] != TRANSITION:
            continue
        who = (str(event["edge"]), str(event.get("caller", "")))
        at = float(event["at"])
        before = stays.setdefault(who, [Stay(str(event["source"]).lower(), 0.0, result.duration)])
        last = before.pop()
        before += [Stay(last.state, last.start, at), Stay(str(event["target"]).lower(), at, result.duration)]
    return {who: [stay for stay in found if stay.until > stay.start] for who, found in stays.items()}


def seconds_in(stays: list[Stay], state: str) -> float:
    """How long, in all."""
    return sum(stay.until - stay.start for stay in stays if stay.state == state)


def downtimes(result: RunResult) -> Mapping[str, list[Stay]]:
    """For each instance that was ever down: when, by `instance.down` and `instance.up` events."""
    found: dict[str, list[Stay]] = {}
    for event in result.events:
        if event["kind"] == "instance.down":
            found.setdefault(str(event["instance"]), []).append(Stay("down", float(event["at"]), result.duration))
        elif event["kind"] == "instance.up" and found.get(str(event["instance"])):
            last = found[str(event["instance"])].pop()
            found[str(event["instance"])].append(Stay("down", last.start, min(last.until, float(event["at"]))))
    return found
