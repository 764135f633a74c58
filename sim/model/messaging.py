"""Messages, and how a service publishes one.

    publisher ──▶ PRODUCER span ──over the link──▶ broker ──▶ confirm: it is stored          (at least once)
                                                      └────▶ nothing comes back              (at most once)

Without a confirm the publisher goes on at once and never learns whether the message arrived.
"""

from __future__ import annotations

from asyncio import Future, sleep
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sim.errors import TargetNotFound
from sim.model.messages import MESSAGE_SIZE, NO_HEADERS, Answer, Exchange, Request, Response
from sim.model.network import LOST, LinkFailed, Packet
from sim.telemetry.codes import Outcome, Reason, SpanKind
from sim.telemetry.columns import pack_span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sim.model.broker import Broker
    from sim.model.client import Client
    from sim.model.instance import Instance
    from sim.model.world import World

PRODUCER, CONSUMER, OK, FAILED = int(SpanKind.PRODUCER), int(SpanKind.CONSUMER), int(Outcome.OK), int(Outcome.FAILED)
CANCELLED, ERROR = int(Reason.CANCELLED), int(Reason.ERROR)
SENT = Response(202)  # what a publisher without confirm knows
DELIVER = "DELIVER"  # the method of a message's way from the broker to a subscriber
MESSAGE_ID = "nats-msg-id"  # the header by which a stream recognises what it has stored already


Deliver = Literal["all", "new", "last"]


@dataclass(frozen=True)
class Subscription:
    """Who gets the messages that fit a pattern.

    All subscribers to it in the same *group* share them: each message goes to one instance. Without sharing (*everyone*) each
    instance gets all. *prefetch*: so many are with one instance at a time, None as many as it works on and some that wait there.
    *broker* None: the only one.

    It begins *start_after* seconds into the run, and of a stream with what is published from then on (*deliver* `new`), with `all` that the
    stream has, or with the `last` of that. While a message is handled the broker is told so every *in_progress* seconds (None: never).
    """

    group: str = ""  # "": named after the service
    everyone: bool = False
    prefetch: int | None = None
    broker: str | None = None
    deliver: Deliver = "new"
    start_after: float = 0.0
    in_progress: float | None = None

    @property
    def of_streams(self) -> list[str]:
        """What it asks for that only a stream has."""
        return [name for name, asked in (("deliver", self.deliver != "new"), ("in_progress", self.in_progress is not None)) if asked]


class Message:
    """What was published. *sequence* counts from 1 in a stream and is 0 without one; *at* is when the broker took it, in seconds."""

    __slots__ = ("at", "body", "headers", "holders", "key", "operation", "parent", "poisoned", "sequence", "size", "subject", "trace")

    def __init__(self, subject: str, request: Request, at: float, sequence: int = 0) -> None:
        self.subject = subject
        self.body = request.body
        self.headers = request.headers
        self.key = request.key
        self.size = request.size
        self.trace, self.parent, self.operation = request.trace, request.parent, request.operation
        self.at = at
        self.sequence = sequence
        self.holders: list[Any] = []  # entries of the consumers that have not settled it
        self.poisoned = False  # whoever handles it fails


class Delivery:
    """A message as a subscriber gets it; *number* is 1 the first time. *tell* sends word that it is being worked on; *ended* is told when
    that is over, and whether it went well."""

    __slots__ = ("_ended", "_message", "_tell", "number")

    def __init__(self, message: Message, number: int, ended: Callable[[Exchange, bool], None],
                 tell: Callable[[], None] | None = None) -> None:
        self._message, self._ended, self._tell = message, ended, tell
        self.number = number

    @property
    def subject(self) -> str:
        """What it was published as."""
        return self._message.subject

    @property
    def json(self) -> Any:
        """Its body."""
        return self._message.body

    @property
    def headers(self) -> Mapping[str, str]:
        """What came with the body."""
        return self._message.headers

    @property
    def key(self) -> str | None:
        """What order is kept by."""
        return self._message.key

    @property
    def id(self) -> str:
        """The publisher's id of it, or its place in the stream; the same at every delivery."""
        return self._message.headers.get(MESSAGE_ID) or f"{self._message.subject}-{self._message.sequence}"

    @property
    def redelivered(self) -> bool:
        """Somebody has had it before, and may have handled it."""
        return self.number > 1

    def in_progress(self) -> None:
        """Tell the stream that this takes longer: its `ack_wait` begins anew, when the word has got there.

        Raise RuntimeError where nobody waits for an acknowledgement.
        """
        if self._tell is None:
            raise RuntimeError(f"{self.subject!r} was delivered at most once: nobody waits for its acknowledgement")
        self._tell()

    @property
    def poisoned(self) -> bool:
        """A fault has spoiled it: nobody can handle it."""
        return self._message.poisoned


class Publisher:
    """One instance's way to a broker; *broker* None: the only one that there is. Raise TargetNotFound where that is not so."""

    def __init__(self, instance: Instance, broker: str | None = None) -> None:
        self.broker = broker_of(instance.world, broker)
        self.client = instance.client(self.broker.name)
        self.recorder = instance.recorder

    async def publish(self, subject: str, *, trace: int = 0, parent: int = 0, operation: int | None = None, body: Any = None,
                      headers: Mapping[str, str] = NO_HEADERS, key: str | None = None, size: int = MESSAGE_SIZE,
                      message_id: str | None = None, confirm: bool | None = None) -> Response:
        """Publish *body* as *subject*; it is recorded as a PRODUCER span below the span *parent*.

        With *confirm* (None: as the broker's delivery has it) the answer is the broker's, or says why there is none; without, it
        is 202 at once. A stream stores a *message_id* once, however often it is published within its `duplicate_window`.
        """
        client, recorder = self.client, self.recorder
        if message_id is not None:
            headers = {**headers, MESSAGE_ID: message_id}
        if operation is None:
            operation = recorder.operation(f"publish {subject}")
        span, start = recorder.next_span(), client.env._now
        request = Request("POST", f"/{subject}", trace, span, operation, headers, size, body, key)
        status, outcome = CANCELLED, FAILED
        self.broker.counts["published"] += 1
        try:
            if self.broker.confirms if confirm is None else confirm:
                response = await client.call(request)
            else:
                _cast(client, request)
                response = SENT
            status, outcome = response.reason or response.status, OK if response.status < 400 else FAILED
            return response
        finally:
            recorder.write_span(pack_span(
                span, parent, trace, start, client.env._now, 0.0, client.edge.caller_index, client.edge.callee_index, operation,
                client.source.index, status, 1, PRODUCER, outcome))


def _cast(client: Client, request: Request) -> None:
    """Send *request* and forget it: no answer, no error, and no second try but TCP's."""
    hosts = client.discovered.reachable
    instance = client.balancer.pick(hosts, client.env._now, client.rng, request.key) if hosts else None
    if instance is None:
        return
    answer: Future[Response] = Future(loop=client.loop)
    answer.cancel()
    exchange = Exchange(request, answer, instance, client, 1, request.parent)

    def arrive(delay: float) -> None:
        client.edge.lost -= 1
        client.loop.post(delay, instance.arrive, exchange)

    packet = Packet(arrive)
    try:
        delay = client.edge.there.delay(client.source, instance, request, None, exchange, packet)
    except LinkFailed:
        return
    client.edge.sent += 1
    client.edge.lost += 1
    if delay != LOST:
        packet.arrive(delay)


def broker_of(world: World, name: str | None) -> Broker:
    """The broker called *name*, or the only one; raise TargetNotFound where that is not so."""
    from sim.model.broker import Broker  # it sees this module

    if name is not None:
        found = world.node(name)
        if not isinstance(found, Broker):
            raise TargetNotFound(f"{name!r} is no broker: give it `kind: broker`, or name one that is")
        return found
    brokers = [node for node in world.nodes.values() if isinstance(node, Broker)]
    if len(brokers) != 1:
        names = ", ".join(broker.name for broker in brokers)
        raise TargetNotFound(f"there are {len(brokers)} brokers: name one of {names} in `to`" if brokers
                             else "there is no broker to publish to: add `events: {kind: broker}` to the services")
    return brokers[0]


async def consume(exchange: Exchange, instance: Instance, handle: Callable[[Exchange], Awaitable[Response | None]],
                  every: float | None = None) -> Response | None:
    """Let *handle* do what *instance* does with the message in *exchange*; it is recorded as a CONSUMER span of the broker's.

    Meanwhile the broker is told *every* so many seconds that it is in progress.
    """
    recorder, env, request = instance.recorder, instance.env, exchange.request
    exchange.operation = request.operation
    span, start, status = recorder.next_span(), env._now, ERROR
    telling = instance.loop.create_task(_keep_telling(request.body, every), name=f"{instance.name} in progress") if every else None
    try:
        response = Answer(500) if request.body.poisoned else await handle(exchange)
        status = response.status if response is not None else 200
        return response
    finally:
        if telling is not None:
            telling.cancel()
        request.body._ended(exchange, 0 < status < 400)
        recorder.write_span(pack_span(
            span, exchange.span, request.trace, start, env._now, 0.0, instance.node.index, exchange.client.edge.caller_index,
            recorder.operation(f"process {request.path}"), instance.index, status, request.body.number, CONSUMER,
            OK if 0 < status < 400 else FAILED))


async def _keep_telling(delivery: Delivery, every: float) -> None:
    while True:
        await sleep(every)
        delivery.in_progress()
