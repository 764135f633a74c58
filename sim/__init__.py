"""mesocosm: real asyncio code on simulated time and a simulated network.

    from sim import load, run
    result = run(load("scenarios/ecommerce/checkout.yaml"), seed=1)

Names are loaded when they are first used, so that `import sim.resilience` in production brings no simulator with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.lab.run import run
    from sim.model.world import World
    from sim.scenario.load import load
    from sim.scenario.scenario import Scenario
    from sim.telemetry.result import RunResult

_HOMES = {
    "Scenario": "sim.scenario.scenario",
    "RunResult": "sim.telemetry.result",
    "SimLoop": "sim.kernel",
    "World": "sim.model.world",
    "load": "sim.scenario.load",
    "run": "sim.lab.run",
}
__all__ = ["RunResult", "Scenario", "SimLoop", "World", "load", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
