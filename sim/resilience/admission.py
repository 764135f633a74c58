"""Admission: the door of a server. What it turns away costs nearly nothing; what it lets in should be answered in time.

    request ──arrive──▶ rate limiter ─▶ drop expired ─▶ priority ──▶ queue ──start──▶ drop expired ─▶ CoDel ──▶ served
                          429                503           503                           503            503

Ask `arrive` before a request is queued and `start` as it leaves the queue, when its delay is known.
"""

from __future__ import annotations

import math
from random import Random
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field, field_validator

from sim.spec import OneKey, SharedSpec, Spec
from sim.units import Duration, PositiveDuration

from .codel import CoDel
from .drop_expired import DropExpired
from .errors import LoadShed, RateLimited, Rejected
from .events import CallRejected, Listener, tell
from .limiter import Limiter
from .priority_shedder import PriorityShedder
from .rate_limiter import RateLimiterSpec


class Gate(Protocol):
    """One rule at the door; False: turned away."""

    def arrive(self, now: float, rng: Random, priority: int, deadline: float) -> bool:
        """A request arrives."""

    def start(self, now: float, rng: Random, queue_delay: float, priority: int, deadline: float) -> bool:
        """A request leaves the queue after *queue_delay* seconds."""


class ShedderSpec(Spec):
    """Base of the load shedders at a server's door."""

    def build(self, now: float) -> Gate:
        """The gate, with windows that start at *now*."""
        raise NotImplementedError


class CoDelSpec(ShedderSpec):
    """Shed what waited more than twice *target* while the queue stands: while nothing in an *interval* waited less than *target*."""

    target: PositiveDuration = 0.005
    interval: PositiveDuration = 0.1

    def build(self, now: float) -> Gate:
        return CoDelGate(CoDel(self.target, self.interval))


class PrioritySpec(ShedderSpec):
    """Shed the least important first, as many as keep the mean queue delay at *target*."""

    target: PositiveDuration = 0.02
    window: PositiveDuration = 1.0
    minimum_number_of_calls: Annotated[int, Field(ge=1)] = 10

    def build(self, now: float) -> Gate:
        return PriorityGate(PriorityShedder(self.target, self.window, minimum_number_of_calls=self.minimum_number_of_calls, now=now))


class DropExpiredSpec(ShedderSpec):
    """Shed what has no more than *needed* left until its caller's deadline."""

    needed: Duration = 0.0

    def build(self, now: float) -> Gate:
        return ExpiredGate(DropExpired(self.needed))


SHEDDERS: dict[str, type[ShedderSpec]] = {"codel": CoDelSpec, "priority": PrioritySpec, "drop_expired": DropExpiredSpec}
AnyShedder = Annotated[ShedderSpec, OneKey("load shedder", lambda: SHEDDERS, group="shedders")]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class AdmissionSpec(SharedSpec):
    """Who is let in: `load_shedder` is one or a list of codel, priority and drop_expired; the `rate_limiter` does not let anyone wait."""

    load_shedder: Annotated[list[AnyShedder], BeforeValidator(_as_list)] = []
    rate_limiter: RateLimiterSpec | None = None

    @field_validator("rate_limiter")
    @classmethod
    def _nobody_waits(cls, spec: RateLimiterSpec | None) -> RateLimiterSpec | None:
        if spec is not None and spec.max_wait > 0:
            raise ValueError("at a server's door nobody waits for a token: leave `max_wait` out, the queue is behind the door")
        return spec

    def build(self, now: float = 0.0, name: str = "admission", on_event: Listener | None = None) -> Admission:
        """The door of a server that starts at *now*."""
        limiter = None if self.rate_limiter is None else self.rate_limiter.limiter(now)
        return Admission({word_of(spec): spec.build(now) for spec in self.load_shedder}, limiter, name=name, on_event=on_event)


def word_of(spec: ShedderSpec) -> str:
    """The word of *spec* in a scenario."""
    return next(word for word, cls in SHEDDERS.items() if cls is type(spec))


class CoDelGate:
    """CoDel decides as a request leaves the queue."""

    def __init__(self, shedder: CoDel) -> None:
        self.shedder = shedder

    def arrive(self, now: float, rng: Random, priority: int, deadline: float) -> bool:
        return True

    def start(self, now: float, rng: Random, queue_delay: float, priority: int, deadline: float) -> bool:
        return self.shedder.admit(now, rng, queue_delay, priority)


class PriorityGate:
    """The priority shedder decides at the door, by the delay of those who have just left the queue: what it sheds takes no place in it."""

    def __init__(self, shedder: PriorityShedder) -> None:
        self.shedder = shedder
        self._delay = 0.0

    def arrive(self, now: float, rng: Random, priority: int, deadline: float) -> bool:
        return self.shedder.admit(now, rng, self._delay, priority)

    def start(self, now: float, rng: Random, queue_delay: float, priority: int, deadline: float) -> bool:
        self._delay = queue_delay
        return True


class ExpiredGate:
    """Expired requests are dropped at both ends of the queue."""

    def __init__(self, shedder: DropExpired) -> None:
        self.shedder = shedder

    def arrive(self, now: float, rng: Random, priority: int, deadline: float) -> bool:
        return self.shedder.admit(now, rng, 0.0, priority, deadline)

    def start(self, now: float, rng: Random, queue_delay: float, priority: int, deadline: float) -> bool:
        return self.shedder.admit(now, rng, queue_delay, priority, deadline)


class Admission:
    """The gates of a server, in order, behind its rate limiter. Both methods return or raise."""

    def __init__(self, gates: dict[str, Gate], limiter: Limiter | None = None, *, name: str = "admission",
                 on_event: Listener | None = None) -> None:
        self.gates = gates
        self.limiter = limiter
        self.name = name
        self.on_event = on_event

    def arrive(self, now: float, rng: Random, priority: int = 0, deadline: float = math.inf) -> None:
        """A request is about to be queued; raise RateLimited or LoadShed if it may not."""
        if self.limiter is not None and not self.limiter.try_acquire(now):
            wait = self.limiter.wait(now)
            raise self._refused(RateLimited(self, "rate_limiter: no token", wait if wait < math.inf else None), now)
        for word, gate in self.gates.items():
            if not gate.arrive(now, rng, priority, deadline):
                raise self._refused(LoadShed(self, f"{word}: turned away at the door"), now)

    def start(self, now: float, rng: Random, queue_delay: float, priority: int = 0, deadline: float = math.inf) -> None:
        """A request leaves the queue after *queue_delay* seconds; raise LoadShed if it is not worth serving any more."""
        for word, gate in self.gates.items():
            if not gate.start(now, rng, queue_delay, priority, deadline):
                raise self._refused(LoadShed(self, f"{word}: waited {queue_delay:g} s"), now)

    def _refused(self, error: Rejected, now: float) -> Rejected:
        if self.on_event is not None:
            tell(self.on_event, CallRejected(at=now, policy=self.name, reason=error.reason, retry_after=error.retry_after))
        return error
