"""Messages that arrive twice: what it does to requests, deliveries and answers, and what is said where it does nothing."""

from __future__ import annotations

import pytest

from sim.lab.run import run
from sim.scenario.scenario import Scenario
from sim.telemetry.codes import SpanKind

from .small import BASE, DURING, measure, ran
from .test_platform import EVENTS, group, handled, shop

LINK = {"link": "front->back"}


def double(**target):
    return {"kind": "network.duplicate", "target": target}


def off(result):
    """What it comes to: hits, and what was ignored."""
    (event,) = [event for event in result.events if event["kind"] == "fault.off"]
    return event["hits"], event.get("ignored", 0)


def served(result):
    return measure(result, "offered", "back", DURING)


def test_requests_are_served_twice_and_callers_notice_nothing():
    """400 in four seconds, by link, group, part of a group and match; the work of the copies is for nobody."""
    result = ran(double(**LINK))
    assert served(result) == pytest.approx(200, abs=1)
    assert off(result) == (400, 0)
    assert measure(result, "latency.max", "web", DURING) == pytest.approx(BASE["web"])
    assert result.summary["services"]["back"]["wasted_work_ratio"] == pytest.approx(400 / 1600, abs=0.01)
    assert served(ran(double(service="back", mode="fixed", value=2))) == pytest.approx(100 + 67, abs=2)
    assert served(ran(double(**{"from": {"service": "front"}, "to": {"zone": "a"}}))) == pytest.approx(100 + 33, abs=2)
    assert served(ran(double(**LINK, match={"method": "GET", "path": "/x"}))) == pytest.approx(200, abs=1)


def test_answers_that_come_twice_are_counted_and_change_nothing():
    """A warning says so; under a bandwidth their copies take their part of it, and a line that is two thirds full is too full then."""
    result = ran(double(**LINK, direction="from"))
    assert served(result) == pytest.approx(100, abs=1)
    assert off(result) == (0, 400)
    (warning,) = result.summary["warnings"]
    assert "doubled 400 answers and no request" in warning["why"]
    assert off(ran(double(**LINK, direction="both"))) == (400, pytest.approx(800, abs=2))  # the answer to a copy comes twice too
    narrow = {"kind": "network.bandwidth", "target": {**LINK, "direction": "from"}, "rate": "614.4kbit"}
    alone, beside = ran(narrow), ran(narrow, {**double(**LINK, direction="from"), "name": "double"})
    assert measure(alone, "latency.mean", "web", DURING) == pytest.approx(BASE["web"] + 512 * 8 / 614.4e3, abs=1e-6)
    assert measure(beside, "latency.mean", "web", (4.9, 5.1)) == pytest.approx(BASE["web"] + (4 / 3 - 1) * 1, abs=0.05)


def test_a_copy_has_its_own_luck_on_a_lossy_datagram_link():
    """Half of the requests are lost; of two copies both are, a quarter of the times: the first answer counts."""
    loss = {"kind": "network.loss", "name": "loss", "target": LINK, "loss": "50%"}
    links = {"front->back": {"latency": "1ms", "transport": "datagram"}}
    assert measure(ran(loss, network__links=links), "success_ratio", "web", DURING) == pytest.approx(0.5, abs=0.08)
    for faults in ((loss, double(**LINK)), (double(**LINK), loss)):
        assert measure(ran(*faults, network__links=links), "success_ratio", "web", DURING) == pytest.approx(0.75, abs=0.08)


def test_what_is_published_and_what_is_delivered_twice_is_handled_twice():
    """200 messages of two seconds, each twice: published twice they are two messages, delivered twice they are one."""
    calm, published, delivered = shop(), shop(double(link="orders->events")), shop(double(link="events->mailer"))
    assert group(published)["offered"] == pytest.approx(group(calm)["offered"] + 200, abs=2)
    assert group(delivered)["offered"] == group(calm)["offered"] == group(delivered)["acked"]
    assert handled(delivered) == handled(published) == pytest.approx(handled(calm) + 200, abs=2)
    assert group(shop(double(**EVENTS)))["offered"] == group(published)["offered"]
    lost = {"measure": "lost_messages", "of": "events", "at_most": 0}
    forgotten = shop(double(link="orders->events"), delivery="at_most_once", checks=[lost])
    assert group(forgotten)["handled"] == pytest.approx(group(published)["acked"], abs=2)
    assert forgotten.summary["checks"][0]["measured"] == 0


def test_receivers_that_know_better_do_the_work_once():
    """Every order of four seconds is charged and published twice, under the same key: one write and one message of each."""
    result = run(Scenario.model_validate({
        "name": "careful", "duration": "12s", "network": {"default": {"latency": "1ms"}},
        "services": {"shop": {"code": "tests.faults.careful:Shop"}, "charges": {"code": "tests.faults.careful:Charges"},
                     "db": {"kind": "database"}, "events": {"kind": "broker"}},
        "workloads": {"users": {"rate": "50/s", "arrivals": "uniform", "to": "shop", "mix": [{"send": "POST /orders"}]}},
        "faults": [{**double(link=f"shop->{callee}"), "name": callee, "schedule": {"at": "4s", "for": "4s"}} for callee in ("charges", "events")],
    }))
    orders = result.summary["requests"]["ok"]
    assert result.summary["requests"]["failed"] == 0
    assert result.summary["services"]["charges"]["requests"] == pytest.approx(orders + 200, abs=2)
    assert result.summary["databases"]["db"]["writes"] == pytest.approx(orders, abs=1)
    events = result.summary["brokers"]["events"]
    assert (events["stored"], events["duplicates"]) == (pytest.approx(orders, abs=1), pytest.approx(200, abs=2))


def test_two_of_them_make_three_of_one():
    """A copy is not doubled again."""
    result = ran({**double(**LINK), "name": "one"}, {**double(service="back"), "name": "two"})
    assert served(result) == pytest.approx(300, abs=2)
    assert len(result.spans.of(SpanKind.CLIENT)) == len(ran().spans.of(SpanKind.CLIENT))


def test_correlation_makes_runs_and_leaves_the_share():
    """Half of the requests, ten times as long in a row."""
    result = ran({**double(**LINK), "probability": "50%", "correlation": "90%", "schedule": {"at": "1s", "for": "10s"}})
    assert off(result)[0] == pytest.approx(500, abs=170)


def test_a_match_that_fits_nothing_is_a_warning():
    """It names the cause."""
    (warning,) = ran(double(**LINK, match={"path": "/none"})).summary["warnings"]
    assert "fitted `match`" in warning["why"]
