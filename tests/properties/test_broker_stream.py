"""A stream under any mixture of handlers, deaths and outages: each message is settled once, in the order of its key."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim.model.messages import Response
from sim.model.messaging import Publisher
from tests.model.platform_world import platform

MOST = 3  # deliveries
STEPS = st.lists(st.one_of(
    st.tuples(st.just("publish"), st.sampled_from("abc"), st.sampled_from(["ok", "fail once", "fail", "hang once", "no use"])),
    st.tuples(st.just("kill"), st.integers(0, 1)), st.tuples(st.just("start"), st.integers(0, 1)),
    st.tuples(st.just("broker down")), st.tuples(st.just("broker up")), st.tuples(st.just("wait"), st.integers(1, 30)),
), max_size=25)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.sampled_from(["none", "key"]))
def test_every_message_is_settled_once_and_in_order(steps: list[tuple[Any, ...]], order: str) -> None:
    """Whatever happens in between: when all are up again, each is acknowledged or a dead letter, after at most three deliveries."""
    services = {"shop": {}, "worker": {"instances": 2, "workers": 2, "subscribe": {"work": [{"sleep": "10ms"}]}},
                "events": {"kind": "broker", "latency": "0ms", "order": order, "ack_wait": "1s", "max_deliver": MOST,
                           "redelivery_delay": "100ms"}}
    with platform(services, latency="1ms") as lab:
        stored: list[tuple[str, int]] = []
        given_out: list[tuple[str, int, int]] = []

        def handle(exchange: Any, proceed: Any) -> None:
            delivery = exchange.request.body
            word, number = delivery.json["does"], delivery.number
            given_out.append((delivery.key, delivery.json["id"], number))
            if word == "fail" or (word == "fail once" and number == 1):
                exchange.instance.reply(exchange, Response(500))
            elif word == "no use":
                exchange.instance.reply(exchange, Response(422))
            elif not (word == "hang once" and number == 1):
                proceed(exchange)

        def both(name: str) -> None:
            for number in range(2):
                getattr(lab.instance(f"worker-{number}"), name)()

        publisher, broker = Publisher(lab.instance("shop-0")), lab.instance("events-0")
        with lab.instance("worker-0").intercepted(handle), lab.instance("worker-1").intercepted(handle):
            for number, step in enumerate(steps):
                match step:
                    case ("publish", key, does):
                        answer = lab.loop.run_until_complete(publisher.publish("work", body={"id": number, "does": does}, key=key))
                        stored += [(key, number)] if answer.status == 200 else []
                    case ("kill" | "start" as act, which):
                        getattr(lab.instance(f"worker-{which}"), act)()
                    case ("broker down",):
                        broker.kill()
                    case ("broker up",):
                        broker.start()
                    case ("wait", tenths):
                        lab.run(tenths / 10)
            broker.start()
            both("start")
            lab.run(60)
        figures = lab.world.node("events").figures()["groups"]["worker"]
        assert figures["lag"] == 0
        assert figures["acked"] + figures["dead_lettered"] == figures["offered"] == len(stored)
        assert {(key, number) for key, number, _ in given_out} == set(stored)
        assert max((number for _, _, number in given_out), default=0) <= MOST
        if order == "key":
            for key in "abc":
                mine = [number for k, number, _ in given_out if k == key]
                assert mine == sorted(mine)
