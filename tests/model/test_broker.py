"""Messages: groups, order, redelivery, dead letters, what is lost and what is not."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from sim import loads, run
from sim.model.messages import Response
from sim.model.messaging import Publisher
from sim.model.network import Drop
from sim.telemetry.codes import SpanKind
from tests.model.platform_world import Platform, platform


def system(do: list[Any] | None = None, instances: int = 1, subscribe: dict[str, Any] | None = None, **broker: Any) -> dict[str, Any]:
    """A shop that publishes, a mailer that handles `order.created`, a broker."""
    return {"shop": {}, "mailer": {"instances": instances, "workers": 4, "subscribe": subscribe or {"order.created": do or []}},
            "events": {"kind": "broker", "latency": "0ms", **broker}}


class Deliveries:
    """What instances have been given: (seconds, instance, body, number)."""

    def __init__(self, lab: Platform, *nodes: str) -> None:
        self.lab = lab
        self.seen: list[tuple[float, str, Any, int]] = []
        self._hooks = ExitStack()
        for node in nodes:
            for instance in lab.world.node(node).instances:
                self._hooks.enter_context(instance.intercepted(self._note))

    def _note(self, exchange: Any, proceed: Any) -> None:
        delivery = exchange.request.body
        self.seen.append((round(self.lab.loop.time(), 6), exchange.instance.name, delivery.json, delivery.number))
        proceed(exchange)

    @property
    def bodies(self) -> list[Any]:
        """In the order of arrival."""
        return [body for _, _, body, _ in self.seen]


def publish(lab: Platform, *bodies: Any, subject: str = "order.created", **options: Any) -> list[int]:
    """Publish each, one after the other; the statuses."""
    publisher = Publisher(lab.instance("shop-0"))
    return [lab.loop.run_until_complete(publisher.publish(subject, body=body, **options)).status for body in bodies]


def group(lab: Platform, name: str = "mailer") -> dict[str, Any]:
    """The figures of a group."""
    return lab.world.node("events").figures()["groups"][name]


# who gets what

def test_a_group_shares_the_messages_and_each_group_gets_all():
    """Two mailers share forty messages; the auditor gets all forty."""
    services = system(instances=2) | {"audit": {"subscribe": {"order.>": []}}}
    with platform(services) as lab:
        mailers, audit = Deliveries(lab, "mailer"), Deliveries(lab, "audit")
        publish(lab, *range(40))
        lab.run(1)
        assert sorted(mailers.bodies) == audit.bodies == list(range(40))
        assert {sum(who == f"mailer-{number}" for _, who, _, _ in mailers.seen) for number in range(2)} == {20}


def test_everyone_gets_each_message_where_that_is_asked_for():
    """Every instance drops its cache: three instances, three deliveries."""
    with platform(system(instances=3, subscribe={"order.created": {"do": [], "everyone": True}})) as lab:
        seen = Deliveries(lab, "mailer")
        publish(lab, "flush")
        lab.run(1)
        assert sorted(who for _, who, _, _ in seen.seen) == ["mailer-0", "mailer-1", "mailer-2"]


def test_services_that_name_the_same_group_share_its_messages():
    """Two services, one queue: each message goes to one of them."""
    services = system(subscribe={"order.created": {"do": [], "group": "workers"}})
    services["helper"] = {"subscribe": {"order.created": {"do": [], "group": "workers"}}}
    with platform(services) as lab:
        seen = Deliveries(lab, "mailer", "helper")
        publish(lab, *range(10))
        lab.run(1)
        assert sorted(seen.bodies) == list(range(10))
        assert {who for _, who, _, _ in seen.seen} == {"mailer-0", "helper-0"}


def test_an_instance_takes_as_many_at_a_time_as_it_has_workers_or_is_told():
    """Four workers, 100 ms each, twelve messages: three rounds; with a prefetch of one it is twelve."""
    for prefetch, rounds in ((None, 3), (1, 12)):
        with platform(system(subscribe={"order.created": {"do": [{"sleep": "100ms"}], "prefetch": prefetch}}), latency="0ms") as lab:
            seen = Deliveries(lab, "mailer")
            publish(lab, *range(12))
            lab.run(3)
            assert len({when for when, _, _, _ in seen.seen}) == rounds


def test_a_message_is_a_step_of_the_trace_that_published_it():
    """Producer, broker, consumer: one trace, and what the consumer calls belongs to it too."""
    result = run(loads("""
name: traces
duration: 2s
services:
  shop: {endpoints: {POST /: [{publish: order.created}]}}
  mailer: {subscribe: {order.created: [{work: 1ms}, {call: smtp}]}}
  smtp: {kind: external, latency: 5ms}
  events: {kind: broker}
workloads: {users: {executor: constant-arrival-rate, rate: 10/s, to: shop, mix: [{send: POST /}]}}
"""), 1)
    spans, nodes = result.spans, list(result.names.nodes)
    for trace in (1, 5):
        mine = spans[spans.trace == trace]
        assert len(mine.of(SpanKind.PRODUCER)) == len(mine.of(SpanKind.CONSUMER)) == 1
        assert {nodes[node] for node in mine.of(SpanKind.SERVER).node} == {"shop", "events", "mailer", "smtp"}
        assert nodes[int(mine.of(SpanKind.CONSUMER).peer[0])] == "events"
    ids = set(spans.id.tolist()) | {0}
    assert set(spans.parent.tolist()) <= ids


# publishers

def test_a_confirm_says_that_the_message_is_stored():
    """A stream answers after the way there and back; at most once the publisher goes on at once."""
    for delivery, status, took in (("at_least_once", 200, 0.02), ("at_most_once", 202, 0.0)):
        with platform(system(delivery=delivery)) as lab:
            start = lab.loop.time()
            assert publish(lab, 1) == [status]
            assert lab.loop.time() - start == pytest.approx(took)


def test_a_publisher_learns_that_a_broker_is_down_only_with_a_confirm():
    """The stream's publisher gets 503; at most once the message is lost, and the books say so."""
    for delivery, status in (("at_least_once", 503), ("at_most_once", 202)):
        with platform(system(delivery=delivery)) as lab:
            lab.instance("events-0").kill()
            assert publish(lab, 1) == [status]
            lab.run(1)
            figures = lab.world.node("events").figures()
            assert (figures["published"], figures["received"]) == (1, 0)


def test_a_step_that_cannot_publish_fails_its_endpoint():
    """503 of the broker is 503 of the shop; and 413 for a message beyond the limit."""
    services = system(max_message_size="1KiB")
    big = {"publish": {"subject": "order.created", "size": "2KiB"}}
    services["shop"] = {"endpoints": {"POST /": [{"publish": "order.created"}], "POST /big": [big]}}
    with platform(services) as lab:
        client = lab.client("shop")
        assert [lab.ask(client, "POST", path).status for path in ("/", "/big")] == [200, 413]
        lab.instance("events-0").kill()
        assert lab.ask(client, "POST").status == 503
        assert sum(instance.rejected for instance in lab.world.node("events").ever) == 1  # the other one found nobody to refuse it


def test_a_cluster_works_while_most_of_it_is_up():
    """Three servers: one may fail; with two down nothing is stored, and what was stored is delivered when one is back."""
    with platform(system(instances=1) | {"events": {"kind": "broker", "instances": 3}}) as lab:
        seen = Deliveries(lab, "mailer")
        lab.instance("events-0").kill()
        assert publish(lab, 1) == [200]
        lab.instance("events-1").kill()
        assert publish(lab, 2) == [503]
        lab.instance("events-1").start()
        lab.run(1)
        assert publish(lab, 3) == [200]
        lab.run(1)
        assert seen.bodies == [1, 3]


def test_a_server_that_comes_back_leaves_the_cluster_to_who_leads_it():
    """Only the failure of the leader breaks off what is under way: it comes again after the wait, and nothing does when it is back."""
    services = system([{"sleep": "1s"}]) | {"events": {"kind": "broker", "instances": 3, "ack_wait": "3s"}}
    with platform(services) as lab:
        seen = Deliveries(lab, "mailer")
        publish(lab, 1)
        lab.instance("events-0").kill()
        lab.run(5)
        publish(lab, 2)
        lab.instance("events-0").start()
        lab.run(5)
        assert [(body, number) for _, _, body, number in seen.seen] == [(1, 1), (1, 2), (2, 1)]


def test_a_leader_that_stands_still_has_a_successor():
    """For as long as an election takes, four seconds, nothing is stored; then it is, and the old leader that goes on leads no more."""
    with platform(system(instances=1) | {"events": {"kind": "broker", "instances": 3}}) as lab:
        seen = Deliveries(lab, "mailer")
        lab.instance("events-0").pause()
        lab.run(1)
        awake = [lab.instance(f"events-{number}") for number in (1, 2)]
        publisher = Publisher(lab.instance("shop-0"))
        publisher.client.discovered = SimpleNamespace(reachable=awake)
        assert lab.loop.run_until_complete(publisher.publish("order.created", body=1)).status == 503
        lab.run(3.1)
        assert lab.loop.run_until_complete(publisher.publish("order.created", body=2)).status == 200
        lab.instance("events-0").resume()
        lab.run(1)
        assert seen.bodies == [2] and lab.world.node("events").leader is awake[0]
        for server in awake:
            server.pause()
        assert not lab.world.node("events").working  # the one who is left is no majority
        awake[1].resume()
        lab.run(5)
        assert lab.world.node("events").working


# redelivery

def test_a_killed_subscriber_loses_nothing_and_may_do_something_twice():
    """It dies with two messages in work: after the wait they come again, to the one who is left."""
    with platform(system([{"sleep": "1s"}], instances=2, ack_wait="5s")) as lab:
        seen = Deliveries(lab, "mailer")
        publish(lab, *range(4))
        lab.instance("mailer-0").kill()
        lab.run(10)
        again = [(who, number) for _, who, _, number in seen.seen if number == 2]
        assert again == [("mailer-1", 2)] * 2
        assert (group(lab)["acked"], group(lab)["lag"], group(lab)["ack_timeouts"]) == (4, 0, 2)


def test_a_lost_acknowledgement_makes_a_duplicate():
    """The way back is cut for a moment: handled, but the broker does not know, and it is handled again."""
    with platform(system([{"work": "1ms"}], ack_wait="1s")) as lab:
        seen = Deliveries(lab, "mailer")
        with lab.world.link("mailer", "events").rule(lambda message: Drop()):
            publish(lab, 1)
            lab.run(0.5)
        lab.run(2)
        assert [number for _, _, _, number in seen.seen] == [1, 2]
        assert group(lab)["acked"] == 1


def test_the_first_failure_waits_less_than_the_next():
    """A list of delays: 1 s after the first, 5 s after the second and all others."""
    with platform(system([{"fail": {"status": 500}}], redelivery_delay=["1s", "5s"], max_deliver=4), latency="0ms") as lab:
        seen = Deliveries(lab, "mailer")
        publish(lab, 1)
        lab.run(30)
        assert [when for when, _, _, _ in seen.seen] == [0, 1, 6, 11]


def test_what_is_delivered_too_often_is_a_dead_letter_and_can_be_driven_again():
    """Three tries, then it is put aside with an event; offered again it is handled by a mailer that is well."""
    with platform(system([{"fail": {"status": 500}}], redelivery_delay="10ms", max_deliver=3)) as lab:
        publish(lab, 1, 2)
        lab.run(1)
        assert (group(lab)["dead_lettered"], group(lab)["lag"], group(lab)["deliveries"]) == (2, 0, 6)
        assert [(event["reason"], event["deliveries"]) for event in lab.events("broker.dead_letter")] == [("max_deliver", 3)] * 2
        mailer = lab.instance("mailer-0")
        with mailer.intercepted(lambda exchange, proceed: mailer.reply(exchange, Response(200))):
            assert lab.world.node("events").groups[0].redrive() == 2
            lab.run(1)
        assert (group(lab)["acked"], group(lab)["lag"], group(lab)["offered"]) == (2, 0, 4)


def test_the_next_message_of_a_key_waits_for_the_one_before():
    """a1 fails once: a2 and a3 come after its second try, b1 does not wait; without order a2 overtakes."""
    for order, expected in (("key", ["a1", "b1", "a1", "a2", "a3"]), ("none", ["a1", "a2", "a3", "b1", "a1"])):
        with platform(system([{"sleep": "10ms"}], order=order, redelivery_delay="1s")) as lab:
            seen = Deliveries(lab, "mailer")
            events = lab.world.node("events")
            events.poisons = lambda message: message.body == "a1"
            for body in ("a1", "a2", "a3", "b1"):
                publish(lab, body, key=body[0])
            for message in events.stream.messages.values():
                lab.loop.after(0.5, setattr, message, "poisoned", False)
            lab.run(5)
            assert seen.bodies == expected


def test_few_may_be_pending():
    """Two at a time, whoever is free: a slow consumer holds the others back, and the lag shows it."""
    with platform(system([{"sleep": "1s"}], instances=3, max_ack_pending=2)) as lab:
        seen = Deliveries(lab, "mailer")
        publish(lab, *range(6))
        lab.run(0.5)
        assert (len(seen.seen), group(lab)["lag"]) == (2, 6)


# faults

def test_a_broker_that_was_down_delivers_what_it_had():
    """Messages of a stream outlive it; those under way are delivered again. At most once, they are gone."""
    for delivery, left in (("at_least_once", [1, 1]), ("at_most_once", [1])):
        extra = {"ack_wait": "2s"} if delivery == "at_least_once" else {}
        with platform(system([{"sleep": "1s"}], delivery=delivery, **extra)) as lab:
            seen = Deliveries(lab, "mailer")
            publish(lab, 1)
            lab.run(0.1)
            lab.instance("events-0").kill()
            lab.instance("events-0").start()
            lab.run(10)
            assert seen.bodies == left


def test_a_poisoned_message_fails_wherever_it_is_handled():
    """One in three: the others are handled, it becomes a dead letter."""
    with platform(system([], max_deliver=2, redelivery_delay="10ms")) as lab:
        lab.world.node("events").poisons = lambda message: message.body == 1
        publish(lab, *range(3))
        lab.run(1)
        assert (group(lab)["acked"], group(lab)["dead_lettered"]) == (2, 1)


def test_what_is_under_way_can_be_delivered_once_more():
    """The hook of a fault: all that is not acknowledged goes out again, before its time."""
    with platform(system([{"sleep": "1s"}])) as lab:
        seen = Deliveries(lab, "mailer")
        publish(lab, 1)
        lab.run(0.1)
        stream = lab.world.node("events").groups[0]
        stream.redeliver(stream.unacked)
        lab.run(5)
        assert [number for _, _, _, number in seen.seen] == [1, 2]
        assert (group(lab)["acked"], group(lab)["duplicates"]) == (1, 1)


def test_an_instance_that_leaves_for_good_leaves_no_messages_behind():
    """Of everyone's messages its own expire with it, and new ones are not kept for it; a new instance gets its own."""
    with platform(system(instances=2, subscribe={"order.created": {"do": [{"sleep": "1s"}], "everyone": True}})) as lab:
        node, gone = lab.world.node("mailer"), lab.instance("mailer-1")
        publish(lab, *range(6))
        gone.draining = True
        gone.kill()
        node.left(gone)
        node.changed()
        lab.world.node("mailer").add_instance()
        lab.run(10)
        publish(lab, "last")
        lab.run(2)
        assert (group(lab, "mailer-1")["expired"], group(lab, "mailer-1")["lag"], group(lab, "mailer-1")["offered"]) == (6, 0, 6)
        assert (group(lab, "mailer-0")["acked"], group(lab, "mailer-2")["acked"]) == (7, 1)


# figures against theory

def test_lag_grows_and_falls_by_the_difference_of_the_rates():
    """V59, at a tenth of its rates: 120/s against 100/s for 60 s is a lag of 1,200; at 80/s it is gone 60 s later (2 %)."""
    result = run(loads("""
name: lag
duration: 130s
network: {default: {latency: 0ms}}
services:
  shop: {workers: 100000, queue: {limit: 100000}, endpoints: {POST /: [{publish: order.created}]}}
  mailer: {workers: 1, subscribe: {order.created: [{work: 100ms}]}, instances: 10}
  events: {kind: broker, latency: 0ms}
workloads:
  users:
    executor: ramping-arrival-rate
    to: shop
    arrivals: uniform
    start_rate: 120/s
    stages: [{duration: 60s, target: 120/s}, {duration: 1ms, target: 80/s}, {duration: 70s, target: 80/s}]
    mix: [{send: POST /}]
"""), 1)
    lag = result.series("events", "lag", "mailer")

    def at(seconds: float) -> float:
        return float(lag.mean[abs(lag.at - seconds).argmin()])

    assert at(60) == pytest.approx(1200, rel=0.02)
    assert at(30) == pytest.approx(600, rel=0.03)
    assert at(90) == pytest.approx(600, rel=0.03)
    assert at(117) == pytest.approx(60, abs=15)
    assert at(125) < 20


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_the_books_are_balanced_whatever_happens(delivery):
    """Kills, pauses, losses and failures: each message is settled, lost, dropped or still there (asserted at the end of every run)."""
    more = "ack_wait: 1s, max_deliver: 3, redelivery_delay: 100ms, order: key" if delivery == "at_least_once" else "max_pending: 5"
    result = run(loads(f"""
name: books
duration: 20s
services:
  shop: {{endpoints: {{POST /: [{{publish: {{subject: "order.{{uniform:3}}", key: {{uniform: {{items: 5}}}}}}}}]}}}}
  mailer: {{instances: 2, workers: 2, startup: 500ms, subscribe: {{order.*: [{{work: {{exponential: 15ms}}}}, {{fail: 10%}}]}}}}
  audit: {{subscribe: {{order.1: [], order.>: {{do: [{{sleep: 5ms}}], everyone: true}}}}}}
  events: {{kind: broker, delivery: {delivery}, {more}}}
workloads: {{users: {{executor: constant-arrival-rate, rate: 100/s, to: shop, mix: [{{send: POST /}}]}}}}
faults:
  - {{kind: instance.kill, target: {{service: mailer, mode: one}}, schedule: {{every: 4s, from: 2s}}, restart_after: 1s}}
  - {{kind: instance.pause, target: {{service: audit}}, schedule: {{at: 5s, for: 3s}}}}
  - {{kind: network.loss, target: {{link: events->mailer}}, schedule: {{at: 9s, for: 3s}}, loss: 30%, transport: datagram}}
  - {{kind: instance.kill, target: {{service: events}}, schedule: {{at: 14s, for: 1s}}}}
"""), 1)
    books = result.summary["brokers"]["events"]
    assert books["published"] > 1900
    assert books["received"] == books["stored"] + books["refused"] + books["duplicates"]
    assert books["received"] < books["published"]
