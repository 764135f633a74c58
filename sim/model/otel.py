"""OpenTelemetry inside a user's code: the spans of its SDK become spans of the run, beside those that the lab records itself.

The code needs no change and no exporter. Every tracer provider hands its spans to a multi-processor of the SDK; that class is taught to
report spans that begin and end inside of a simulation, and only those. Code that uses the API alone gets a provider of the SDK, since
without one its spans would be nothing.
"""

from __future__ import annotations

import sys
from typing import Any

from sim.model import place as places
from sim.model.place import PLACE, Place
from sim.model.spans import ERROR, FAILED, INTERNAL, OK
from sim.telemetry.columns import pack_span

_MARK = "_mesocosm_reported"
_open: dict[int, tuple[Place, int, int, float]] = {}  # by OpenTelemetry's span id: where, our id, our parent, since when


def report_opentelemetry() -> None:
    """Report spans from here on, if the code that was loaded uses OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:
        return
    try:
        from opentelemetry.sdk import trace as sdk
    except ImportError:
        return
    from opentelemetry import trace

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # nobody has set one
        trace.set_tracer_provider(sdk.TracerProvider(shutdown_on_exit=False))
    for processor in (sdk.SynchronousMultiSpanProcessor, sdk.ConcurrentMultiSpanProcessor):
        if not hasattr(processor, _MARK):
            _teach(processor)
    places.foreign_span = _current


def _teach(processor: Any) -> None:
    on_start, on_end = processor.on_start, processor.on_end

    def started(self: Any, span: Any, parent_context: Any = None) -> None:
        _started(span, parent_context)
        on_start(self, span, parent_context)

    def ended(self: Any, span: Any) -> None:
        _ended(span)
        on_end(self, span)

    processor.on_start, processor.on_end = started, ended
    setattr(processor, _MARK, True)


def _started(span: Any, parent_context: Any) -> None:
    from opentelemetry import trace

    place = PLACE.get(None)
    if place is None or place.instance.recorder.sealed:
        return
    around = _open.get(trace.get_current_span(parent_context).get_span_context().span_id)
    parent = around[1] if around is not None else place.span
    _open[span.get_span_context().span_id] = (place, place.instance.recorder.next_span(), parent, place.instance.env._now)


def _ended(span: Any) -> None:
    known = _open.pop(span.get_span_context().span_id, None)
    if known is None:
        return
    place, span_id, parent, start = known
    instance, recorder = place.instance, place.instance.recorder
    attributes = dict(span.attributes or {})
    for event in span.events:
        if event.name == "exception":
            attributes.update({key: value for key, value in (event.attributes or {}).items() if key != "exception.stacktrace"})
    failed = not span.status.is_ok
    if attributes and not recorder.sealed:
        recorder.attributes[span_id] = attributes
    recorder.write_span(pack_span(
        span_id, parent, place.trace, start, instance.env._now, 0.0, instance.node.index, instance.node.index,
        recorder.operation(span.name), instance.index, ERROR if failed else 0, 0, INTERNAL, FAILED if failed else OK))


def _current() -> int:
    """The recorded span that OpenTelemetry is in, or 0."""
    from opentelemetry import trace

    known = _open.get(trace.get_current_span().get_span_context().span_id)
    return known[1] if known is not None else 0
