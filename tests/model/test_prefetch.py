"""What a consumer is sent ahead: it keeps the workers busy, waits at its side and in order, and goes with the process."""

from __future__ import annotations

from typing import Any

import pytest

from sim import loads, run
from sim.model.messages import Response
from sim.model.messaging import Publisher
from sim.model.network import Delay, Drop
from tests.model.platform_world import Platform, platform


def system(work: str = "10ms", prefetch: int | None = None, workers: int = 1, instances: int = 1, broker: dict[str, Any] | None = None,
           **more: Any) -> dict[str, Any]:
    """A shop that publishes, a mailer with one worker, a broker."""
    mailer = {"subscribe": {"order": {"do": [{"sleep": work}], "prefetch": prefetch}}, "endpoints": {"GET /": []},
              "workers": workers, "instances": instances, **more}
    return {"shop": {}, "mailer": mailer, "events": {"kind": "broker", "latency": "0ms", "ack_wait": "5s", **(broker or {})}}


def publish(lab: Platform, number: int) -> None:
    """So many messages at once."""
    publisher = Publisher(lab.instance("shop-0"))

    async def send() -> None:
        for body in range(number):
            lab.loop.create_task(publisher.publish("order", body=body))

    lab.loop.run_until_complete(send())


def group(lab: Platform) -> dict[str, Any]:
    """The figures of the mailer's group."""
    return lab.world.node("events").figures()["groups"]["mailer"]


def handled(lab: Platform) -> list[int]:
    """What mailers are at work on from now on, in order."""
    bodies: list[int] = []
    for instance in lab.world.node("mailer").instances:
        instance.wrap(lambda exchange, handle: (bodies.append(exchange.request.body.json), handle(exchange))[1])
    return bodies


@pytest.mark.parametrize(("prefetch", "seconds"), [(None, 0.5), (1, 1.5)])
def test_a_worker_does_not_wait_for_the_network(prefetch, seconds):
    """Fifty messages of 10 ms over ways of 10 ms: one after the other, unless each has to be acknowledged before the next is sent."""
    with platform(system(prefetch=prefetch)) as lab:
        publish(lab, 50)
        lab.run(0.02 + seconds - 0.005)
        assert lab.world.node("mailer").instances[0].busy.value or prefetch == 1
        lab.run(0.02)
        assert (group(lab)["acked"], group(lab)["lag"]) == (50, 0)


def test_lag_grows_by_what_the_workers_cannot_do():
    """V59 on links as they are by default: 1,200/s where a worker that needs 1 ms does 1,000/s, a lag of 200 each second (2 %)."""
    result = run(loads("""
name: lag
duration: 5s
services:
  shop: {workers: 1000, endpoints: {POST /: [{publish: order}]}}
  mailer: {workers: 1, subscribe: {order: [{work: 1ms}]}}
  events: {kind: broker}
workloads: {users: {executor: constant-arrival-rate, rate: 1200/s, arrivals: uniform, to: shop, mix: [{send: POST /}]}}
"""), 1)
    assert result.summary["brokers"]["events"]["groups"]["mailer"]["lag"] == pytest.approx(1000, rel=0.02)


def test_what_waits_takes_nobodys_place_in_the_line():
    """Two hundred sent ahead and a line of one: no message is turned away, and a request waits for one of them and not for all."""
    with platform(system(prefetch=200, work="100ms", queue={"limit": 1}, broker={"ack_wait": "60s"})) as lab:
        publish(lab, 200)
        lab.run(0.15)
        assert lab.timed(lab.client("mailer")) == (200, pytest.approx(0.12, abs=0.1))
        lab.run(21)
        assert (group(lab)["deliveries"], group(lab)["naks"], group(lab)["acked"]) == (200, 0, 200)


def test_a_line_without_places_takes_messages_all_the_same():
    """They are due when a worker is: `queue: {limit: 0}` turns away requests."""
    with platform(system(workers=2, queue={"limit": 0})) as lab:
        publish(lab, 20)
        lab.run(1)
        assert (group(lab)["naks"], group(lab)["acked"]) == (0, 20)


def test_on_a_connection_no_message_overtakes_another():
    """A link that delays every other message by 30 ms: TCP hands them over in order."""
    with platform(system(prefetch=10)) as lab:
        done, turn = handled(lab), iter(range(100))
        with lab.world.link("events", "mailer").rule(lambda message: Delay(0.03) if next(turn) % 2 else None):
            publish(lab, 20)
            lab.run(2)
        assert done == list(range(20))


def test_who_is_killed_loses_what_it_was_sent_ahead():
    """Five are with it; the broker hears of the end at once, and sends them again when their time is over."""
    with platform(system(work="200ms")) as lab:
        publish(lab, 5)
        lab.run(0.1)
        lab.instance("mailer-0").kill()
        lab.instance("mailer-0").start()
        lab.run(4.5)
        assert (group(lab)["deliveries"], group(lab)["acked"], group(lab)["ack_timeouts"]) == (5, 0, 0)
        lab.run(2)
        assert (group(lab)["acked"], group(lab)["ack_timeouts"], group(lab)["duplicates"]) == (5, 5, 0)


@pytest.mark.parametrize("end", ["drain", "terminate"])
def test_who_ends_in_good_order_handles_what_it_was_sent_ahead(end):
    """Drained, or told to end: the five that it has are handled, the rest goes to the other one."""
    with platform(system(work="200ms", instances=2)) as lab:
        publish(lab, 20)
        lab.run(0.1)
        leaver = lab.instance("mailer-0")
        leaver.drain() if end == "drain" else leaver.set_terminating(True)
        lab.run(4)
        assert (group(lab)["acked"], group(lab)["redeliveries"]) == (20, 0)
        assert leaver.up is (end == "terminate")


def test_who_stands_still_goes_on_in_order():
    """A pause of a second: what comes meanwhile waits, and nothing is lost."""
    with platform(system()) as lab:
        done = handled(lab)
        lab.instance("mailer-0").pause()
        publish(lab, 10)
        lab.run(1)
        assert done == []
        lab.instance("mailer-0").resume()
        lab.run(1)
        assert (done, group(lab)["acked"]) == (list(range(10)), 10)


def test_what_the_door_turns_away_makes_room_for_the_next():
    """Nobody waits longer than 50 ms for the only worker, which a request has for a second: the messages are sent again later."""
    services = system(queue={"max_wait": "50ms"}, broker={"redelivery_delay": "100ms"})
    services["mailer"]["endpoints"] = {"GET /": [{"sleep": "1s"}]}
    with platform(services) as lab:
        lab.loop.create_task(lab.call(lab.client("mailer")))
        lab.run(0.05)
        publish(lab, 10)
        lab.run(3)
        assert group(lab)["naks"] > 10
        assert (group(lab)["acked"], group(lab)["lag"]) == (10, 0)


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_lost_datagram_keeps_nobody_from_the_next(way):
    """The first ten are lost, or their answers are: the others are handled at once, and the lost ones come again when their time is over."""
    with platform(system()) as lab:
        there, back, sent = lab.world.link("events", "mailer"), lab.world.link("mailer", "events"), iter(range(1000))
        there.transport = back.transport = "datagram"
        with (there if way == "there" else back).rule(lambda message: Drop() if next(sent) < 10 else None):
            publish(lab, 30)
            lab.run(1)
            assert group(lab)["acked"] == 20
            lab.run(6)
        assert (group(lab)["acked"], group(lab)["redeliveries"]) == (30, 10)


# handled more than once

def test_a_message_whose_acknowledgement_was_lost_is_handled_twice():
    """It is done, the broker does not know, and sends it again: one duplicate, whatever becomes of the second acknowledgement."""
    with platform(system(broker={"ack_wait": "1s"})) as lab:
        with lab.world.link("mailer", "events").rule(lambda message: Drop()):
            publish(lab, 1)
            lab.run(0.5)
        assert group(lab)["duplicates"] == 0
        lab.run(2)
        assert (group(lab)["acked"], group(lab)["deliveries"], group(lab)["duplicates"]) == (1, 2, 1)


@pytest.mark.parametrize(("broker", "gone"), [({"max_messages": 1}, "expired"), ({"ack_wait": "1s", "max_deliver": 1}, "dead_lettered")])
def test_what_is_handled_once_is_no_duplicate_though_the_broker_has_given_it_up(broker, gone):
    """Two messages that take two seconds each: the stream forgets one, or both are dead letters, and each is handled once."""
    with platform(system(work="2s", workers=2, broker=broker)) as lab:
        publish(lab, 2)
        lab.run(4)
        assert group(lab)[gone] >= 1
        assert (group(lab)["deliveries"], group(lab)["duplicates"]) == (2, 0)


def test_what_fails_and_then_succeeds_is_no_duplicate():
    """Only what went well counts; and whoever answers in place of the handler frees its worker."""
    with platform(system(broker={"redelivery_delay": "0s"})) as lab:
        fails = iter([True, False])

        async def failing(exchange: Any, handle: Any) -> Response | None:
            if next(fails):
                exchange.operation = exchange.request.operation
                return Response(500)
            return await handle(exchange)

        lab.instance("mailer-0").wrap(failing)
        publish(lab, 1)
        lab.run(1)
        assert (group(lab)["naks"], group(lab)["acked"], group(lab)["duplicates"]) == (1, 1, 0)
