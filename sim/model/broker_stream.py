"""At least once: a stream that keeps messages until they are acknowledged, in the manner of NATS' JetStream.

    waiting ──▶ with a member ──2xx──────────────▶ acknowledged
       ▲            ├──failed: a negative ack──▶ again, after redelivery_delay ─┐
       │            ├──in progress──▶ ack_wait begins anew                      │
       │            ├──nothing within ack_wait─▶ again, at once ────────────────┤
       │            └──422: no use──▶ dead letter     more than max_deliver ────┼──▶ dead letter
       └────────────────────────────────────────────────────────────────────────┘

A late acknowledgement counts as one. So a message may be handled twice: by a member that was too slow to say so, whose answer was
lost, or that died. With `order: key` the next message of a key waits until the one before is settled.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from sim.model.broker_groups import Group, Member
from sim.model.messages import Response
from sim.model.messaging import Message

if TYPE_CHECKING:
    from sim.model.broker import Broker

NO_USE = 422  # the status by which a handler says that it will never be able to handle this message


class Entry:
    """A message as one group has it: *deliveries* so far, how often it was *handled* well, and the *timer* that runs for its
    acknowledgement (then it is *awaited*) or for its next try."""

    __slots__ = ("awaited", "deliveries", "group", "handled", "message", "settled", "timer")

    def __init__(self, group: StreamGroup, message: Message) -> None:
        self.group, self.message = group, message
        self.deliveries = self.handled = 0
        self.settled = self.awaited = False
        self.timer: Any = None

    def stop(self) -> None:
        """No timer runs any more."""
        self.awaited = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class StreamGroup(Group):
    """A durable consumer."""

    COUNTS = ("offered", "deliveries", "redeliveries", "acked", "dead_lettered", "given_up", "expired", "naks", "ack_timeouts",
              "duplicates")

    def __init__(self, broker: Broker, name: str, queue: str, pattern: str) -> None:
        super().__init__(broker, name, queue, pattern)
        self._ready: deque[Entry] = deque()  # never delivered, in order
        self._again: deque[Entry] = deque()  # to be delivered again, before all others
        self._unacked: dict[Entry, None] = {}  # delivered, also those that wait for another try
        self._lines: dict[str, deque[Entry]] = {}  # by key: the one under way, and who waits behind it
        self.dead: list[Message] = []

    # what comes in

    def offer(self, message: Message) -> None:
        entry = Entry(self, message)
        message.holders.append(entry)
        self.counts["offered"] += 1
        self.lag.change(1, self.env._now)
        key = message.key
        if self.broker.spec.order == "key" and key is not None:
            if key in self._lines:
                self._lines[key].append(entry)
                return
            self._lines[key] = deque([entry])
        self._ready.append(entry)
        self.pump()

    # what goes out

    def pump(self) -> None:
        spec = self.broker.spec
        while self.broker.working:
            again = self._first(self._again)
            entry = again or self._first(self._ready)
            if entry is None or (again is None and len(self._unacked) >= spec.max_ack_pending):
                return
            member = self.a_free_member()
            if member is None:
                return
            (self._again if again is not None else self._ready).popleft()
            self._unacked[entry] = None
            entry.deliveries += 1
            if entry.deliveries > 1:
                self.counts["redeliveries"] += 1
            self._wait_for_ack(entry)
            self.hand_over(member, entry.message, entry.deliveries, (entry, entry.deliveries))

    @staticmethod
    def _first(line: deque[Entry]) -> Entry | None:
        while line and line[0].settled:
            line.popleft()
        return line[0] if line else None

    def _wait_for_ack(self, entry: Entry) -> None:
        entry.stop()
        entry.timer = self.broker.later(self.broker.spec.ack_wait, self._no_ack, entry)
        entry.awaited = True

    def in_progress(self, given: tuple[Entry, int]) -> None:
        entry, number = given
        if entry.awaited and number == entry.deliveries and self.broker.working:
            self._wait_for_ack(entry)

    def _no_ack(self, entry: Entry) -> None:
        entry.timer, entry.awaited = None, False
        self.counts["ack_timeouts"] += 1
        self._try_again(entry, 0.0)

    # how it ended

    def ended(self, member: Member, given: tuple[Entry, int], response: Response | None) -> None:
        entry, number = given
        if not entry.settled and response is not None and response.error is None and not self.broker.loses_ack():
            if response.status < 400:
                self._settle(entry, "acked")
            elif number == entry.deliveries and entry.timer is not None:  # else its time was over, and it goes out again anyway
                self.counts["naks"] += 1
                if response.status == NO_USE:
                    self._bury(entry, "terminated")
                else:
                    self._try_again(entry, self.broker.spec.delay_after(number))
        self.pump()

    def handled(self, given: tuple[Entry, int]) -> None:
        entry, _ = given
        entry.handled += 1
        if entry.handled > 1:
            self.counts["duplicates"] += 1

    def _try_again(self, entry: Entry, delay: float) -> None:
        entry.stop()
        most = self.broker.spec.max_deliver
        if most is not None and entry.deliveries >= most:
            self._bury(entry, "max_deliver")
        elif delay:
            entry.timer = self.broker.later(delay, self._due, entry)
        else:
            self._due(entry)

    def _due(self, entry: Entry) -> None:
        entry.timer = None
        self._again.append(entry)
        self.pump()

    def _bury(self, entry: Entry, why: str) -> None:
        kept = self.broker.spec.dead_letter
        if kept:
            self.dead.append(entry.message)
        self._settle(entry, "dead_lettered" if kept else "given_up")
        message = entry.message
        self.broker.world.recorder.event("broker.dead_letter", node=self.broker.name, group=self.name, subject=message.subject,
                                         sequence=message.sequence, deliveries=entry.deliveries, reason=why, kept=kept, trace=message.trace)
        self.pump()

    def close(self) -> None:
        super().close()
        for message in list(self.broker.stream.messages.values()):
            for entry in [entry for entry in message.holders if entry.group is self]:
                self.expire(entry)

    def expire(self, entry: Entry) -> None:
        """The stream has dropped the message."""
        self._settle(entry, "expired")

    def _settle(self, entry: Entry, how: str) -> None:
        entry.settled = True
        entry.stop()
        self._unacked.pop(entry, None)
        self.counts[how] += 1
        self.lag.change(-1, self.env._now)
        key = entry.message.key
        if self.broker.spec.order == "key" and key is not None:
            self._next_of(key, entry)
        self.broker.stream.settled(entry.message, entry)

    def _next_of(self, key: str, entry: Entry) -> None:
        line = self._lines[key]
        if line[0] is not entry:  # the stream has dropped one that waits: it is passed over when it is its turn
            return
        following = self._first(line)
        if following is None:
            del self._lines[key]
        else:
            self._ready.append(following)

    # faults and repairs

    def break_off(self) -> None:
        super().break_off()
        self._again.clear()
        for entry in self._unacked:
            entry.stop()

    def recover(self) -> None:
        """The broker is back: what it had delivered is due again when its time to be acknowledged is over."""
        for entry in self._unacked:
            self._wait_for_ack(entry)
        self.pump()

    def redeliver(self, chosen: list[Entry]) -> None:
        """Deliver *chosen* again, though their time is not over."""
        for entry in chosen:
            entry.stop()
            self._due(entry)

    @property
    def unacked(self) -> list[Entry]:
        """What has been delivered and not acknowledged, oldest first."""
        return list(self._unacked)

    def redrive(self) -> int:
        """Offer the dead letters again, as if they were new; returns how many."""
        dead, self.dead = self.dead, []
        for message in dead:
            self.offer(message)
        return len(dead)

    @property
    def balance(self) -> int:
        """Offered messages of which nobody knows what became; 0, or there is a bug."""
        counts = self.counts
        return (counts["offered"] - counts["acked"] - counts["dead_lettered"] - counts["given_up"] - counts["expired"] - self.lag.value)
