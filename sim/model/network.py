"""The network: links with latency, jitter, loss and bandwidth, and rules that faults lay on them.

    message ──▶ latency, jitter ──▶ rule, rule, rule ──▶ arrives after the sum of all delays
                                      │ Drop                never arrives; the caller waits until its own patience ends
                                      └ Fail(error)         the sender learns at once (a reset), or after the way there (a refusal)

A link carries any number of messages at once: each has its own delay, none waits for another, except where a
`bandwidth` makes them share the line. All instances of a caller and a callee share one link for each direction.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from sim.distributions import Constant, TimeDistribution
from sim.sampling import FIRST_BLOCK, Times
from sim.spec import Mistake, Spec, invalid
from sim.streams import Stream, Streams
from sim.units import Bandwidth, Duration, Share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.model.messages import Exchange, Request, Response

LOST = math.inf  # the delay of a message that never arrives
DEFAULT_LATENCY = 500e-6
PACKET = 1460  # bytes of payload in a TCP segment on Ethernet
FIRST_RTO = 0.2  # seconds; Linux' smallest retransmission timeout (RFC 6298 recommends 1 s), doubling at each loss
SYN_RTO = 1.0  # of a connection that is being opened: nobody knows yet how long the way is (RFC 6298)
LAST_RTO = 120.0
GIVEN_UP = 924.6  # seconds after which Linux gives a connection up (15 retransmissions, net.ipv4.tcp_retries2)


@dataclass(frozen=True)
class Delay:
    """The message takes *seconds* longer."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """The message is lost; nobody is told."""


@dataclass(frozen=True)
class Fail:
    """The message is not carried, and the caller gets *error*; at once, or *after* seconds."""

    error: Callable[[], Exception]
    after: float = 0.0


Verdict = Delay | Drop | Fail | None  # None: let it pass


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """What TCP gets across though nobody waits for an answer to it at a call: the opening of a connection, a ping, a word.

    *arrive(delay)* brings it there. If a rule says so *fail* is told, and once it is *over* nobody wants it any more. What is lost is sent
    again after *timeout* seconds, which then doubles.
    """

    arrive: Callable[[float], object]
    fail: Callable[[Fail], object] = lambda verdict: None
    over: Callable[[], bool] = lambda: False
    timeout: float = FIRST_RTO


@dataclass(slots=True)
class Message:
    """What a rule looks at. *source* and *target* are instances (or a workload); *response* is None on the way there. *exchange* is None
    where it is no request or answer of a call; then it may be a *packet*."""

    link: Link
    source: Any
    target: Any
    request: Request
    response: Response | None
    exchange: Exchange | None = None
    packet: Packet | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.request.size if self.response is None else self.response.size


Rule = Callable[[Message], Verdict]


class LinkFailed(Exception):
    """A rule said Fail."""

    def __init__(self, verdict: Fail) -> None:
        super().__init__()
        self.verdict = verdict


class DistanceSpec(Spec):
    """What a way costs that is longer than others."""

    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0))
    jitter: Duration = 0.0  # uniform, up to so much more or less, as netem has it; no message takes less than no time
    loss: Share = 0.0  # of packets
    bandwidth: Bandwidth | None = None  # of each link; its messages go one after another

    def latencies(self, stream: Stream, dice: Callable[[], Stream]) -> Times:
        """Latencies with their jitter, in seconds; *dice* are asked for where there is jitter."""
        if not self.jitter:
            return self.latency.times(stream)
        draw, uniform = self.latency.sampler(stream), partial(dice().uniform, -self.jitter, self.jitter)
        size = 1 if self.loss else FIRST_BLOCK  # losses come from the same dice, in between
        return Times(array("d", [max(0.0, draw() + uniform()) for _ in range(size)]) for _ in repeat(None))

    def rules(self, clock: Callable[[], float], dice: Callable[[], Stream]) -> Iterator[Rule]:
        """What else becomes of messages; *dice* are asked for where some are lost."""
        if self.bandwidth is not None:
            yield bandwidth_rule(self.bandwidth, clock)
        if self.loss:
            yield loss_rule(self.loss, dice())


class LinkSpec(DistanceSpec):
    """One link. The way back is as the way there, unless it is listed by itself."""

    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=DEFAULT_LATENCY))
    transport: Literal["tcp", "datagram"] = "tcp"


class ZoneSpec(Spec):
    """A place that can fail as a whole."""


class NetworkSpec(Spec):
    """All links; `links` names those that differ, as `caller->callee`. Instances in different zones are *between_zones* further apart."""

    default: LinkSpec = Field(default_factory=LinkSpec)
    links: dict[str, LinkSpec] = {}
    zones: dict[str, ZoneSpec] = {}
    between_zones: DistanceSpec | None = None  # beside what the link itself has

    @field_validator("links")
    @classmethod
    def _names(cls, links: dict[str, LinkSpec]) -> dict[str, LinkSpec]:
        spaced = [name for name in links if len(name.split()) > 1]
        wrong = [Mistake((name,), f"{name!r} is no link", f"write {''.join(name.split())!r}", at_key=True) for name in spaced]
        if wrong:
            raise invalid(*wrong)
        return links

    def link(self, source: str, target: str) -> LinkSpec:
        """The settings of the way from *source* to *target*."""
        return self.links.get(f"{source}->{target}") or self.links.get(f"{target}->{source}") or self.default


class Link:
    """One direction between two nodes. `delay(...)` decides what becomes of a message; `rule(...)` lays a rule on it.

    *free* are latencies that messages may take without asking `delay`; it is empty while rules want to be asked.
    """

    __slots__ = ("_ruled", "_rules", "free", "name", "source", "target", "transport")

    def __init__(self, source: str, target: str, spec: LinkSpec, streams: Streams, clock: Callable[[], float],
                 between_zones: DistanceSpec | None = None) -> None:
        self.name = f"{source}->{target}"
        self.source, self.target = source, target
        self.transport = spec.transport
        def dice() -> Stream:
            return streams[f"link {source}>{target} rules"]

        self.free = spec.latencies(streams[f"link {source}>{target}"], dice)
        self._ruled: Times | None = None  # the latencies while there are rules
        self._rules: tuple[Rule, ...] = ()
        if between_zones is not None:
            apart = streams[f"link {source}>{target} zones"]
            further = between_zones.latencies(apart, lambda: apart)
            self.rules = tuple(map(across, [lambda message: Delay(further.draw()), *between_zones.rules(clock, lambda: apart)]))
        self.rules += tuple(spec.rules(clock, dice))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What is asked about each message, in this order."""
        return self._rules

    @rules.setter
    def rules(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        if rules and self._ruled is None:
            self._ruled = self.free.moved()
        elif not rules and self._ruled is not None:
            self.free.extend(self._ruled)
            self._ruled = None

    def latency(self) -> float:
        """The next one, in seconds."""
        return (self.free if self._ruled is None else self._ruled).draw()

    def take(self, latencies: Times) -> None:
        """From now on it has these *latencies*, and no rules."""
        self.rules = ()
        self.free.become(latencies)

    def delay(self, source: Any, target: Any, request: Request, response: Response | None = None,
              exchange: Exchange | None = None, packet: Packet | None = None) -> float:
        """Seconds until the message arrives; LOST if it never does. Raise LinkFailed if a rule says so."""
        delay = self.latency()
        if self._rules:
            message = Message(self, source, target, request, response, exchange, packet)
            for rule in self._rules:
                match rule(message):
                    case None:
                        pass
                    case Delay(seconds):
                        delay += seconds
                    case Drop():
                        return LOST
                    case Fail() as verdict:
                        raise LinkFailed(verdict)
        return delay

    def send(self, packet: Packet, source: Any, target: Any, request: Request, response: Response | None = None,
             exchange: Exchange | None = None) -> None:
        """Let *packet* arrive, if the rules let it; *request* and *response* say what they see of it."""
        try:
            delay = self.delay(source, target, request, response, exchange, packet)
        except LinkFailed as failed:
            packet.fail(failed.verdict)
        else:
            if delay != LOST:
                packet.arrive(delay)

    @contextmanager
    def rule(self, rule: Rule, first: bool = False) -> Iterator[None]:
        """Lay *rule* on the link while the block lasts; *first*: it sees also what other rules will not let pass."""
        self.rules = (rule, *self.rules) if first else (*self.rules, rule)
        try:
            yield
        finally:
            self.rules = tuple(other for other in self.rules if other is not rule)


def across(rule: Rule) -> Rule:
    """*rule*, for messages from one zone to another; who has no zone is no further from anywhere."""

    def judge(message: Message) -> Verdict:
        here, there = message.source.zone, message.target.zone
        return rule(message) if here != there and here and there else None

    return judge


def loss_rule(share: float, dice: Stream) -> Rule:
    """Each packet is lost with probability *share*."""
    return lossy(lambda after: dice.random() < share)


def lossy(lost: Callable[[float], bool], transport: Literal["tcp", "datagram"] | None = None) -> Rule:
    """*lost(after)* is asked for each packet, that is sent so many seconds from now. On TCP those that are lost are sent again after a
    retransmission timeout, so that loss is a tail of latency there; a datagram is gone, and with it the message. *transport* None: as the
    link says."""

    def lose(message: Message) -> Verdict:
        packets = max(1, math.ceil(message.size / PACKET))
        missing = sum(lost(0.0) for _ in range(packets))
        if not missing:
            return None
        if (transport or message.link.transport) == "datagram":
            return Drop()
        timeout, waited = FIRST_RTO, FIRST_RTO
        while missing := sum(lost(waited) for _ in range(missing)):  # what is sent again may be lost again
            timeout = min(2 * timeout, LAST_RTO)
            waited += timeout
            if waited > GIVEN_UP:
                return Drop()
        return Delay(waited)

    return lose


def bandwidth_rule(bits_per_second: float, clock: Callable[[], float]) -> Rule:
    """Messages go over the line one after another, at so many bits per second."""
    free_at = 0.0

    def carry(message: Message) -> Verdict:
        nonlocal free_at
        now = clock()
        free_at = max(free_at, now) + message.size * 8 / bits_per_second
        return Delay(free_at - now)

    return carry
