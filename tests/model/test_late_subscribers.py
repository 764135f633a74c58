"""Subscribers that come later and what a stream has for them; messages that are worked on for longer than a stream waits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sim import Delivery, Service, loads, subscribe
from sim.errors import InvalidInput
from sim.model.messages import Request
from sim.model.messaging import Message, Publisher
from sim.model.network import Drop
from sim.scenario.problems import InvalidFile
from tests.model.platform_world import Platform, platform


def system(subscription: dict[str, Any], **broker: Any) -> dict[str, Any]:
    """A shop that publishes, a mailer from the beginning, an auditor with *subscription*, a stream."""
    return {"shop": {}, "mailer": {"subscribe": {"order.created": []}}, "audit": {"workers": 4, "subscribe": {"order.*": subscription}},
            "events": {"kind": "broker", "latency": "0ms", **broker}}


def publish(lab: Platform, *bodies: Any) -> None:
    """One after the other, as `order.created`."""
    publisher = Publisher(lab.instance("shop-0"))
    for body in bodies:
        lab.loop.run_until_complete(publisher.publish("order.created", body=body))


def heard(lab: Platform, who: str = "audit-0") -> list[Any]:
    """A list that fills with the bodies of what an instance is given, with the number of the delivery where it is not the first."""
    bodies: list[Any] = []
    lab.instance(who).intercept(lambda exchange, proceed: (note(exchange.request.body), proceed(exchange)))

    def note(delivery: Delivery) -> None:
        bodies.append(delivery.json if delivery.number == 1 else f"{delivery.json} again")

    return bodies


def figures(lab: Platform, name: str) -> dict[str, Any]:
    return lab.world.node("events").figures()["groups"][name]


# who comes later

@pytest.mark.parametrize(("deliver", "broker", "got"), [
    ("all", {}, [0, 1, 2, 3, 4, 5, 6]),
    ("last", {}, [4, 5, 6]),
    ("new", {}, [5, 6]),
    ("all", {"max_messages": 3}, [2, 3, 4, 5, 6]),
    ("all", {"max_age": "3s"}, [3, 4, 5, 6]),
    ("all", {"retention": "interest"}, [5, 6]),
])
def test_a_late_group_begins_where_it_says(deliver, broker, got):
    """Five messages, one a second, all handled by the mailer; then the auditor comes, and two more: it gets what there is of what it wants."""
    with platform(system({"do": [], "start_after": "5500ms", "deliver": deliver}, **broker)) as lab:
        bodies = heard(lab)
        for body in range(5):
            publish(lab, body)
            lab.run(1)
        lab.run(1)
        publish(lab, 5, 6)
        lab.run(1)
        assert bodies == got
        assert figures(lab, "audit")["offered"] == figures(lab, "audit")["acked"] == len(got)
        assert figures(lab, "mailer")["acked"] == 7


def test_a_new_instance_that_wants_all_for_itself_learns_everything():
    """Each instance keeps a copy of what was said (`everyone`): one that is added later catches up."""
    with platform(system({"do": [], "everyone": True, "deliver": "all"})) as lab:
        publish(lab, 0, 1, 2)
        lab.run(1)
        lab.world.node("audit").add_instance()
        late = heard(lab, "audit-1")
        lab.run(1)
        publish(lab, 3)
        lab.run(1)
        assert late == [0, 1, 2, 3]


def test_what_nobody_could_want_later_is_forgotten():
    """Without limits a stream keeps what was handled only where somebody may come for it."""
    for deliver, left in (("new", 0), ("all", 3)):
        with platform(system({"do": [], "deliver": deliver})) as lab:
            publish(lab, 0, 1, 2)
            lab.run(1)
            assert lab.world.node("events").figures()["in_stream"] == left


# who takes longer

LONG = {"do": [{"sleep": "5s"}]}


@pytest.mark.parametrize(("in_progress", "got"), [(None, ["a", "a again", "a again", "a again", "a again"]), ("400ms", ["a"])])
def test_a_consumer_that_says_it_is_at_work_is_left_in_peace(in_progress, got):
    """Five seconds of work where a stream waits for one: told every 400 ms, it goes on waiting; untold, it sends the message once a second:
    all four workers do the same, and the first of them then does it again."""
    subscription = LONG if in_progress is None else {**LONG, "in_progress": in_progress}
    with platform(system(subscription, ack_wait="1s")) as lab:
        bodies = heard(lab)
        publish(lab, "a")
        lab.run(5.5)
        assert bodies == got
        assert (figures(lab, "audit")["acked"], figures(lab, "audit")["ack_timeouts"]) == (1, len(got) - 1 + (in_progress is None))


def test_words_that_do_not_come_do_not_count():
    """The way back to the broker is cut for two seconds: nothing is heard for longer than a second, and the message goes out again."""
    with platform(system({**LONG, "in_progress": "400ms"}, ack_wait="1s")) as lab:
        bodies = heard(lab)
        publish(lab, "a")
        lab.run(1)
        with lab.world.link("audit", "events").rule(lambda message: Drop()):
            lab.run(2)
        lab.run(10)
        assert bodies[:2] == ["a", "a again"]


def test_a_process_that_stands_still_says_nothing():
    """Paused after a second: a second after its last word another instance has the message."""
    services = system({**LONG, "in_progress": "400ms"}, ack_wait="1s")
    services["audit"]["instances"] = 2
    with platform(services) as lab:
        first, second = heard(lab, "audit-0"), heard(lab, "audit-1")
        publish(lab, "a")
        lab.run(1)
        lab.instance("audit-0").pause()
        lab.run(2)
        assert (first, second) == (["a"], ["a again"])


def test_a_word_that_comes_after_the_failure_changes_nothing():
    """Failed after 1.01 s, when a word is still under way: the next try comes after its delay of 3 s, and not earlier or later."""
    fails = {"do": [{"sleep": "401ms"}, {"fail": {"share": "100%"}}], "in_progress": "400ms"}
    with platform(system(fails, ack_wait="1s", redelivery_delay="3s", max_deliver=2), latency="10ms") as lab:
        times: list[float] = []
        lab.instance("audit-0").intercept(lambda exchange, proceed: (times.append(lab.loop.time()), proceed(exchange)))
        publish(lab, "a")
        lab.run(10)
        assert times[1] - times[0] == pytest.approx(0.401 + 0.01 + 3 + 0.01)


class Patient(Service):
    """Says that it is at work when it has done a part."""

    @subscribe("order.created")
    async def parts(self, message: Delivery) -> None:
        for _ in range(3):
            await self.work(0.8)
            message.in_progress()
        await self.work(0.8)

    @subscribe("order.paid", deliver="all", start_after=5.0, in_progress=0.5)
    async def long(self, message: Delivery) -> None:
        await self.work(4)


def test_service_code_says_so_itself_or_lets_it_be_said():
    """Four parts of 0.8 s are not delivered twice where a stream waits for one second, nor is a late one of four seconds."""
    with platform({"shop": {}, "code": {"code": f"{__name__}:Patient"}, "events": {"kind": "broker", "ack_wait": "1s"}}) as lab:
        publisher = Publisher(lab.instance("shop-0"))
        for subject in ("order.created", "order.paid"):
            lab.loop.run_until_complete(publisher.publish(subject))
        lab.run(12)
        groups = lab.world.node("events").figures()["groups"]
        assert {name: (one["deliveries"], one["acked"]) for name, one in groups.items()} == {"code": (1, 1), "code order.paid": (1, 1)}


def test_at_most_once_nobody_waits():
    """What is of streams is refused before anything runs, as the world is built, and in the code that says it."""
    with pytest.raises(InvalidInput, match=re.escape("code subscribes to 'order.paid' with `deliver`, which is of streams")), platform(
            {"code": {"code": f"{__name__}:Patient"}, "events": {"kind": "broker", "delivery": "at_most_once"}}):
        pass
    with pytest.raises(InvalidFile, match=r"its subscription to 'order\.paid': `deliver` is of streams"):
        loads(f"name: code\nduration: 1s\nservices:\n  code: {{code: '{__name__}:Patient'}}\n"
              "  events: {kind: broker, delivery: at_most_once}\n")
    delivery = Delivery(Message("order.created", Request("POST", "/"), 0.0), 1, lambda exchange, well: None)
    with pytest.raises(RuntimeError, match="nobody waits for its acknowledgement"):
        delivery.in_progress()


SOUND = """
name: late
duration: 10s
services:
  shop: {endpoints: {POST /: [{publish: order.created}]}}
  audit: {subscribe: {order.*: {do: [], deliver: all, start_after: 5s, in_progress: 1s}}}
  events: {kind: broker}
"""


@pytest.mark.parametrize(("old", "new", "at", "what", "cure"), [
    ("kind: broker", "kind: broker, delivery: at_most_once", "deliver:", "`deliver` is of streams, and 'events' delivers at most once",
     "write `delivery: at_least_once` at events, or remove it"),
    ("kind: broker", "kind: broker, delivery: at_most_once", "in_progress:", "`in_progress` is of streams", "or remove it"),
    ("kind: broker", "kind: broker, ack_wait: 1s", "1s}}}", "the first word would come too late", "say so more often than every 1s"),
    ("deliver: all", "deliver: everything", "everything", "should be 'all', 'new' or 'last', not 'everything'", ""),
    ("deliver: all", "deliver_policy: all", "deliver_policy", "unknown key 'deliver_policy'", "did you mean 'deliver'?"),
    ("start_after: 5s", "start_after: 5", "5,", "a duration needs a unit", "write '5ms' or '5s'"),
])
def test_mistakes_are_told_with_place_and_cure(old, new, at, what, cure):
    """What is of streams, what comes too late, values that are none."""
    loads(SOUND)
    with pytest.raises(InvalidFile) as caught:
        loads(SOUND.replace(old, new))
    told = [problem for problem in caught.value.problems if problem.source_line[problem.col - 1 :].startswith(at)]
    assert any(what in problem.what and cure in problem.cure for problem in told), caught.value
