"""Figures that service code keeps itself: `self.metric("orders_placed").add()`. They are sampled like every other level of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.telemetry.integrals import Level

if TYPE_CHECKING:
    from sim.model.instance import Instance


class Meter:
    """A number that rises and falls: a counter, if it is only added to."""

    __slots__ = ("_instance", "_level")

    def __init__(self, instance: Instance, name: str) -> None:
        self._instance = instance
        self._level = Level()
        instance.recorder.gauge(instance.node.name, instance.name, name, self._level.reading)

    @property
    def value(self) -> float:
        """What it stands at."""
        return self._level.value

    def add(self, amount: float = 1) -> None:
        """Change it by *amount*."""
        self._level.change(amount, self._instance.env._now)  # type: ignore[arg-type]  # whole numbers elsewhere, but not of need

    def set(self, value: float) -> None:
        """Change it to *value*."""
        self.add(value - self._level.value)
