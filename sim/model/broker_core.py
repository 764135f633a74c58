"""At most once: NATS' core. A message goes to who is subscribed now, and is forgotten.

    published ──nobody there──▶ no_subscribers
       └──▶ one member of each group ──its buffer is full──▶ dropped: a slow consumer
                └──▶ handled
                └──▶ lost: its handler failed, or its instance died with it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.broker_groups import Group, Member
from sim.model.messages import Response
from sim.model.messaging import Message

if TYPE_CHECKING:
    from sim.streams import Stream


class CoreGroup(Group):
    """A queue group that keeps nothing beyond what is on its way to its members."""

    COUNTS = ("offered", "deliveries", "handled", "lost", "dropped")

    def offer(self, message: Message) -> None:
        route([self], message, self.broker.dice)

    def connected(self) -> list[Member]:
        """Who is there."""
        return [member for member in self.members.values() if member.connected]

    def give(self, member: Member, message: Message) -> None:
        """*member* gets *message*: now, or when it comes to it."""
        self.counts["offered"] += 1
        if member.free and not member.buffer:
            self.lag.change(1, self.env._now)
            self.hand_over(member, message, 1, message)
        elif len(member.buffer) < self.broker.spec.max_pending:
            self.lag.change(1, self.env._now)
            member.buffer.append(message)
        else:
            self.counts["dropped"] += 1
            if not member.slow:
                member.slow = True
                self.broker.world.recorder.event("broker.slow_consumer", node=self.broker.name, group=self.name,
                                                 instance=member.instance.name, pending=len(member.buffer))

    def ended(self, member: Member, message: Message, response: Response | None) -> None:
        self.lag.change(-1, self.env._now)
        self.counts["handled" if response is not None and response.status < 400 else "lost"] += 1
        self._serve(member)

    def changed(self) -> None:
        for member in self.members.values():
            if member.connected:
                self._serve(member)
            else:
                self.dismiss(member)

    def dismiss(self, member: Member) -> None:
        """What was kept for it was kept in its own memory."""
        self.counts["lost"] += len(member.buffer)
        self.lag.change(-len(member.buffer), self.env._now)
        member.buffer.clear()

    def pump(self) -> None:
        for member in self.members.values():
            self._serve(member)

    def _serve(self, member: Member) -> None:
        while member.buffer and member.free and member.connected and self.broker.working:
            message = member.buffer.popleft()
            self.hand_over(member, message, 1, message)
        if not member.buffer:
            member.slow = False

    def break_off(self) -> None:
        super().break_off()
        for member in self.members.values():
            self.dismiss(member)

    @property
    def balance(self) -> int:
        """Offered messages of which nobody knows what became; 0, or there is a bug."""
        counts = self.counts
        return counts["offered"] - counts["handled"] - counts["lost"] - counts["dropped"] - self.lag.value


def route(groups: list[CoreGroup], message: Message, dice: Stream) -> bool:
    """Give *message* to one member of each queue, by chance; groups of the same name are one queue. False: nobody was there."""
    queues: dict[str, list[tuple[CoreGroup, Member]]] = {}
    for group in groups:
        queues.setdefault(group.queue, []).extend((group, member) for member in group.connected())
    taken = False
    for candidates in queues.values():
        if candidates:
            group, member = candidates[0] if len(candidates) == 1 else dice.choice(candidates)
            group.give(member, message)
            taken = True
    return taken
