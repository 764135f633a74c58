"""Where code is running: which request of which instance, and inside which span. It travels in a context variable.

Every request is served in a task of its own, so what is set there is seen by everything that the handler awaits or starts, and
by nobody else. Code that runs outside of any request (a background job) has its own place, without a request.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.messages import Exchange


class Place(NamedTuple):
    """*span* is the recorded span at hand, *trace* its trace; 0 for none."""

    instance: Instance
    exchange: Exchange | None
    trace: int
    span: int

    @property
    def process(self) -> Instance:
        """Whose loop the code believes to be on."""
        return self.instance


PLACE: ContextVar[Place] = ContextVar("place")


foreign_span: Callable[[], int] | None = None  # of a tracing library that is in use: the recorded span that it is in, or 0


def clock_offset() -> float:
    """Seconds by which the calendar is ahead for the code that asks: that of its instance, which a fault may have put wrong."""
    place = PLACE.get(None)
    return place.instance.clock_offset if place is not None else 0.0


def current_place() -> Place | None:
    """The place of the code that asks, or None outside of service code; its span may be one of a tracing library's own."""
    place = PLACE.get(None)
    if foreign_span is not None and place is not None and (span := foreign_span()):
        return place._replace(span=span)
    return place
