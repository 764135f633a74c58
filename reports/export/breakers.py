"""When each circuit breaker was in which state, from its transitions in the events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

TRANSITION = "circuit_breaker.state_transition"
STATES = ("closed", "open", "half_open", "disabled", "forced_open", "metrics_only")


@dataclass(frozen=True)
class Held:
    """*breaker* was in *state* (small letters) from *start* to *end* (seconds)."""

    breaker: str
    state: str
    start: float
    end: float


def breaker_name(event: Mapping[str, Any]) -> str:
    """`orders-0->payments`: each instance of a caller has a breaker of its own for each callee."""
    return f"{event['caller']}->{str(event['edge']).partition('->')[2]}"


def breaker_states(result: RunResult) -> list[Held]:
    """Every state of every breaker that ever changed its state, by breaker and time. The first state holds from t=0 on."""
    transitions: dict[str, list[Mapping[str, Any]]] = {}
    for event in result.events:
        if event["kind"] == TRANSITION:
            transitions.setdefault(breaker_name(event), []).append(event)
    held = []
    for breaker, changes in transitions.items():
        since, state = 0.0, str(changes[0]["source"])
        for change in changes:
            held.append(Held(breaker, state.lower(), since, change["at"]))
            since, state = change["at"], str(change["target"])
        held.append(Held(breaker, state.lower(), since, result.duration))
    return held
