"""Faults of message brokers and of those who take their messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar, Literal

from pydantic import Field

from sim.faults.injection import Injection
from sim.faults.nodes import NodeFault
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.model.broker import Broker, BrokerSpec
from sim.model.broker_groups import Group
from sim.model.messaging import Message
from sim.model.subjects import Pattern, matches
from sim.spec import Mistake, did_you_mean
from sim.units import Duration, Share


class BrokerFault(NodeFault):
    """A fault of a broker as a whole: its instances are one cluster."""

    of_kind: ClassVar[str] = "broker"

    def broker(self, at: Injection) -> Broker:
        """The broker that is hit."""
        broker = self.hit(at)
        assert isinstance(broker, Broker), f"{broker.name} was checked to be a broker"
        return broker


class BrokerDown(BrokerFault):
    """All instances of the broker are killed. What a stream has stored is still there when they start again; at most once, what was
    under way is lost.

    `{kind: broker.down, target: {service: events}, schedule: {at: 60s, for: 10s}}`
    """

    kind: Literal["broker.down"] = "broker.down"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        broker = self.broker(at)
        at.count(True)
        with at.all_killed(broker.instances):
            yield


class BrokerSlowConsumer(BrokerFault):
    """Subscribers (one *consumer*, by its service or group, or all) take their messages slower: each delivery takes *delay* longer, or
    until the fault ends. Who subscribes while it is on is slow too.

    `{kind: broker.slow_consumer, target: {service: events}, consumer: mailer, schedule: {at: 60s, for: 30s}, delay: 2s}`
    """

    severity: ClassVar[str] = "delay"
    kind: Literal["broker.slow_consumer"] = "broker.slow_consumer"
    consumer: str | None = None
    delay: Duration

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        broker, name = self.broker(at), self.target.service
        at.targets.clear()
        with ExitStack() as slowed:
            def slow(group: Group) -> None:
                at.count_if_changed(lambda: group.slowed)
                slowed.enter_context(at.layer(group, "extra", lambda strength: self.delay * strength, base=lambda: 0.0,
                                              apply=group.set_extra, combine=sum))

            def join(group: Group) -> None:
                if self._means(group):
                    at.join(f"{name}->{group.name}")
                    slow(group)

            for group in filter(self._means, broker.groups):
                at.targets.append(f"{name}->{group.name}")
                slow(group)
            slowed.enter_context(broker.each_new_group(join))
            yield

    def picked_nobody(self, at: Injection) -> Reason:
        return because("no such consumer", broker=self.target.service)

    def missed(self, at: Injection) -> Reason:
        return because("no message", ways=", ".join(at.targets))

    def _means(self, group: Group) -> bool:
        return self.consumer in (None, group.name, group.queue) or any(member.node.name == self.consumer for member in group.members)

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from super().mistakes(system)
        broker = self.target.service
        known = {name for service, spec in system.services.items() for group in getattr(spec, "subscribe", {}).values()
                 if group.at in (None, broker) for name in (service, group.group or service)}
        may_subscribe = any(spec.has_user_code() for spec in system.services.values())
        is_broker = isinstance(system.services.get(broker), BrokerSpec)
        if is_broker and self.consumer is not None and self.consumer not in known and not may_subscribe:
            yield Mistake(("consumer",), f"{broker!r} has no consumer {self.consumer!r}",
                          did_you_mean(self.consumer, known) or "aim at a broker that somebody subscribes to")


class BrokerRedeliver(BrokerFault):
    """Acknowledgements are lost, with *probability*: messages that were handled are delivered again, and handled twice.

    `{kind: broker.redeliver, target: {service: events}, schedule: {at: 60s, for: 30s}, probability: 20%}`
    """

    severity: ClassVar[str] = "probability"
    kind: Literal["broker.redeliver"] = "broker.redeliver"
    probability: Share = 1.0

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        broker = self.broker(at)

        def lost() -> bool:
            return at.count(at.happens(self.probability * at.strength))

        with at.asked_too(broker, "loses_ack", lost):
            yield

    def missed(self, at: Injection) -> Reason:
        if at.seen:
            return because("no acknowledgement by chance", number=at.seen)
        return because("no acknowledgement", broker=self.target.service)

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from super().mistakes(system)
        if getattr(system.services.get(self.target.service), "delivery", None) == "at_most_once":
            yield Mistake(("target", "service"), f"{self.target.service!r} delivers at most once and waits for no acknowledgement",
                          "aim at a broker with `delivery: at_least_once`")


class BrokerPoison(BrokerFault):
    """Messages that are published while it lasts are poison, with *probability*: whoever handles one fails, each time. *subject* narrows
    it down.

    `{kind: broker.poison, target: {service: events}, schedule: {at: 60s, for: 30s}, subject: order.*, probability: 5%}`
    """

    severity: ClassVar[str] = "probability"
    kind: Literal["broker.poison"] = "broker.poison"
    probability: Share = Field(default=1.0, gt=0)
    subject: Pattern = ">"

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        broker = self.broker(at)

        def poisonous(message: Message) -> bool:
            return matches(self.subject, message.subject) and at.count(at.happens(self.probability * at.strength))

        with at.asked_too(broker, "poisons", poisonous):
            yield

    def missed(self, at: Injection) -> Reason:
        if at.seen:
            return because("no message by chance", number=at.seen)
        return because("no message on subject", subject=self.subject)
