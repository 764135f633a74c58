"""A part of a world: it finds the loop, the clock and the recorder there, and keeps no reference of its own to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.kernel.environment import Environment
    from sim.model.world import World
    from sim.telemetry.recorder import Recorder


class Part:
    """Something of which a world has thousands. What requests run through asks `world` itself, which takes less time than these."""

    __slots__ = ("world",)

    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def loop(self) -> SimLoop:
        """The loop that it runs in."""
        return self.world.loop

    @property
    def env(self) -> Environment:
        """The clock."""
        return self.world.env

    @property
    def recorder(self) -> Recorder:
        """Where what happens is written down."""
        return self.world.recorder
