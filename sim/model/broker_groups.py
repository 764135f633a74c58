"""Who gets a broker's messages: queue groups, their members, and what each has been given.

    a group shares the messages of one pattern: every message goes to one member
    a member is sent as many as it has workers and some ahead (or as its subscription says); the rest waits

How long a group keeps a message is decided by the delivery: `broker_stream` (at least once) or `broker_core` (at most once).
"""

from __future__ import annotations

from asyncio import CancelledError, Future, Task, current_task
from collections import Counter, deque
from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from sim.model.client import plain_use
from sim.model.messages import Exchange, Request, Response
from sim.model.messaging import DELIVER, Delivery, Message
from sim.model.network import LOST, Packet
from sim.telemetry.integrals import Level

if TYPE_CHECKING:
    from sim.model.broker import Broker
    from sim.model.broker_inbox import Inbox
    from sim.model.client import Client
    from sim.model.instance import Instance


PROGRESS = Response(0, size=40)  # bytes of a word without payload
LEAST_AHEAD = 4  # messages; a single worker that takes no longer than the network then hardly ever waits for it


class Member:
    """One subscribed instance. *outstanding* messages are with it, *buffer* is what is kept for it alone."""

    def __init__(self, instance: Instance, prefetch: int | None) -> None:
        self.instance = instance
        self.prefetch = prefetch
        self.outstanding = 0
        self.buffer: deque[Any] = deque()
        self.slow = False  # its buffer has overflowed and has not been empty since
        self.clients: dict[Instance, Client] = {}  # by the broker's instance

    @property
    def connected(self) -> bool:
        """Its process is there and listens."""
        return self.instance.up and self.instance.accepting and not self.instance.draining

    @property
    def free(self) -> bool:
        """It can take one more: by itself it has one at each worker, and as many that wait."""
        if self.prefetch is not None:
            return self.outstanding < self.prefetch
        workers = self.instance.workers
        return self.outstanding < workers + max(workers, LEAST_AHEAD)


class Group:
    """The subscribers of one *pattern* who share its messages under the name *queue*; *name* is what figures call it."""

    COUNTS: ClassVar[tuple[str, ...]]

    def __init__(self, broker: Broker, name: str, queue: str, pattern: str) -> None:
        self.broker, self.name, self.queue, self.pattern = broker, name, queue, pattern
        self.loop = broker.world.loop
        self.env = self.loop.env
        self.members: dict[Instance, Member] = {}
        self.operation = broker.world.recorder.operation(f"deliver {pattern}")
        self.lag = Level()  # messages that are not settled
        self.counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()  # the warm-up
        self.closed = False
        self.extra = 0.0  # seconds that each delivery takes longer: for faults
        self._slow: dict[Future[None], float] = {}  # which do now, and since when
        self.slowed = 0  # how many did
        self._tasks: dict[Task[None], Request] = {}
        self._held: dict[Request, Member] = {}  # whom the deliveries are with that count as such
        self._next_member = 0
        broker.world.recorder.gauge(broker.name, name, "lag", self.lag.reading)

    def join(self, instances: Iterable[Instance], prefetch: int | None) -> None:
        """Who of *instances* is new becomes a member."""
        for instance in instances:
            if instance not in self.members:
                self.members[instance] = Member(instance, prefetch)

    def measure_from_here(self) -> None:
        """The warm-up is over."""
        self._before = self.counts.copy()
        self.lag.forget_peaks()

    def part_with(self, retired: Collection[Instance]) -> None:
        """These will not come back."""
        for instance in [instance for instance in self.members if instance in retired]:
            self.dismiss(self.members.pop(instance))

    def dismiss(self, member: Member) -> None:
        """*member* is one no more."""

    def close(self) -> None:
        """It has no members, and never will have."""
        self.closed = True

    def figures(self) -> dict[str, Any]:
        """What became of what it was offered, since the warm-up; `lag` is what is not settled."""
        counts = {name: self.counts[name] - self._before[name] for name in self.COUNTS}
        return {"pattern": self.pattern, "members": len(self.members), **counts,
                "lag": self.lag.value, "lag_max": max(self.lag.ever, self.lag.highest)}

    # what the kinds of delivery decide

    def offer(self, message: Message) -> None:
        """A message that fits the pattern has come."""
        raise NotImplementedError

    def ended(self, member: Member, given: Any, response: Response | None) -> None:
        """The hand-over of what was *given* to *member* has ended; None: nothing came back."""
        raise NotImplementedError

    def changed(self) -> None:
        """Members have come or gone."""
        self.pump()

    def recover(self) -> None:
        """The broker is back."""
        self.pump()

    def pump(self) -> None:
        """Give out what can be given out now."""
        raise NotImplementedError

    # handing over

    def a_free_member(self) -> Member | None:
        """Of the members that are there and can take one more, the next in turn among those with the least to do."""
        members = list(self.members.values())
        best: Member | None = None
        for step in range(len(members)):
            member = members[(self._next_member + step) % len(members)]
            if member.connected and member.free and (best is None or member.outstanding < best.outstanding):
                best, place = member, self._next_member + step
        if best is not None:
            self._next_member = (place + 1) % len(members)
        return best

    def handled(self, given: Any) -> None:
        """A member has handled what it was *given*, whether the broker will hear of it or not."""

    def in_progress(self, given: Any) -> None:
        """A member says that it is still at work on what it was *given*."""
        raise NotImplementedError

    def hand_over(self, member: Member, message: Message, number: int, given: Any) -> None:
        """Send *message* to *member*, for the *number*-th time; `ended` is told how it went."""
        leader = self.broker.leader
        assert leader is not None, "a broker that is down delivers nothing"
        member.outstanding += 1
        self.counts["deliveries"] += 1
        client, inbox = self._way_to(member, leader), self.broker.inbox(member.instance)
        request = Request(DELIVER, self.pattern, message.trace, message.parent, self.operation, message.headers, message.size,
                          key=message.key)
        tell = partial(self._tell, client, member.instance, request, given) if self.broker.confirms else None
        request.body = Delivery(message, number, partial(self._handled, inbox, given), tell)
        self._held[request] = member
        task = self.loop.create_task(self._carry(client, member, request, given), name=f"{leader.name} deliver", context=leader.context())
        self._tasks[task] = request
        task.add_done_callback(self._forget)

    def _forget(self, task: Task[None]) -> None:
        self._let_go(self._tasks.pop(task))

    def _let_go(self, request: Request) -> None:
        """This delivery counts no more as one that is with a member."""
        member = self._held.pop(request, None)
        if member is not None:
            member.outstanding -= 1

    def _way_to(self, member: Member, leader: Instance) -> Client:
        client = member.clients.get(leader)
        if client is None:
            name = member.instance.node.name
            use = leader.node.spec.uses.get(name) or plain_use()
            client = member.clients[leader] = self.broker.world.client(leader.node.name, leader, name, use, only=member.instance)
            client.carry = client.carry or partial(self._bring, self.broker.inbox(member.instance))
            leader.adopt(client)
        return client

    async def _carry(self, client: Client, member: Member, request: Request, given: Any) -> None:
        task = current_task()
        assert task is not None, "messages are carried by a task of their own"
        stale = self.loop.after(self.broker.spec.stale_after, task.cancel)
        response: Response | None = None
        try:
            if self.extra:
                self.slowed += 1
                await self._be_slow()
            response = await client.call(request)
        except CancelledError:  # by `break_off`, or since the connection is stale
            if self.broker.world.recorder.sealed:
                raise
        finally:
            stale.cancel()
        self._let_go(request)
        self.ended(member, given, response)

    async def _be_slow(self) -> None:
        come, since = Future[None](loop=self.loop), self.loop.time()
        self._slow[come] = since
        timer = self.loop.call_at(since + self.extra, _go_on, come)
        try:
            await come
        finally:
            timer.cancel()
            del self._slow[come]

    def set_extra(self, seconds: float) -> None:
        """Each delivery takes so much longer; where that is less than before, also those that are under way."""
        self.extra = seconds
        for come, since in self._slow.items():
            self.loop.call_at(max(self.loop.time(), since + seconds), _go_on, come)

    def _bring(self, inbox: Inbox, exchange: Exchange, delay: float) -> None:
        inbox.carry(exchange, delay)
        if delay == LOST:
            self._no_answer_due(exchange)

    def _handled(self, inbox: Inbox, given: Any, exchange: Exchange, well: bool) -> None:
        """At a member: its handler is done."""
        inbox.handled(exchange)
        if well:
            self.handled(given)
        self._no_answer_due(exchange)

    def _no_answer_due(self, exchange: Exchange) -> None:
        """A datagram is lost for good, and so may be its answer: nobody waits for that to send the next one."""
        if exchange.client.edge.there.transport == "datagram":
            self._let_go(exchange.request)
            self.loop.post(0.0, self.pump)

    def _tell(self, client: Client, instance: Instance, request: Request, given: Any) -> None:
        """At a member: the word that it is at work goes to the broker, which may not be there any more."""
        if instance.up:
            word = Packet(lambda delay: self.loop.post(delay, self.in_progress, given))
            client.edge.back.send(word, instance, client.source, request, PROGRESS)

    def break_off(self) -> None:
        """The broker is gone: nobody hears the answers to what is under way."""
        for task in list(self._tasks):
            task.cancel()


def _go_on(come: Future[None]) -> None:
    if not come.done():
        come.set_result(None)
