"""What a broker refuses, drops and forgets: ours beside a real nats-server, case by case."""

from __future__ import annotations

import asyncio

import pytest

from sim.model.messaging import Publisher
from tests.conformance.nats_server import executable, running
from tests.model.platform_world import Platform, platform

nats = pytest.importorskip("nats")
pytestmark = pytest.mark.skipif(executable() is None, reason="nats-server is not installed: apt-get install nats-server")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("nats")) as address:
        yield address


def really(address: str, name: str, test, **config):
    """What *test(stream, name)* finds on the real server, with a stream of that name and its consumer `work`."""

    async def run():
        connection = await nats.connect(address)
        stream = connection.jetstream()
        await stream.add_stream(name=name, subjects=[f"{name}.work"], **config)
        try:
            return await test(stream, name)
        finally:
            await connection.close()

    return asyncio.run(run())


async def all_of(stream, name: str, ack_wait: float = 30.0) -> list[int]:
    """Everything that the real consumer still gets, acknowledged."""
    pull = await stream.pull_subscribe(f"{name}.work", durable="work", config=nats.js.api.ConsumerConfig(ack_wait=ack_wait))
    got = []
    while True:
        try:
            (message,) = await pull.fetch(1, timeout=0.3)
        except TimeoutError:
            return got
        got.append(int(message.data))
        await message.ack_sync()


def simulated(**broker) -> dict:
    """A shop, a consumer that is there when it is started, and a stream."""
    return {"shop": {}, "work": {"subscribe": {"work": [{"work": "1ms"}]}}, "events": {"kind": "broker", **broker}}


def publish(lab: Platform, *bodies: int, **options) -> list[tuple[int, object]]:
    """Status and body of what the broker answers to each."""
    publisher = Publisher(lab.instance("shop-0"))
    answers = [lab.loop.run_until_complete(publisher.publish("work", body=body, **options)) for body in bodies]
    return [(answer.status, answer.body) for answer in answers]


def handled(lab: Platform) -> list[int]:
    """What the consumer gets, once it runs."""
    got: list[int] = []
    work = lab.instance("work-0")
    with work.intercepted(lambda exchange, proceed: (got.append(exchange.request.body.json), proceed(exchange))):
        if not work.up:
            work.start()
        lab.run(1)
    return got


def test_an_id_that_was_published_before_is_stored_once(server):
    """The second publication is confirmed as a duplicate, with the sequence of the first."""

    async def real(stream, name):
        acks = [await stream.publish(f"{name}.work", b"1", headers={"Nats-Msg-Id": "a"}) for _ in range(2)]
        return [(ack.seq, bool(ack.duplicate)) for ack in acks], await all_of(stream, name)

    with platform(simulated()) as lab:
        lab.instance("work-0").kill()
        answers = publish(lab, 1, 1, message_id="a")
        ours = [(body["sequence"], body["duplicate"]) for _, body in answers], handled(lab)
    assert really(server, "ids", real) == ours


def test_a_full_stream_refuses_what_is_new(server):
    """Three fit: the fourth is refused; and the first three are delivered."""

    async def real(stream, name):
        taken = []
        for body in range(4):
            try:
                await stream.publish(f"{name}.work", str(body).encode())
                taken.append(True)
            except nats.js.errors.APIError:
                taken.append(False)
        return taken, await all_of(stream, name)

    with platform(simulated(max_messages=3, discard="new")) as lab:
        lab.instance("work-0").kill()
        taken = [status == 200 for status, _ in publish(lab, 0, 1, 2, 3)]
        ours = taken, handled(lab)
    assert really(server, "full", real, max_msgs=3, discard="new") == ours == ([True, True, True, False], [0, 1, 2])


def test_a_full_stream_drops_what_is_old(server):
    """Three fit: of five the last three are left."""

    async def real(stream, name):
        for body in range(5):
            await stream.publish(f"{name}.work", str(body).encode())
        return await all_of(stream, name)

    with platform(simulated(max_messages=3)) as lab:
        lab.instance("work-0").kill()
        publish(lab, *range(5))
        ours = handled(lab)
    assert really(server, "old", real, max_msgs=3, discard="old") == ours == [2, 3, 4]


def test_what_is_too_old_is_dropped(server):
    """Half a second is the largest age: of what was published before that nothing is left."""

    async def real(stream, name):
        await stream.publish(f"{name}.work", b"0")
        await asyncio.sleep(0.8)
        await stream.publish(f"{name}.work", b"1")
        return await all_of(stream, name)

    with platform(simulated(max_age="500ms")) as lab:
        lab.instance("work-0").kill()
        publish(lab, 0)
        lab.run(0.8)
        publish(lab, 1)
        ours = handled(lab)
    assert really(server, "age", real, max_age=0.5) == ours == [1]


@pytest.mark.parametrize(("retention", "left"), [("limits", 3), ("interest", 0)])
def test_what_has_been_acknowledged_stays_or_goes(server, retention, left):
    """With limits a stream keeps it until it is full or too old; with interest it goes when everybody has acknowledged it."""

    async def real(stream, name):
        await stream.pull_subscribe(f"{name}.work", durable="work")
        for body in range(3):
            await stream.publish(f"{name}.work", str(body).encode())
        await all_of(stream, name)
        return (await stream.stream_info(name)).state.messages

    with platform(simulated(max_messages=10, retention=retention)) as lab:
        publish(lab, *range(3))
        handled(lab)
        ours = lab.world.node("events").figures()["in_stream"]
    assert really(server, f"keep-{retention}", real, max_msgs=10, retention=retention) == ours == left


def test_a_late_acknowledgement_counts(server):
    """Acknowledged after it has been sent out again: it is not sent a third time."""

    async def real(stream, name):
        await stream.publish(f"{name}.work", b"0")
        config = nats.js.api.ConsumerConfig(ack_wait=0.4)
        pull = await stream.pull_subscribe(f"{name}.work", durable="work", config=config)
        (first,) = await pull.fetch(1, timeout=1)
        (second,) = await pull.fetch(1, timeout=2)
        await first.ack()
        deliveries = [first.metadata.num_delivered, second.metadata.num_delivered]
        return deliveries + await all_of(stream, name, ack_wait=0.4)

    services = simulated(ack_wait="400ms", latency="0ms")
    services["work"] = {"workers": 10, "subscribe": {"work": [{"sleep": "700ms"}]}}
    with platform(services, latency="1ms") as lab:
        got: list[int] = []
        work = lab.instance("work-0")
        with work.intercepted(lambda exchange, proceed: (got.append(exchange.request.body.number), proceed(exchange))):
            publish(lab, 0)
            lab.run(3)
    assert really(server, "late", real) == got == [1, 2]


@pytest.mark.parametrize(("deliver", "limits", "got"), [
    ("all", {}, [0, 1, 2, 3, 4]), ("last", {}, [2, 3, 4]), ("new", {}, [3, 4]), ("all", {"max_messages": 2}, [1, 2, 3, 4])])
def test_who_comes_later_gets_what_there_is_of_what_it_wants(server, deliver, limits, got):
    """Three messages before it comes and two after: all that are there, the last and on, or only what is new."""

    async def real(stream, name):
        for body in range(3):
            await stream.publish(f"{name}.work", str(body).encode())
        config = nats.js.api.ConsumerConfig(deliver_policy=nats.js.api.DeliverPolicy(deliver))
        pull = await stream.pull_subscribe(f"{name}.work", durable="work", config=config)
        found = []
        for body in (None, 3, 4):
            if body is not None:
                await stream.publish(f"{name}.work", str(body).encode())
            while True:
                try:
                    (message,) = await pull.fetch(1, timeout=0.2)
                except TimeoutError:
                    break
                found.append(int(message.data))
                await message.ack_sync()
        return found

    services = simulated(**limits)
    services["work"] = {"subscribe": {"work": {"do": [], "deliver": deliver, "start_after": "1s"}}}
    with platform(services) as lab:
        publish(lab, *range(3))
        lab.run(0.9)
        ours = handled(lab)
        with lab.instance("work-0").intercepted(lambda exchange, proceed: (ours.append(exchange.request.body.json), proceed(exchange))):
            publish(lab, 3, 4)
            lab.run(1)
    config = {"max_msgs": limits["max_messages"]} if limits else {}
    assert really(server, f"later-{deliver}-{len(limits)}", real, **config) == ours == got


def test_a_subscriber_that_is_too_slow_loses_what_its_buffer_cannot_hold(server):
    """It handles the first message for a while; ten more fit, and of the other nineteen it hears nothing."""

    async def real() -> list[int]:
        async def ignore(error):
            pass

        connection, publisher = await nats.connect(server, error_cb=ignore), await nats.connect(server)
        got: list[int] = []
        go_on = asyncio.Event()

        async def slow(message):
            got.append(int(message.data))
            await go_on.wait()

        await connection.subscribe("work", cb=slow, pending_msgs_limit=10)
        await connection.flush()
        for body in range(30):
            await publisher.publish("work", str(body).encode())
            if body == 0:
                await publisher.flush()
                await asyncio.sleep(0.1)  # it has taken the first one
        await publisher.flush()
        await asyncio.sleep(0.1)
        go_on.set()
        await asyncio.sleep(0.1)
        await connection.close()
        await publisher.close()
        return got

    services = {"shop": {}, "work": {"subscribe": {"work": {"do": [{"sleep": "1s"}], "prefetch": 1}}},
                "events": {"kind": "broker", "delivery": "at_most_once", "max_pending": 10}}
    with platform(services, latency="1ms") as lab:
        ours: list[int] = []
        work = lab.instance("work-0")
        with work.intercepted(lambda exchange, proceed: (ours.append(exchange.request.body.json), proceed(exchange))):
            publish(lab, *range(30))
            lab.run(20)
        assert [event["instance"] for event in lab.events("broker.slow_consumer")] == ["work-0"]
        assert lab.world.node("events").figures()["groups"]["work"]["dropped"] == 19
    assert asyncio.run(real()) == ours == list(range(11))


def test_nobody_hears_what_was_said_before_they_came(server):
    """At most once, and no subscriber yet: it is gone, and the publisher is not told."""

    async def real() -> list[int]:
        connection = await nats.connect(server)
        await connection.publish("early", b"0")
        await connection.flush()
        late = await connection.subscribe("early")
        await connection.flush()
        await connection.publish("early", b"1")
        first = await late.next_msg(1)
        await connection.close()
        return [int(first.data)]

    with platform(simulated(delivery="at_most_once")) as lab:
        lab.instance("work-0").kill()
        assert publish(lab, 0) == [(202, None)]
        lab.run(1)
        lab.instance("work-0").start()
        lab.run(0)
        publish(lab, 1)
        ours = handled(lab)
        assert lab.world.node("events").figures()["unheard"] == 1
    assert asyncio.run(real()) == ours == [1]
