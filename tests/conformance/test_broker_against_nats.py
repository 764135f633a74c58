"""Our broker beside a real nats-server: the same scripts, the same deliveries."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from functools import partial
from itertools import chain

import pytest

from sim.model.messaging import Publisher
from tests.conformance.broker_scripts import ACK_WAIT, CORE, NAK_DELAY, PART, STREAMS, Core, Seen, Stream
from tests.conformance.nats_server import executable, running
from tests.model.platform_world import platform

nats = pytest.importorskip("nats")
pytestmark = pytest.mark.skipif(executable() is None, reason="nats-server is not installed: apt-get install nats-server")
CLOSE = 0.3  # seconds that a real server and its client may be late


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("nats")) as address:
        yield address


# at most once

def simulated_core(script: Core) -> dict[str, list[int]]:
    """What each subscriber of ours gets: the indices of publications."""
    services = {name: {"subscribe": {pattern: {"do": [], "group": queue or f"{name} alone"}}}
                for name, pattern, queue in script.subscribers}
    got: dict[str, list[int]] = {name: [] for name in services}
    services |= {"shop": {}, "events": {"kind": "broker", "delivery": "at_most_once"}}

    def note(name, exchange, proceed):
        got[name].append(exchange.request.body.json)
        proceed(exchange)

    with platform(services, latency="1ms") as lab, ExitStack() as hooks:
        for name in got:
            hooks.enter_context(lab.instance(f"{name}-0").intercepted(partial(note, name)))
        publisher = Publisher(lab.instance("shop-0"))
        for index, subject in enumerate(script.subjects):
            lab.loop.run_until_complete(publisher.publish(subject, body=index))
            lab.run(0.01)
    return got


async def real_core(address: str, script: Core) -> dict[str, list[int]]:
    """The same from the real server."""
    connections = {name: await nats.connect(address) for name, _, _ in script.subscribers}
    got: dict[str, list[int]] = {name: [] for name in connections}

    async def note(name, message):
        got[name].append(int(message.data))

    for name, pattern, queue in script.subscribers:
        await connections[name].subscribe(pattern, queue=queue, cb=partial(note, name))
        await connections[name].flush()
    publisher = await nats.connect(address)
    for index, subject in enumerate(script.subjects):
        await publisher.publish(subject, str(index).encode())
    await publisher.flush()
    await asyncio.sleep(0.1)
    for connection in (publisher, *connections.values()):
        await connection.close()
    return got


@pytest.mark.parametrize("name", CORE)
def test_core_subscribers_get_what_real_ones_get(server, name):
    """Alone: the same messages in the same order. In a queue: each message once for the queue, in order for each member."""
    script = CORE[name]
    ours, real = simulated_core(script), asyncio.run(real_core(server, script))
    for who, _, queue in script.subscribers:
        if not queue:
            assert ours[who] == real[who]
    for queue in {queue for _, _, queue in script.subscribers if queue}:
        members = [who for who, _, its in script.subscribers if its == queue]
        for got in (ours, real):
            assert all(got[who] == sorted(got[who]) for who in members)
        assert sorted(chain(*(ours[who] for who in members))) == sorted(chain(*(real[who] for who in members)))
    assert [bool(got) for got in ours.values()] == [bool(got) for got in real.values()]


# at least once

def simulated_stream(script: Stream) -> Seen:
    """What a consumer of ours sees."""
    seen, started = Seen(), 0.0
    services = {
        "shop": {},
        "consumer": {"code": "tests.conformance.nats_consumer:Consumer", "instances": script.members, "workers": 100,
                     "config": {"act": script.does}},
        "events": {"kind": "broker", "ack_wait": f"{ACK_WAIT}s", "max_deliver": script.max_deliver, "redelivery_delay": f"{NAK_DELAY}s",
                   "max_ack_pending": script.max_ack_pending, "latency": "0ms"},
    }

    def note(exchange, proceed):
        seen.note(exchange.request.body.json["index"], lab.loop.time() - started)
        proceed(exchange)

    with platform(services, latency="1ms") as lab, ExitStack() as hooks:
        for number in range(script.members):
            hooks.enter_context(lab.instance(f"consumer-{number}").intercepted(note))
        publisher = Publisher(lab.instance("shop-0"))
        for index in range(len(script.messages)):
            lab.loop.run_until_complete(publisher.publish("work", body={"index": index}))
        lab.run(script.for_seconds)
        seen.dead = sorted(event["sequence"] - 1 for event in lab.events("broker.dead_letter"))
    return seen


async def real_stream(address: str, name: str, script: Stream) -> Seen:
    """The same from JetStream, with pull consumers."""
    loop, seen = asyncio.get_running_loop(), Seen()
    connection = await nats.connect(address)
    stream = connection.jetstream()
    await stream.add_stream(name=name, subjects=[f"{name}.work"])
    for index in range(len(script.messages)):
        await stream.publish(f"{name}.work", str(index).encode())

    async def given_up(message):
        seen.dead.append(json.loads(message.data)["stream_seq"] - 1)

    for advisory in ("MAX_DELIVERIES", "MSG_TERMINATED"):
        await connection.subscribe(f"$JS.EVENT.ADVISORY.CONSUMER.{advisory}.{name}.work", cb=given_up)
    config = nats.js.api.ConsumerConfig(ack_wait=ACK_WAIT, max_deliver=script.max_deliver, max_ack_pending=script.max_ack_pending)
    started = None

    async def member() -> None:
        nonlocal started
        pull = await stream.pull_subscribe(f"{name}.work", durable="work", config=config)
        until = loop.time() + script.for_seconds
        while (left := until - loop.time()) > 0.02:
            try:
                (message,) = await pull.fetch(1, timeout=left)
            except TimeoutError:
                break
            now = loop.time()
            started = now if started is None else started
            index = int(message.data)
            number = seen.note(index, now - started)
            assert number == message.metadata.num_delivered
            match script.does(index, number):
                case "ack":
                    await message.ack()
                case "nak":
                    await message.nak(delay=NAK_DELAY)
                case "term":
                    await message.term()
                case "say":
                    await asyncio.sleep(PART)
                    await message.in_progress()
                case "long":
                    for _ in range(2):
                        await asyncio.sleep(PART)
                        await message.in_progress()
                    await asyncio.sleep(PART)
                    await message.ack()

    await asyncio.gather(*(member() for _ in range(script.members)))
    await connection.close()
    seen.dead.sort()
    return seen


@pytest.fixture(scope="module")
def real_streams(server) -> dict[str, Seen]:
    """All scripts at once, since they take real seconds."""

    async def run() -> dict[str, Seen]:
        found = await asyncio.gather(*(real_stream(server, f"s{number}", script) for number, script in enumerate(STREAMS.values())))
        return dict(zip(STREAMS, found, strict=True))

    return asyncio.run(run())


def differences(ours: Seen, real: Seen, members: int) -> list[str]:
    """What is not the same: order of first deliveries, number and times of deliveries of each message, and who was given up."""
    found = []
    if members == 1 and ours.first != real.first:
        found.append(f"came first in the order {ours.first}, really {real.first}")
    for index in sorted({*ours.times, *real.times}):
        mine, its = ours.times.get(index, []), real.times.get(index, [])
        if len(mine) != len(its) or any(abs(a - b) > CLOSE for a, b in zip(mine, its, strict=True)):
            found.append(f"message {index} came at {mine}, really at {its}")
    if ours.dead != real.dead:
        found.append(f"given up: {ours.dead}, really {real.dead}")
    return found


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_delivers_as_jetstream_does(server, real_streams, name):
    """The same deliveries at the same times, and the same messages given up. A machine that was busy has a second chance."""
    script = STREAMS[name]
    ours = simulated_stream(script)
    if differences(ours, real_streams[name], script.members):
        assert not differences(ours, asyncio.run(real_stream(server, f"again{list(STREAMS).index(name)}", script)), script.members)
