"""The kernel: an asyncio event loop on simulated time. Nothing outside this folder imports simpy.

Names are loaded when they are first used, so that a specification that mentions a Timer does not bring simpy with it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.kernel.loop import SimLoop
    from sim.kernel.problems import Deadlock, NotSimulated, SimulationError
    from sim.kernel.timers import Timer

_HOMES = {
    "Deadlock": "sim.kernel.problems",
    "NotSimulated": "sim.kernel.problems",
    "SimLoop": "sim.kernel.loop",
    "SimulationError": "sim.kernel.problems",
    "Timer": "sim.kernel.timers",
}
__all__ = ["Deadlock", "NotSimulated", "SimLoop", "SimulationError", "Timer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sim.kernel' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
