"""Structured log lines of service code: `self.log.info("mail sent", to=address)`.

A line has the time, the level, service and instance, and the trace and span at hand. The lines of requests themselves (`request started`,
`request completed`, `request failed`) need no code: they are made from what is recorded of every request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.model.place import Place, current_place

if TYPE_CHECKING:
    from sim.model.instance import Instance

MOST_LINES = 1_000_000  # of a run; what is logged beyond is counted as an event that was dropped


class Log:
    """The log of one instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def debug(self, message: str, **fields: Any) -> None:
        """Log at level debug."""
        self.write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """Log at level info."""
        self.write("info", message, fields)

    def warn(self, message: str, **fields: Any) -> None:
        """Log at level warn."""
        self.write("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Log at level error."""
        self.write("error", message, fields)

    def write(self, level: str, message: str, fields: dict[str, Any], at: float | None = None, place: Place | None = None) -> None:
        """Log at *level*; *fields* are written beside the message and cannot replace what every line has.

        What has happened before now, or elsewhere, says *at* which time (seconds) and *place*.
        """
        instance = self._instance
        recorder = instance.recorder
        if recorder.sealed:
            return
        if len(recorder.logs) >= MOST_LINES:
            recorder.dropped_events += 1
            return
        place = place or current_place()
        trace, span = (place.trace, place.span) if place is not None else (0, 0)
        at = instance.env._now if at is None else at
        recorder.logs.append({**fields, "at": at, "level": level, "message": message, "service": instance.node.name,
                              "instance": instance.name, "trace": trace, "span": span})
