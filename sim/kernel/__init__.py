"""The kernel: an asyncio event loop on simulated time. Nothing outside this folder imports simpy."""

from sim.kernel.loop import SimLoop
from sim.kernel.problems import Deadlock, NotSimulated, SimulationError
from sim.kernel.timers import Timer

__all__ = ["Deadlock", "NotSimulated", "SimLoop", "SimulationError", "Timer"]
