"""Who publishes and who subscribes, checked against the brokers that there are and what they can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from sim.mistakes import Loc, Mistake, did_you_mean
from sim.model.node import NodeSpec
from sim.model.steps import Publish
from sim.model.subscriptions import SubscriptionSpec
from sim.units import format_duration

from .calls import Directory
from .walk import written

if TYPE_CHECKING:
    from sim.model.broker import BrokerSpec
    from sim.model.messaging import Subscription


def wrong_messages(spec: NodeSpec, loc: Loc, directory: Directory) -> Iterator[Mistake]:
    """Who does not say where means the only broker; what only a stream does needs one."""
    for place, part in written(spec, loc):
        if isinstance(part, SubscriptionSpec):
            wrong = _not_there(part.at, place, "at", directory)
            yield from wrong or _beyond(part.subscription(), place, directory)
        elif isinstance(part, Publish) and part.to is None:
            yield from _not_there(None, place, "to", directory)
    for pattern, subscription in spec.code_subscriptions().items():
        for mistake in _not_there(subscription.broker, (*loc, "code"), "broker", directory) or _beyond(subscription, (), directory):
            yield Mistake((*loc, "code"), f"its subscription to {pattern!r}: {mistake.what}", mistake.cure)


def _not_there(name: str | None, place: Loc, key: str, directory: Directory) -> list[Mistake]:
    """There is no such broker, or nobody can tell which one is meant."""
    brokers = directory.of_kind("broker")
    if name is not None and name not in brokers:
        return [Mistake((*place, key), f"there is no broker {name!r}", did_you_mean(name, brokers))]
    if name is None and len(brokers) != 1:
        what = f"there are {len(brokers)} brokers, and this does not say which" if brokers else "there is no broker"
        return [Mistake(place, what, f"add `{key}: {brokers[0]}`" if brokers else "add a service of `kind: broker`")]
    return []


def _beyond(subscription: Subscription, place: Loc, directory: Directory) -> Iterator[Mistake]:
    """What *subscription* asks of its broker must be something that it does."""
    name = subscription.broker or directory.of_kind("broker")[0]
    broker = cast("BrokerSpec", directory.nodes[name])
    if broker.delivery == "at_most_once":
        for key in subscription.of_streams:
            yield Mistake((*place, key), f"`{key}` is of streams, and {name!r} delivers at most once",
                          f"write `delivery: at_least_once` at {name}, or remove it", at_key=True)
    elif subscription.in_progress is not None and subscription.in_progress >= broker.ack_wait:
        waits = format_duration(broker.ack_wait)
        yield Mistake((*place, "in_progress"), f"{name!r} waits {waits} for an acknowledgement: the first word would come too late",
                      f"say so more often than every {waits}")
