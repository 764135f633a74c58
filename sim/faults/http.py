"""Faults of requests, done where the request reaches the instance, before its queue: what a sidecar of the mesh does."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sim.distributions import TimeDistribution
from sim.faults.fault import Fault
from sim.faults.injection import Injection
from sim.faults.instances import wrong_kind
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.faults.targets import SELECTORS, Group, LinkName
from sim.model.messages import Exchange, Request, Response
from sim.model.paths import METHODS, compile_pattern
from sim.model.station import Hook
from sim.names import UrlPattern
from sim.resilience.token_bucket import TokenBucket
from sim.spec import Mistake, Spec, did_you_mean, invalid
from sim.units import PositiveRate, Share

if TYPE_CHECKING:
    from sim.model.instance import Instance

Arrive = Callable[[Exchange], None]


class Match(Spec):
    """Which requests: by method, path (`/charges*`, `/orders/{id}`) and headers (`*` stands for any text). What is not given fits all."""

    method: str | None = None
    path: UrlPattern | None = None
    headers: dict[str, str] = Field(default={})

    @field_validator("method")
    @classmethod
    def _known(cls, method: str | None) -> str | None:
        if method is not None and method not in METHODS:
            raise invalid(Mistake((), f"{method!r} is no method", did_you_mean(method.upper(), METHODS)))
        return method

    @cached_property
    def _path(self) -> re.Pattern[str] | None:
        return None if self.path is None else compile_pattern(self.path)

    def fits(self, request: Request) -> bool:
        """Whether *request* is meant."""
        if self.method is not None and request.method != self.method:
            return False
        if self._path is not None and not self._path.fullmatch(request.path.partition("?")[0]):
            return False
        return all(fnmatchcase(request.headers.get(name.lower(), ""), wanted) for name, wanted in self.headers.items())


class RequestTarget(Group):
    """Requests to a service, instance, zone or kind of node; or those on one *link* `caller->callee` only. *match* narrows them down."""

    link: LinkName | None = None
    match: Match | None = None

    def _must_select(self) -> bool:
        return self.link is None

    @model_validator(mode="after")
    def _link_or_group(self) -> RequestTarget:
        if self.link is not None and any(getattr(self, name) is not None for name in SELECTORS):
            raise invalid(Mistake(("link",), "a link names its service already", "remove `link`, or the other selector"))
        return self

    @property
    def caller(self) -> str | None:
        """Whose requests alone are meant."""
        caller = self.link.partition("->")[0] if self.link is not None else "*"
        return None if caller == "*" else caller

    def whom(self) -> Group:
        """Those whose requests they are, without a word about who asks; a link to anybody names none."""
        return self if self.link is None else Group(service=self.link.partition("->")[2])

    def fits(self, instance: Instance) -> bool:
        if self.link is not None:
            callee = self.link.partition("->")[2]
            return callee == "*" or instance.node.name == callee
        return super().fits(instance)

    def mistakes(self, system: System, at: tuple[str, ...] = ("target",)) -> Iterator[Mistake]:
        if self.link is None:
            yield from super().mistakes(system, at)
            return
        caller, _, callee = self.link.partition("->")
        yield from system.unknown((*at, "link"), "service or workload", caller, system.ends)
        yield from system.unknown((*at, "link"), "service", callee, {*system.services, "*"})


class RequestFault(Fault):
    """A fault of single requests: with *probability*, of those that the target's `match` fits; health checks and messages from a broker
    are requests too. Where all instances are meant, those that are added later belong to them.
    """

    severity: ClassVar[str] = "probability"
    of_kind: ClassVar[str | None] = None  # the one kind of node that it can hit
    target: RequestTarget
    probability: Share = 1.0

    @abstractmethod
    def spoiler(self, at: Injection) -> Hook:
        """What is done to a request that was chosen; made once for each time that the fault is on."""
        raise NotImplementedError

    @contextmanager
    def active(self, at: Injection) -> Iterator[None]:
        chosen = self.target.pick(self._candidates(at), at.rng)
        at.targets.extend(instance.name for instance in chosen)
        with ExitStack() as hooks:
            hook = self._hook(at)
            for instance in chosen:
                hooks.enter_context(self.laid(hook, instance))
            if self.target.mode == "all":
                at.targets[:] = [self.target.link or self.target.text()] if chosen else []

                def join(new: Instance) -> None:
                    if self._fits(new):
                        at.targets[:] = [self.target.link or self.target.text()]
                        hooks.enter_context(self.laid(hook, new))

                hooks.enter_context(at.world.each_new_instance(join))
            yield

    def laid(self, hook: Hook, instance: Instance) -> AbstractContextManager[None]:
        """Let *hook* have what comes to *instance* while the block lasts."""
        return instance.intercepted(hook)

    def concerns(self, exchange: Exchange) -> bool:
        """Whether the request is among those that chance picks from."""
        return self.target.match is None or self.target.match.fits(exchange.request)

    def _fits(self, instance: Instance) -> bool:
        return self.target.fits(instance) and self.of_kind in (None, instance.node.spec.word)

    def _candidates(self, at: Injection) -> list[Instance]:
        return [instance for instance in at.world.instances if self._fits(instance)]

    def _hook(self, at: Injection) -> Hook:
        caller, spoil = self.target.caller, self.spoiler(at)

        def intercept(exchange: Exchange, proceed: Arrive) -> None:
            if (caller is not None and exchange.client.caller != caller) or not self.concerns(exchange):
                proceed(exchange)
                return
            at.seen += 1
            if at.happens(self.probability * at.strength):
                at.hits += 1
                spoil(exchange, proceed)
            else:
                proceed(exchange)

        return intercept

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from self.target.mistakes(system)
        yield from wrong_kind(self.kind, self.of_kind, self.target.whom(), system)

    def picked_nobody(self, at: Injection) -> Reason:
        return self.target.nobody("no instance meanwhile")

    def missed(self, at: Injection) -> Reason:
        where = ", ".join(at.targets)
        if at.seen:
            return because("no request by chance", number=at.seen, where=where, share=f"{100 * self.probability:g}")
        if self.target.match is not None:
            return because("no request fitted", where=where)
        return because("no request", where=where)


class HttpAbort(RequestFault):
    """The request is answered with *status* and never reaches the service.

    `{kind: http.abort, target: {service: payments, match: {path: /charges*}}, schedule: {at: 60s, for: 30s}, probability: 10%}`
    """

    kind: Literal["http.abort"] = "http.abort"
    status: int = Field(default=503, ge=400, le=599)

    def spoiler(self, at: Injection) -> Hook:
        return lambda exchange, proceed: exchange.instance.reply(exchange, Response(self.status))


class HttpDelay(RequestFault):
    """The request is kept for *delay* before it reaches the service.

    `{kind: http.delay, target: {service: payments}, schedule: {at: 60s, for: 30s}, delay: {exponential: 200ms}, probability: 50%}`
    """

    kind: Literal["http.delay"] = "http.delay"
    delay: TimeDistribution

    def does_nothing(self) -> bool:
        return not self.delay.expectation()

    def nothing(self) -> Reason:
        return because("neutral", severity="delay", value="0")

    def spoiler(self, at: Injection) -> Hook:
        draw, post = self.delay.sampler(at.world.streams[f"fault {at.name} delay"]), at.world.loop.post
        return lambda exchange, proceed: post(draw(), proceed, exchange)


class HttpThrottle(RequestFault):
    """Requests beyond *rate* (of all that the target fits together) and a *burst* are answered with *status*, and when to come again.

    `{kind: http.throttle, target: {link: orders->payments}, schedule: {at: 60s, for: 30s}, rate: 1/s, burst: 5}`
    """

    kind: Literal["http.throttle"] = "http.throttle"
    rate: PositiveRate
    burst: int = Field(default=1, ge=1)
    status: int = Field(default=429, ge=400, le=599)

    def spoiler(self, at: Injection) -> Hook:
        bucket, clock = TokenBucket(self.rate, self.burst, at.world.loop.time()), at.world.loop.time

        def throttle(exchange: Exchange, proceed: Arrive) -> None:
            if bucket.try_acquire(clock()):
                at.hits -= 1
                at.spared += 1
                proceed(exchange)
            else:
                exchange.instance.reply(exchange, Response(self.status, rejected=True, retry_after=bucket.wait(clock())))

        return throttle

    def missed(self, at: Injection) -> Reason:
        if at.spared:
            return because("below rate", number=at.spared, where=", ".join(at.targets))
        return super().missed(at)
