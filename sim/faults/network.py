"""Faults of the network: rules that are laid on links while they last.

Rules compose by themselves: delays add, and a message survives if every rule lets it pass. A message that is under way when a
fault begins or ends is not touched any more: it left under the rules of its own time. What TCP has to send again leaves again.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import NormalDist
from typing import ClassVar, Literal

from pydantic import Field

from sim.errors import ConnectFailed, ConnectionReset
from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.faults.targets import LinkTarget, Side, in_way, on_way
from sim.model.messages import Exchange
from sim.model.network import (
    FIRST_RTO,
    GIVEN_UP,
    LAST_RTO,
    LOST,
    Delay,
    Drop,
    Fail,
    Link,
    LinkFailed,
    Message,
    Packet,
    Rule,
    Verdict,
    lossy,
)
from sim.spec import Mistake
from sim.units import Bandwidth, Duration, Share, Size

REFUSAL = 0.0  # seconds after which a rejected sender knows: the packet filter is its own machine's


class LinkFault(Fault):
    """A fault of messages."""

    comes_first: ClassVar[bool] = False  # it meets also the messages that other faults take away
    target: LinkTarget

    @abstractmethod
    def rule(self, link: Link, at: Injection) -> Rule:
        """What becomes of a message on *link* while the fault is on."""
        raise NotImplementedError

    def ways(self, at: Injection) -> list[tuple[Side, Side]]:
        """The directions in which messages are hit."""
        return self.target.ways(at.world, at.rng)

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        with ExitStack() as rules:
            for way in self.ways(at):
                at.targets.extend(names_of_way(way))
                belongs = in_way(way)

                def lay(link: Link, belongs: Callable[[Message], bool] | None = belongs) -> None:
                    rules.enter_context(link.rule(self._counted(self.rule(link, at), belongs, at), self.comes_first))

                rules.enter_context(at.world.each_link(on_way(way), lay))
            yield

    def _counted(self, rule: Rule, belongs: Callable[[Message], bool] | None, at: Injection) -> Rule:
        def counted(message: Message) -> Verdict:
            if belongs is not None and not belongs(message):
                return None
            at.seen += 1
            verdict = rule(message)
            if verdict is not None:
                at.hits += 1
            return verdict

        return counted

    def mistakes(self, system: System) -> Iterator[Mistake]:
        return self.target.mistakes(system)

    def missed(self, at: Injection) -> Reason:
        ways = ", ".join(at.targets)
        if at.seen:
            return because("no message on link by chance", number=at.seen, ways=ways)
        return because("no message on link", ways=ways)


def names_of_way(way: tuple[Side, Side]) -> list[str]:
    """`orders->payments`, for every pair of names."""
    source, target = way
    return [f"{here}->{there}" for here in source.names for there in target.names]


class NetworkDelay(LinkFault):
    """Every message takes *latency* longer, give or take a *jitter* that is uniform, as netem's is without a `distribution`.

    `normal`: the jitter is the standard deviation; `pareto`: most messages are a little sooner and a few much later, up to four times the
    jitter. *correlation* is that of the jitter of a message with the one before it. Only the given *probability* of messages is delayed.

    `{kind: network.delay, target: {link: orders->payments}, schedule: {at: 60s, for: 30s}, latency: 500ms, jitter: 50ms}`
    """

    severity: ClassVar[str] = "latency"
    kind: Literal["network.delay"] = "network.delay"
    latency: Duration
    jitter: Duration = 0.0
    distribution: Literal["uniform", "normal", "pareto"] = "uniform"
    correlation: Share = 0.0
    probability: Share = 1.0

    def does_nothing(self) -> bool:
        return super().does_nothing() and not self.jitter

    def rule(self, link: Link, at: Injection) -> Rule:
        draw, shape = correlated(at, self.correlation), JITTERS[self.distribution]
        latency, jitter, probability = self.latency, self.jitter, self.probability

        def delay(message: Message) -> Verdict:
            if not at.happens(probability):
                return None
            seconds = latency + jitter * shape(draw()) if jitter else latency
            return Delay(max(0.0, seconds) * at.strength)

        return delay


def _uniform(share: float) -> float:
    return 2 * share - 1


def _normal(share: float) -> float:
    return max(-WIDEST, min(WIDEST, NormalDist().inv_cdf(max(share, 2**-53))))


def _pareto(share: float) -> float:
    """Pareto with a shape of 3, its mean moved to 0. Source: NIST Net's table, which tc-netem ships (iproute2, netem/pareto.c)."""
    return min(WIDEST, (math.pow(1 - share, -1 / 3) - 1.5) * 4 / 3)


WIDEST = 4.0  # jitters; netem's tables end there
JITTERS: dict[str, Callable[[float], float]] = {"uniform": _uniform, "normal": _normal, "pareto": _pareto}  # of a number of 0..1


class NetworkPartition(LinkFault):
    """Nothing gets through. `drop`: in silence, so that callers wait until their own patience ends; `reject`: the sender learns at once.

    On TCP what was dropped is sent again (after 0.2 s, doubling up to 120 s; from 1 s where it opens a connection), and gets through when
    the network has healed, unless its caller has left by then and has closed the connection; a datagram is gone.

    `{kind: network.partition, target: {from: {zone: a}, to: {zone: b}, direction: both}, schedule: {at: 60s, for: 20s}}`
    """

    kind: Literal["network.partition"] = "network.partition"
    how: Literal["drop", "reject"] = "drop"

    def rule(self, link: Link, at: Injection) -> Rule:
        if self.how == "reject":
            refused = Fail(lambda: ConnectFailed(f"no route {link.source} -> {link.target}"), REFUSAL)
            return lambda message: refused
        return _silence(at) if link.transport == "tcp" else lambda message: Drop()


def _silence(at: Injection) -> Rule:
    """Nothing gets through, and TCP does not know: it tries again, and later and later."""
    tried: dict[tuple[Exchange | Packet, bool], tuple[float, float]] = {}  # the last timeout, and when it was first sent (seconds)
    clock, post = at.world.loop.time, at.world.loop.post

    def drop(message: Message) -> Verdict:
        packet = message.packet
        what = packet or message.exchange
        if what is not None:
            which = what, message.response is None
            last, first = tried.get(which, ((FIRST_RTO if packet is None else packet.timeout) / 2, clock()))
            timeout = min(2 * last, LAST_RTO)
            if clock() + timeout - first <= GIVEN_UP:
                tried[which] = timeout, first
                post(timeout, send_again, message)
        return Drop()

    return drop


def send_again(message: Message) -> None:
    """A retransmission, which takes its chance with whatever is on the link now."""
    exchange, response, packet = message.exchange, message.response, message.packet
    if packet is not None:
        if not packet.over():
            message.link.send(packet, message.source, message.target, message.request, response, exchange)
        return
    assert exchange is not None, "what belongs to no call and no connection is not sent again"
    if exchange.answer.done():
        return
    client = exchange.client
    try:
        delay = message.link.delay(message.source, message.target, message.request, response, exchange)
    except LinkFailed as failed:
        client.loop.post(failed.verdict.after, client.broken, exchange, failed.verdict.error())
        return
    if delay == LOST:
        return
    if response is None:
        client.edge.lost -= 1
        deliver(exchange, delay)
    else:
        client.loop.post(delay, client.answered, exchange, response)


def deliver(exchange: Exchange, delay: float) -> None:
    """Let a request arrive after *delay* seconds; LOST: never."""
    client = exchange.client
    if client.carry is not None:
        client.carry(exchange, delay)
    elif delay != LOST:
        client.loop.post(delay, exchange.instance.arrive, exchange)


class NetworkLoss(LinkFault):
    """Each packet is lost with a probability of *loss*: on TCP a message is then late by retransmission timeouts (0.2 s, doubling),
    a datagram never comes. *correlation*: so much depends on the fate of the packet before; the share that is lost stays *loss*.

    `{kind: network.loss, target: {service: orders-db, direction: both}, schedule: {at: 60s, for: 30s}, loss: 2%}`
    """

    severity: ClassVar[str] = "loss"
    kind: Literal["network.loss"] = "network.loss"
    loss: Share
    correlation: Share = 0.0
    transport: Literal["tcp", "datagram"] | None = None  # None: as the link is

    def rule(self, link: Link, at: Injection) -> Rule:
        return lossy(losing(at, self.loss, self.correlation), self.transport)


class NetworkCorrupt(LinkFault):
    """Bits of a packet are changed with probability *corrupt*. The checksum finds it and the packet is thrown away, which is a loss.

    `{kind: network.corrupt, target: {link: orders->payments}, schedule: {at: 60s, for: 30s}, corrupt: 5%}`
    """

    severity: ClassVar[str] = "corrupt"
    kind: Literal["network.corrupt"] = "network.corrupt"
    corrupt: Share
    correlation: Share = 0.0

    def rule(self, link: Link, at: Injection) -> Rule:
        return lossy(losing(at, self.corrupt, self.correlation))


class NetworkReset(LinkFault):
    """Connections break under a message, with *probability*: the caller gets a connection error, *after* so long.

    With direction `from` the callee has done its work, and only the answer is gone.

    `{kind: network.reset, target: {link: orders->payments, direction: from}, schedule: {at: 60s, for: 30s}, probability: 10%}`
    """

    severity: ClassVar[str] = "probability"
    kind: Literal["network.reset"] = "network.reset"
    probability: Share = 1.0
    after: Duration = 0.0

    def rule(self, link: Link, at: Injection) -> Rule:
        verdict = Fail(lambda: ConnectionReset(f"reset on the way {link.name}"), self.after)
        happens = chance(at, self.probability)
        return lambda message: verdict if happens() else None


class NetworkBandwidth(LinkFault):
    """Messages go over each link one after another, at *rate*; up to *burst* bytes go at once, as a token bucket lets them.

    Where more than *limit* bytes would wait, a message is dropped: on TCP it comes a retransmission timeout later.

    `{kind: network.bandwidth, target: {link: gateway->orders}, schedule: {at: 60s, for: 30s}, rate: 1Mbit, limit: 64KiB}`
    """

    severity: ClassVar[str] = "rate"
    kind: Literal["network.bandwidth"] = "network.bandwidth"
    rate: Bandwidth = Field(gt=0)
    burst: Size = 0
    limit: Size | None = None

    def rule(self, link: Link, at: Injection) -> Rule:
        backlog, since = -float(self.burst), at.world.loop.time()  # bytes that still have to go; below 0 some may go at once

        def carry(message: Message) -> Verdict:
            nonlocal backlog, since
            now, strength = at.world.loop.time(), at.strength
            if strength <= 0:
                return None
            rate = self.rate / 8 / strength
            backlog, since = max(-float(self.burst), backlog - (now - since) * rate), now
            waiting = max(0.0, backlog)
            if self.limit is not None and waiting + message.size > self.limit:
                return Drop() if message.link.transport == "datagram" else Delay(FIRST_RTO + waiting / rate)
            backlog += message.size
            return Delay(backlog / rate) if backlog > 0 else None

        return carry

    def missed(self, at: Injection) -> Reason:
        if at.seen:
            return because("within burst", number=at.seen, ways=", ".join(at.targets))
        return super().missed(at)


class NetworkReorder(LinkFault):
    """Messages are held back by *latency*, but with *probability* one goes ahead at once and overtakes them (netem's reorder).

    With a *gap* of n only every n-th message may go ahead.

    `{kind: network.reorder, target: {link: orders->payments}, schedule: {at: 60s, for: 30s}, latency: 50ms, probability: 25%}`
    """

    severity: ClassVar[str] = "latency"
    kind: Literal["network.reorder"] = "network.reorder"
    latency: Duration
    probability: Share
    correlation: Share = 0.0
    gap: int = Field(default=1, ge=1)

    def rule(self, link: Link, at: Injection) -> Rule:
        draw = correlated(at, self.correlation)
        passed = 0

        def reorder(message: Message) -> Verdict:
            nonlocal passed
            passed += 1
            if passed % self.gap == 0 and draw() < self.probability:
                return None
            return Delay(self.latency * at.strength)

        return reorder


def chance(at: Injection, probability: float, correlation: float = 0.0) -> Callable[[], bool]:
    """Whether it happens, asked again and again; the probability follows the ramp."""
    draw = correlated(at, correlation)
    return lambda: draw() < probability * at.strength


def losing(at: Injection, probability: float, correlation: float) -> Callable[[float], bool]:
    """Whether a packet is lost that is sent so many seconds from now: none is that TCP sends again when the fault is over."""
    happens, clock = chance(at, probability, correlation), at.world.loop.time
    return lambda after: (at.until is None or clock() + after < at.until) and happens()


def correlated(at: Injection, correlation: float) -> Callable[[], float]:
    """Numbers of 0..1, evenly spread; so much of them repeat the one before, which is their correlation.

    netem mixes the old number with a new one instead, and its numbers then gather in the middle: a loss of 1 % becomes none.
    """
    random = at.rng.random
    if not correlation:
        return random
    last = random()

    def draw() -> float:
        nonlocal last
        if random() >= correlation:
            last = random()
        return last

    return draw
