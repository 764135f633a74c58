"""What an instance has been sent by a broker and has not begun: it waits in the memory of the process, not in the line of its requests.

    arrives ──▶ inbox ──fewer messages at work than workers──▶ station ──▶ handled: the next one
                  └──killed──▶ connection reset

So a worker that has handled a message finds the next one there, and does not stand idle while the network carries its acknowledgement.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from sim.errors import ConnectionReset
from sim.model.messages import Exchange, Response
from sim.model.network import LOST

if TYPE_CHECKING:
    from sim.model.instance import Instance

LATER = 1e-9  # seconds; more than what rounding may take away


class Inbox:
    """The messages of one broker for *instance*, whatever they were subscribed for."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._waiting: deque[Exchange] = deque()
        self._at_work: dict[Exchange, None] = {}
        self._last = 0.0  # when the last one arrives, in seconds

    def carry(self, exchange: Exchange, delay: float) -> None:
        """Let a message arrive after *delay* seconds (LOST: never); on TCP it does not overtake those before it."""
        if delay == LOST:
            return
        instance = self.instance
        if exchange.client.edge.there.transport == "tcp":
            now = instance.env._now
            if now + delay < self._last:
                delay = self._last + LATER - now
            self._last = now + delay
        instance.loop.post(delay, self.arrive, exchange)

    def arrive(self, exchange: Exchange) -> None:
        """A message has come over the link."""
        instance = self.instance
        if instance.up and instance.accepting:
            self._waiting.append(exchange)
            self._go_on()
        else:
            instance.arrive(exchange)  # and is refused

    def handled(self, exchange: Exchange) -> None:
        """The handler is done with it, well or not."""
        if exchange in self._at_work:
            del self._at_work[exchange]
            self._go_on()

    def instance_changed(self) -> None:
        """If the process is gone, so is what it had in memory."""
        if self.instance.up:
            return
        lost = list(self._waiting)
        self._waiting.clear()
        self._at_work.clear()
        for exchange in lost:
            self.instance.fail(exchange, ConnectionReset(f"{self.instance.name} was killed"))

    def _go_on(self) -> None:
        instance = self.instance
        while self._waiting and len(self._at_work) < instance.workers:
            exchange = self._waiting.popleft()
            if not exchange.abandoned:
                self._at_work[exchange] = None
                exchange.answer.add_done_callback(partial(self._over, exchange))
            instance.take(exchange)

    def _over(self, exchange: Exchange, answer: Future[Response]) -> None:
        """The broker has its answer, or waits for none any more. If no handler has got it, and none will, then it was turned away."""
        if exchange in self._at_work and exchange not in self.instance.serving and exchange not in self.instance.queue:
            self.handled(exchange)
