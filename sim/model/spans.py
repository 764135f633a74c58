"""Spans that service code opens itself.

    with self.span("order.validate", **{"order.id": order_id}) as span:
        span.set("order.total", 1250)

What is called inside has the span as its parent. An error that leaves the block marks it as failed and is kept as its event.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sim.model.place import PLACE, Place
from sim.telemetry.codes import Outcome, Reason, SpanKind
from sim.telemetry.columns import pack_span

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.telemetry.recorder import Recorder

MOST_EXPLAINED = 100_000  # spans; beyond it only their status tells
WHY = "error.message"  # OpenTelemetry's attribute for it
INTERNAL, OK, FAILED, ERROR = int(SpanKind.INTERNAL), int(Outcome.OK), int(Outcome.FAILED), int(Reason.ERROR)


def error_attributes(error: BaseException) -> dict[str, Any]:
    """An error as OpenTelemetry's attributes of an exception."""
    return {"exception.type": type(error).__qualname__, "exception.message": str(error)}


def annotate(recorder: Recorder, span: int, attributes: Mapping[str, Any]) -> None:
    """Add *attributes* to the recorded span."""
    if span and attributes and not recorder.sealed:
        recorder.attributes.setdefault(span, {}).update(attributes)


def explain(recorder: Recorder, span: int, why: str) -> None:
    """Say in the trace *why* the span was refused, where its status alone does not tell."""
    if len(recorder.attributes) < MOST_EXPLAINED:
        annotate(recorder, span, {WHY: why})


class Span:
    """A block of service code that is recorded with its time, attributes and status."""

    __slots__ = ("_attributes", "_instance", "_name", "_place", "_start", "_status", "_token", "id")

    def __init__(self, instance: Instance, name: str, attributes: dict[str, Any]) -> None:
        self._instance, self._name, self._attributes = instance, name, attributes
        self._status = 0
        self._place: Place
        self._token: Token[Place]
        self._start = 0.0
        self.id = 0

    def set(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self._attributes[key] = value

    def fail(self, error: BaseException) -> None:
        """Mark it as failed, with *error* as the reason; the block may go on."""
        self._status = ERROR
        self._attributes.update(error_attributes(error))

    def __enter__(self) -> Span:
        instance = self._instance
        around = PLACE.get(None)
        recorder = instance.recorder
        self.id = recorder.next_span()
        self._place = around if around is not None else Place(instance, None, 0, 0)
        self._token = PLACE.set(self._place._replace(instance=instance, span=self.id))
        self._start = instance.env._now
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.fail(error)
        PLACE.reset(self._token)
        instance, recorder, place = self._instance, self._instance.recorder, self._place
        if self._attributes and not recorder.sealed:
            recorder.attributes[self.id] = self._attributes
        recorder.write_span(pack_span(
            self.id, place.span, place.trace, self._start, instance.env._now, 0.0, instance.node.index, instance.node.index,
            recorder.operation(self._name), instance.index, self._status, 0, INTERNAL, FAILED if self._status else OK))
