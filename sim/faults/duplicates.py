"""The fault of messages that arrive twice."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

from sim.faults.http import Match
from sim.faults.injection import Injection
from sim.faults.network import LinkFault, chance, deliver
from sim.faults.reasons import Reason, because
from sim.faults.targets import LinkTarget
from sim.model.messages import Exchange, Response
from sim.model.network import LOST, Delay, Link, LinkFailed, Message, Rule, Verdict
from sim.units import Share

ITSELF = Delay(0.0)  # what becomes of a message whose copy follows it


class DuplicateTarget(LinkTarget):
    """Messages, as for other faults of the network; *match* narrows them down by what is asked for."""

    match: Match | None = None


class NetworkDuplicate(LinkFault):
    """A message arrives twice, with *probability*: its copy crosses the link as a message of its own, with its own delay and its own luck.

    A request (to a broker: what is published; from a broker: a delivery) then does its work twice, unless the receiver knows better.
    TCP lets no copy through: there it comes from a proxy that repeats itself, and nobody waits for the answer to it. Where the link is a
    `datagram`, the first answer to either counts. An answer that comes twice changes nothing, since its caller has taken the first: it is
    counted as `ignored`, and takes its part of a bandwidth. *correlation*: so much depends on the message before.

    `{kind: network.duplicate, target: {service: payments, match: {method: POST}}, schedule: {at: 60s, for: 30s}, probability: 5%}`
    """

    severity: ClassVar[str] = "probability"
    comes_first: ClassVar[bool] = True  # one of two copies may be lost
    kind: Literal["network.duplicate"] = "network.duplicate"
    target: DuplicateTarget
    probability: Share = 1.0
    correlation: Share = 0.0

    def rule(self, link: Link, at: Injection) -> Rule:
        happens, post = chance(at, self.probability, self.correlation), at.world.loop.post

        def duplicate(message: Message) -> Verdict:
            if not happens():
                return None
            if message.response is None:
                post(0.0, _send_again, message)  # in this instant, and behind the message itself
                return ITSELF
            at.ignored += 1
            post(0.0, _cross, message)
            return None

        return duplicate

    def _counted(self, rule: Rule, belongs: Callable[[Message], bool] | None, at: Injection) -> Rule:
        return super()._counted(rule, partial(self._is_meant, belongs), at)

    def _is_meant(self, belongs: Callable[[Message], bool] | None, message: Message) -> bool:
        match = self.target.match
        return (message.exchange is not None and (match is None or match.fits(message.request))
                and (belongs is None or belongs(message)))

    def missed(self, at: Injection) -> Reason:
        if at.ignored:
            return because("answers doubled", number=at.ignored)
        if not at.seen and self.target.match is not None:
            return because("no message fitted", ways=", ".join(at.targets))
        return super().missed(at)


def _cross(message: Message) -> float:
    """The way of a copy over the link: seconds, or LOST. It is nobody's exchange, so that it is not doubled again."""
    try:
        return message.link.delay(message.source, message.target, message.request, message.response)
    except LinkFailed:
        return LOST


def _send_again(message: Message) -> None:
    exchange = message.exchange
    assert exchange is not None, "only requests of calls are doubled"
    client, delay = exchange.client, _cross(message)
    again = Exchange(exchange.request, _listener(message.link, exchange), exchange.instance, client, exchange.attempt, exchange.parent)
    deliver(again, delay)


def _listener(link: Link, exchange: Exchange) -> Future[Response]:
    """Who waits for the answer to the copy: on TCP somebody who has already left."""
    if link.transport == "datagram":
        return exchange.answer
    nobody: Future[Response] = Future(loop=exchange.client.loop)
    nobody.cancel()
    return nobody
