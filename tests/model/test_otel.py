"""OpenTelemetry's own spans inside an app are spans of the run."""

import pytest

from sim.kernel import SimLoop
from sim.kernel.clock import virtual_clock
from sim.telemetry.codes import SpanKind
from tests.model.small_world import SmallWorld


@pytest.fixture
def small():
    with SimLoop(seed=7) as loop, virtual_clock(loop):
        small = SmallWorld(loop, {"shop": {"asgi": "tests.model.apps.traced:app"}, "backend": {"endpoints": {"GET /x": []}}})
        loop.run_until(1)
        yield small


def test_spans_of_the_sdk_and_of_the_api_are_recorded_with_their_parents(small):
    """Below the request's own span, with names, attributes and simulated times; a call inside is a child of the innermost."""
    small.send("shop", "GET", "/order")
    payment, create, mail = small.spans(SpanKind.INTERNAL)
    server = next(span for span in small.spans(SpanKind.SERVER) if span["node"] == "shop")
    call = next(span for span in small.spans(SpanKind.CLIENT) if span["node"] == "shop")
    assert (create["name"], create["order.id"], create["order.total"]) == ("order.create", "o-1", 1250)
    assert call["parent"] == payment["id"] and payment["parent"] == create["id"] and create["parent"] == server["id"]
    assert create["trace"] == 1 and payment["end"] - payment["start"] == pytest.approx(0.252)
    assert (mail["exception.type"], mail["exception.message"]) == ("ValueError", "no address") and mail["status"] < 0


def test_the_app_s_own_exporter_gets_its_spans_too(small):
    """With durations by the simulated clock, in nanoseconds."""
    assert small.send("shop", "GET", "/order").json == [["order.create", 252000000], ["mail", 0]]
