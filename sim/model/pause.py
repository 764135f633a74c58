"""An instance that stands still, as under SIGSTOP or a long collection of garbage, and goes on later.

    work that it does (sleeps)              ends later by the length of the pause
    its timers, timeouts, `sleep` steps     those that come due wait for the end of it: the clock went on
    answers to calls that it has made       wait in its socket; a timeout that is due by then wins, as in any event loop that wakes up
    new requests                            wait in its socket; so does the word that a caller has gone
    answers of its own                      cannot be ready; those that are, wait
    its start, where it has just begun      is over when the pause is

What belongs to the instance is known by the context in which its code runs (sim.model.place), so that everything that a handler
has started stands still with it.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from contextvars import Context
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sim.kernel.timers import Timer, go_off
from sim.model.client import Client
from sim.model.messages import Exchange
from sim.model.place import PLACE

if TYPE_CHECKING:
    from sim.model.instance import Instance

NETWORK = (Client.answered, Client.broken)


class Pause:
    """It begins as it is made; call `end`, once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.held: list[tuple[float, Exchange, Callable[[], None]]] = []  # what has come meanwhile, and when
        loop = instance.loop
        self._sleeps = loop.freeze(self._sleeps_here)
        self._others = loop.hold(self._belongs)
        self._deaf: list[Client] = []
        for client in instance.clients:
            self.hold_answers(client)
        if instance.cpu is not None:
            instance.cpu.stop()

    def hold_answers(self, client: Client) -> None:
        """What comes for *client* waits for the end of the pause."""
        self._deaf.append(client)
        client.answered = partial(self._later, client, Client.answered)  # type: ignore[method-assign]
        client.broken = partial(self._later, client, Client.broken)  # type: ignore[method-assign]

    def hold(self, exchange: Exchange, act: Callable[[], None]) -> None:
        """Do *act* when the pause is over."""
        self.held.append((self.instance.env._now, exchange, act))

    def end(self, deliver: bool = True) -> None:
        """What was in work goes on; timers that are due, and what has come meanwhile if it is to be *delivered*, follow in their order."""
        instance = self.instance
        for client in self._deaf:
            del client.answered, client.broken
        instance.loop.thaw(self._sleeps)
        come = [(when, (act, ())) for when, _, act in self.held] if deliver else []
        instance.loop.release(sorted([*self._others, *come], key=itemgetter(0)))
        if instance.cpu is not None:
            instance.cpu.go_on()

    def stretch(self, factor: float) -> None:
        """The work that is left will take *factor* times as long."""
        self._sleeps = [(left * factor, sleep) for left, sleep in self._sleeps]

    # what belongs to the instance

    def _later(self, client: Client, deliver: Callable[[Exchange, Any], None], exchange: Exchange, what: Any) -> None:
        """The network brings something to *client*; it may have been sent during a pause and come after it."""
        pause = self.instance.pause_now
        if pause is None:
            deliver(exchange, what)
        else:
            pause.hold(exchange, partial(deliver, exchange, what))

    def _sleeps_here(self, future: Future[Any]) -> bool:
        return sleeps_in(self.instance, future)

    def _belongs(self, entry: Any) -> bool:
        kind = type(entry)
        if kind is tuple:
            callback, args = entry
            if callback is go_off:
                return self._sleeps_here(args[0])
            return callback == self.instance._ready or (callback in NETWORK and args[0].client.source is self.instance)
        if kind is Timer:
            return is_of(self.instance, entry.context)
        return kind is Future and self._sleeps_here(entry)


def on_their_way(instance: Instance) -> dict[Exchange, float]:
    """The requests that were sent to *instance* and have not come, with the time (seconds) at which each is due."""
    return {args[0]: when for when, (callback, args) in instance.loop.posted()
            if args and type(args[0]) is Exchange and args[0].instance is instance and callback not in NETWORK
            and not hasattr(args[0], "arrived")}


def is_of(instance: Instance, context: Context | None) -> bool:
    """Whether code that runs in *context* is code of *instance*."""
    place = context.get(PLACE) if context is not None else None
    return place is not None and place.instance is instance


def sleeps_in(instance: Instance, future: Future[Any]) -> bool:
    """Whether code of *instance* waits for *future*."""
    return any(is_of(instance, context) for _, context in future._callbacks or ())
