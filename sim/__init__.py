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
    from sim.model.handlers import Service
    from sim.model.httpx_transport import httpx_transport
    from sim.model.marks import health_check, route, subscribe
    from sim.model.messages import Request, Response
    from sim.model.messaging import Delivery
    from sim.model.world import World
    from sim.scenario.load import load, loads
    from sim.scenario.scenario import Scenario
    from sim.telemetry.result import RunResult

_HOMES = {
    "Delivery": "sim.model.messaging",
    "Scenario": "sim.scenario.scenario",
    "Request": "sim.model.messages",
    "Response": "sim.model.messages",
    "RunResult": "sim.telemetry.result",
    "Service": "sim.model.handlers",
    "SimLoop": "sim.kernel",
    "World": "sim.model.world",
    "health_check": "sim.model.marks",
    "httpx_transport": "sim.model.httpx_transport",
    "load": "sim.scenario.load",
    "loads": "sim.scenario.load",
    "route": "sim.model.marks",
    "run": "sim.lab.run",
    "subscribe": "sim.model.marks",
}
__all__ = [
    "Delivery", "Request", "Response", "RunResult", "Scenario", "Service", "SimLoop", "World", "health_check", "httpx_transport", "load",
    "loads", "route", "run", "subscribe",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
