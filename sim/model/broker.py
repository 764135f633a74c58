"""A message broker: NATS' core (at most once), or a stream in the manner of its JetStream (at least once).

    publish ──too large──▶ 413        ──▶ groups of subscribers, each of which gets the message once (at most, or at least)
       ├──stream full──▶ 503               `broker_core`, `broker_stream`
       ├──id seen before──▶ 200, not stored again
       └──▶ 200

Several instances are a cluster with one log, and one of them leads. It works while more than half of them are up and do not stand still;
at most once, while any does. A leader that stands still has a successor after a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sim.distributions import Constant, TimeDistribution
from sim.errors import InvalidInput
from sim.mistakes import Mistake, invalid
from sim.model.broker_core import CoreGroup, route
from sim.model.broker_inbox import Inbox
from sim.model.broker_log import StoredMessages
from sim.model.broker_stream import StreamGroup
from sim.model.health import is_check
from sim.model.instance import Instance
from sim.model.messages import Exchange, Request, Response
from sim.model.messaging import MESSAGE_ID, Deliver, Message
from sim.model.node import Handler, Node, NodeSpec
from sim.model.spans import explain
from sim.model.subjects import matches
from sim.units import Duration, PositiveDuration, Size

if TYPE_CHECKING:
    from sim.model.messaging import Subscription
    from sim.model.versions import VersionSpec
    from sim.model.world import World

MEBIBYTE = 2**20
ELECTION = 4.0  # seconds without a word from the leader; NATS' shortest election timeout
COUNTS = ("published", "received", "stored", "duplicates", "refused", "unheard")
OF_STREAMS = ("ack_wait", "max_deliver", "redelivery_delay", "max_ack_pending", "order", "dead_letter", "duplicate_window", "retention",
              "max_messages", "max_bytes", "max_age", "discard")


class BrokerSpec(NodeSpec):
    """Subjects with wildcards, queue groups, and a *delivery*: `at_least_once` keeps messages until they are acknowledged.

    A message that nobody acknowledges within *ack_wait* is delivered again; after *max_deliver* times (none: for ever) it is a dead
    letter. At most *max_ack_pending* are under way to a group at a time. `order: key` keeps messages of one key in order. A publisher is
    told that its message is stored. With `at_most_once` it is not, and a member whose buffer holds *max_pending* loses what comes then.
    """

    word: ClassVar[str] = "broker"
    kind: Literal["broker"] = "broker"
    delivery: Literal["at_most_once", "at_least_once"] = "at_least_once"
    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0002))  # of storing a message
    ack_wait: PositiveDuration = 30.0
    max_deliver: int | None = Field(default=None, ge=1)
    redelivery_delay: Duration | list[Duration] = 1.0  # after a failure; a list: after the first, the second ..., the last again and again
    max_ack_pending: int = Field(default=1000, ge=1)
    order: Literal["none", "key"] = "none"
    dead_letter: bool = True  # False: what is delivered too often is forgotten
    duplicate_window: Duration = 120.0  # so long a message id is known
    retention: Literal["limits", "interest"] = "limits"  # interest: what all groups have acknowledged makes room
    max_messages: int | None = Field(default=None, ge=1)
    max_bytes: Size | None = None
    max_age: PositiveDuration | None = None
    discard: Literal["old", "new"] = "old"  # what goes when the stream is full
    max_message_size: Size = MEBIBYTE
    max_pending: int = Field(default=65_536, ge=1)
    stale_after: PositiveDuration = 240.0  # a subscriber from which nothing comes for so long is taken for gone

    @model_validator(mode="after")
    def _streams_only(self) -> BrokerSpec:
        if self.delivery == "at_most_once":
            wrong = [name for name in OF_STREAMS if name in self.written()]
            if wrong:
                raise invalid(*(Mistake((name,), f"`{name}` is of streams, and this broker delivers at most once",
                                        "write `delivery: at_least_once`", at_key=True) for name in wrong))
        elif "max_pending" in self.written():
            raise invalid(Mistake(("max_pending",), "`max_pending` is of at_most_once; a stream's messages wait in the broker",
                                  "write `max_ack_pending`, or `delivery: at_most_once`", at_key=True))
        if self.redelivery_delay == []:
            raise invalid(Mistake(("redelivery_delay",), "an empty list of delays", "write '0s', or one duration for each try"))
        return self

    def delay_after(self, number: int) -> float:
        """Seconds until the next try, after the *number*-th has failed."""
        delays = self.redelivery_delay
        return delays[min(number, len(delays)) - 1] if isinstance(delays, list) else delays

    def build(self, name: str, world: World) -> Node:
        return Broker(name, self, world)


class BrokerServer(Instance):
    """One server of the cluster."""

    node: Broker
    heard = 0.0  # seconds; when it fell silent

    @property
    def given_up(self) -> bool:
        """It has stood still for so long that the others look for another leader."""
        return self.paused and self.heard + ELECTION <= self.loop.time()

    def pause(self) -> None:
        super().pause()
        self.heard = self.loop.time()
        self.node.look()
        self.loop.post(ELECTION, self.node.look)

    def resume(self) -> None:
        super().resume()
        self.node.look()


class Broker(Node):
    """The runtime of a broker."""

    spec: BrokerSpec
    reachable: tuple[BrokerServer, ...]

    def __init__(self, name: str, spec: BrokerSpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.confirms = spec.delivery == "at_least_once"
        self.groups: list[CoreGroup | StreamGroup] = []
        self._group_watchers: list[Callable[[CoreGroup | StreamGroup], object]] = []
        self._inboxes: dict[Instance, Inbox] = {}
        self.leader: BrokerServer | None = None  # who delivers
        self._needed = spec.instances // 2 + 1 if self.confirms else 1  # servers without which nothing works
        self._quorum = False
        self.counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()  # the warm-up
        self.stream = StoredMessages(spec, world.loop, self.drop)
        self.dice = world.streams[f"{name} queue groups"]
        self.poisons: Callable[[Message], bool] = lambda message: False  # for faults: whether nobody can handle this one
        self.loses_ack: Callable[[], bool] = lambda: False  # for faults: whether the acknowledgement that has come is not noticed
        self._context: Context | None = None
        self._routes: dict[str, list[CoreGroup | StreamGroup]] = {}

    # subscribers

    def subscribe(self, node: Node, pattern: str, subscription: Subscription) -> None:
        """The instances of *node*, now and later, get what fits *pattern*. Raise InvalidInput for what only a stream could do."""
        if not self.confirms and subscription.of_streams:
            raise InvalidInput(f"{node.name} subscribes to {pattern!r} with `{subscription.of_streams[0]}`, which is of streams, "
                               f"and {self.name} delivers at most once: write `delivery: at_least_once` there")
        if subscription.deliver != "new":
            self.stream.keep()
        if subscription.start_after:
            self.world.loop.after(subscription.start_after, self._subscribe, node, pattern, subscription)
        else:
            self._subscribe(node, pattern, subscription)

    def _subscribe(self, node: Node, pattern: str, subscription: Subscription) -> None:
        queue, deliver = subscription.group or node.name, subscription.deliver

        def members_changed() -> None:
            known = len(self.groups)
            for instance in node.instances:
                self.inbox(instance).instance_changed()
            if subscription.everyone:
                for instance in node.instances:
                    self._group(instance.name, pattern, deliver).join([instance], subscription.prefetch)
            else:
                self._group(queue, pattern, deliver).join(node.instances, subscription.prefetch)
            for group in self.groups[known:]:
                for watch in self._group_watchers:
                    watch(group)
            for group in list(self.groups):
                if group.pattern == pattern:
                    group.part_with(node.retired)
                    if subscription.everyone and not group.members:
                        self._close(group)
                    group.changed()

        node.watchers.append(members_changed)
        members_changed()

    @contextmanager
    def each_new_group(self, use: Callable[[CoreGroup | StreamGroup], object]) -> Iterator[None]:
        """Call *use* for each group that subscribes while the block lasts."""
        self._group_watchers.append(use)
        try:
            yield
        finally:
            self._group_watchers.remove(use)

    def inbox(self, instance: Instance) -> Inbox:
        """Where the messages for *instance* wait, at its side."""
        found = self._inboxes.get(instance)
        if found is None:
            found = self._inboxes[instance] = Inbox(instance)
        return found

    def _group(self, queue: str, pattern: str, deliver: Deliver) -> CoreGroup | StreamGroup:
        """The group of that name; a new one begins where *deliver* says."""
        for group in self.groups:
            if group.queue == queue and group.pattern == pattern:
                return group
        name = queue if all(group.queue != queue for group in self.groups) else f"{queue} {pattern}"
        made = (StreamGroup if self.confirms else CoreGroup)(self, name, queue, pattern)
        self.groups.append(made)
        self._routes.clear()
        if deliver != "new":
            for message in self.stream.matching(pattern)[0 if deliver == "all" else -1 :]:
                made.offer(message)
        return made

    def _close(self, group: CoreGroup | StreamGroup) -> None:
        """Its only member is gone for good: nobody waits for its messages."""
        group.close()
        self._routes.clear()

    # its life

    def new_instance(self, number: int, version: VersionSpec | None = None) -> Instance:
        return BrokerServer(self.world, self, number, self.zone_of(number), version)

    @property
    def working(self) -> bool:
        """It can deliver, and take messages."""
        return self._quorum and self.leader is not None and self.leader.pause_now is None

    def changed(self) -> None:
        super().changed()
        self.look()

    def look(self) -> None:
        """Who is there and awake, and who leads?"""
        awake = [server for server in self.reachable if not server.paused]
        before, self._quorum = self._quorum, len(awake) >= self._needed
        self._lead(self._leader_of(awake))
        if self._quorum and not before:
            for group in self.groups:
                group.pump()

    def _leader_of(self, awake: list[BrokerServer]) -> BrokerServer | None:
        """Who comes back does not take over; who stands still does lead until the others choose somebody else."""
        if len(self.reachable) < self._needed:
            return None
        leader = self.leader
        if leader is not None and leader in self.reachable and not (self._quorum and leader.given_up):
            return leader
        return next(iter(awake or self.reachable))

    def _lead(self, leader: BrokerServer | None) -> None:
        if leader is self.leader:
            return
        before, self.leader = self.leader, leader
        if before is not None:
            for group in self.groups:
                group.break_off()
        if leader is not None:
            self._context = leader.context()
            for group in self.groups:
                group.recover()

    def later(self, delay: float, act: Callable[..., object], *args: Any) -> Any:
        """Do *act* after *delay* seconds of the leader's life; a timer that can be cancelled."""
        return self.world.loop.call_later(delay, act, *args, context=self._context)

    # messages

    def handler(self, instance: Instance) -> Handler:
        draw, loop, largest = self.spec.latency.sampler(instance.stream("latency")), self.world.loop, self.spec.max_message_size

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            exchange.operation = request.operation
            delay = draw() * instance.slowness
            if delay:
                await loop.sleep(delay)
            if is_check(exchange):
                return Response(200 if self.working else 503)
            self.counts["received"] += 1
            if request.size > largest:
                self.counts["refused"] += 1
                response = Response(413, rejected=True, body=f"message larger than {largest} bytes")
            else:
                response = self.take(request.path[1:], request)
            if response.rejected:
                instance.rejected += 1
                explain(instance.recorder, exchange.span, response.body)
            return response

        return serve

    def take(self, subject: str, request: Request) -> Response:
        """Store what was published, and deliver it."""
        if not self.working:
            self.counts["refused"] += 1
            return Response(503, rejected=True, body="no quorum")
        now = self.world.loop.time()
        if not self.confirms:
            self.counts["stored"] += 1
            message = Message(subject, request, now)
            message.poisoned = self.poisons(message)
            if not route(self._matching(subject), message, self.dice):  # type: ignore[arg-type]
                self.counts["unheard"] += 1
            return Response(200)
        message_id = request.headers.get(MESSAGE_ID)
        known = self.stream.known(message_id, now) if message_id is not None else None
        if known is not None:
            self.counts["duplicates"] += 1
            return Response(200, {"sequence": known, "duplicate": True})
        message = Message(subject, request, now)
        if not self.stream.store(message, message_id):
            self.counts["refused"] += 1
            return Response(503, rejected=True, body="stream full")
        self.counts["stored"] += 1
        message.poisoned = self.poisons(message)
        groups = self._matching(subject)
        self.counts["unheard"] += not groups
        for group in groups:
            group.offer(message)
        self.stream.tidy(message)
        return Response(200, {"sequence": message.sequence, "duplicate": False})

    def _matching(self, subject: str) -> list[CoreGroup | StreamGroup]:
        groups = self._routes.get(subject)
        if groups is None:
            groups = self._routes[subject] = [group for group in self.groups if not group.closed and matches(group.pattern, subject)]
        return groups

    # the books

    def check_books(self) -> None:
        """What has come in was stored, refused or known; what a group was offered, it has settled or still has."""
        counts = self.counts
        unaccounted = counts["received"] - counts["stored"] - counts["refused"] - counts["duplicates"]
        assert unaccounted == 0, f"{self.name}: {counts['received']} messages received, {unaccounted} of them unaccounted for"
        for group in self.groups:
            assert group.balance == 0, f"{self.name}: {group.balance} messages of {group.name} unaccounted for"

    def measure_from_here(self) -> None:
        self._before = self.counts.copy()
        for group in self.groups:
            group.measure_from_here()

    def figures(self) -> dict[str, Any]:
        """Counts since the warm-up. *unheard* messages had no subscriber; of each group, what became of what it was offered."""
        return {
            "delivery": self.spec.delivery, **{name: self.counts[name] - self._before[name] for name in COUNTS},
            "in_stream": len(self.stream.messages), "groups": {group.name: group.figures() for group in self.groups},
        }

    def drop(self, message: Message) -> None:
        """The stream gives *message* up for those who have not handled it."""
        for entry in list(message.holders):
            entry.group.expire(entry)
