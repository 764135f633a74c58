"""Steps: what an endpoint does, as a scenario writes it.

    POST /orders:
      - work: {exponential: 4ms}
      - call: payments POST /charges
      - choose: [{weight: 9, do: []}, {weight: 1, do: [{fail: {status: 500}}]}]

Each spec becomes a function of the exchange, one for all instances of a service. It returns None if there is nothing to wait for, or
something to await, whose result is None to go on, an Answer that ends the endpoint there, or the Response of a call: one that failed
ends it too. What each instance has of its own for a step (its dice, its client) stands in `instance.own`, at the place that
`service.each` gives. A large system has a fifth of the objects that way, and memory that a request touches is time there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from sim.distributions import TimeDistribution
from sim.model.failures import pass_on
from sim.model.keys import AnyKeys
from sim.model.messages import MESSAGE_SIZE, NO_HEADERS, Answer, Exchange, Request, Response
from sim.model.messaging import Publisher
from sim.model.paths import Target, draws_something, parse_target, template
from sim.model.subjects import Subject
from sim.sampling import Times
from sim.spec import LateTable, Mistake, OneKey, Spec, invalid, shown
from sim.units import Noun, Share, Size

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.service import Service
    from sim.streams import Stream

Act = Callable[[Exchange], Awaitable[Response | None] | None]


def _read_target(value: Any) -> Any:
    if isinstance(value, Target):
        return value
    if not isinstance(value, str):
        raise invalid(Mistake((), f"a call is a text, not {shown(value)}", "write 'payments POST /charges' or 'POST payments/charges'"))
    try:
        return parse_target(value)
    except ValueError as error:
        cause, _, cure = str(error).rpartition(": ")
        raise invalid(Mistake((), cause, cure)) from None


CallTarget = Annotated[
    Target,
    BeforeValidator(_read_target),
    PlainSerializer(lambda target: f"{target.node} {target.operation}".strip(), return_type=str),
    WithJsonSchema({"type": "string", "examples": ["payments POST /charges"]}),
    Noun("call"),
]


class Step(Spec):
    """Base of every step."""

    def build(self, service: Service) -> Act:
        """What an instance of *service* does at this step."""
        raise NotImplementedError

    def children(self) -> Iterator[list[Step]]:
        """The lists of steps inside this one."""
        return iter(())

    def targets(self) -> Iterator[Target]:
        """The calls that this step itself makes."""
        return iter(())


AnyStep = Annotated[Step, OneKey("step", lambda: STEPS)]


def key_of_each(service: Service, keys: AnyKeys | None, purpose: str) -> int | None:
    """The place of what draws the keys for each instance of *service*, from a stream of its own for that *purpose*; None without keys."""
    return None if keys is None else service.each(lambda instance: keys.drawer(instance.stream(purpose)))


def path_of_each(service: Service, path: str, purpose: str) -> int:
    """The place of what gives the next *path* for each instance of *service*, from a stream of its own for that *purpose*."""
    return service.each(lambda instance: template(path, instance.stream(f"{purpose} {path}")))


def sequence(steps: list[Step], service: Service) -> Callable[[Exchange], Coroutine[Any, Any, Response | None]]:
    """One step after another, until one answers or a call fails."""
    return partial(do, acts_of(steps, service))


def acts_of(steps: list[Step], service: Service) -> tuple[Act, ...]:
    """What `do` does for *steps*. The small objects of what is done most have slots, and no closures with a cell for each variable: a large
    system has thousands of them, and each line of memory that a request touches counts there."""
    return tuple(step.build(service) for step in steps)


async def do(acts: tuple[Act, ...], exchange: Exchange) -> Response | None:
    """One after another, until one answers or a call fails."""
    for act in acts:
        pending = act(exchange)
        if pending is not None:
            answer = await pending
            if answer is not None:
                if type(answer) is Answer:
                    return answer
                if answer.degraded:
                    exchange.degraded = True
                if answer.status >= 400:
                    return pass_on(answer)
    return None


class Work(Step):
    """Compute: hold a worker, and CPU where the service has `cpu`, for so long."""

    shorthand: ClassVar[str] = "time"
    time: TimeDistribution

    def build(self, service: Service) -> Act:
        return _working(service.each(lambda instance: self.time.times(instance.stream("work"))), service.cores is not None)


@cache
def _working(times: int, on_cpu: bool) -> Act:
    """Work as it is done, which takes the *times* at that place; one function for all services that have them there."""

    def work(exchange: Exchange) -> Awaitable[None]:
        instance = exchange.instance
        ahead: Times = instance.own[times]
        return instance.world.loop.sleep((ahead.pop() if ahead else ahead.more()) * instance.slowness)

    def work_on_cpu(exchange: Exchange) -> Awaitable[None]:
        instance = exchange.instance
        assert instance.cpu is not None
        return instance.cpu.work(instance.own[times].draw() * instance.slowness)

    return work_on_cpu if on_cpu else work


class Sleep(Step):
    """Wait for something outside: hold a worker but no CPU. It takes no longer where the instance is slow or stands still."""

    shorthand: ClassVar[str] = "time"
    time: TimeDistribution

    def build(self, service: Service) -> Act:
        draw, alarm = service.each(lambda instance: self.time.sampler(instance.stream("sleep"))), service.world.loop.alarm
        return lambda exchange: alarm(exchange.instance.own[draw]())


class Call(Step):
    """Call another service, under the policies that `uses` states for it. A failed call ends the endpoint, unless it is *optional*.

    By another *protocol* than `uses` states it has connections, and policies, of its own.
    """

    shorthand: ClassVar[str] = "to"
    beside: ClassVar[tuple[str, ...]] = ("optional", "protocol", "key", "size", "priority")
    to: CallTarget
    optional: bool = False
    protocol: Literal["http", "grpc"] | None = None  # None: as `uses` states
    key: AnyKeys | None = None  # for balancers that hash
    size: Size = MESSAGE_SIZE
    priority: int | None = None  # None: as the request at hand

    def targets(self) -> Iterator[Target]:
        yield self.to

    def build(self, service: Service) -> Act:
        calling = _Calling(self, service)
        return calling.call_if_possible if self.optional else calling.call


class _Calling:
    """A call as it is made; *way*, *draw_path* and *draw_key* are places of what each instance has of its own."""

    __slots__ = ("draw_key", "draw_path", "endpoint", "method", "operation", "path", "priority", "size", "way")

    def __init__(self, step: Call, service: Service) -> None:
        self.method, self.path, self.size, self.priority = step.to.method, step.to.path, step.size, step.priority
        self.way = service.each(lambda instance: instance.client(step.to.node, protocol=step.protocol))
        self.draw_path = path_of_each(service, step.to.path, "path") if draws_something(step.to.path) else None
        self.draw_key = key_of_each(service, step.key, "key")
        self.operation = service.world.recorder.operation(step.to.operation)
        self.endpoint = service.world.node(step.to.node).endpoint(self.method, self.path) if self.draw_path is None else None

    def call(self, exchange: Exchange) -> Coroutine[Any, Any, Response]:
        own, cause = exchange.instance.own, exchange.request
        client: Client = own[self.way]
        return client.call(Request(
            self.method, self.path if self.draw_path is None else own[self.draw_path](), cause.trace, exchange.span, self.operation,
            NO_HEADERS, self.size, None, cause.key if self.draw_key is None else str(own[self.draw_key]()),
            cause.priority if self.priority is None else self.priority, self.endpoint))

    async def call_if_possible(self, exchange: Exchange) -> None:
        response = await self.call(exchange)
        if response.degraded or response.status >= 400:
            exchange.degraded = True


class Publish(Step):
    """Publish a message to the broker *to* (the only one, if it is not named), and wait until it is stored, where the broker confirms."""

    shorthand: ClassVar[str] = "subject"
    subject: Subject
    to: str | None = None
    key: AnyKeys | None = None  # what order is kept by
    size: Size = MESSAGE_SIZE
    confirm: bool | None = None  # None: as the broker's delivery has it

    def targets(self) -> Iterator[Target]:
        if self.to is not None:
            yield Target(self.to, "POST", f"/{self.subject}")

    def build(self, service: Service) -> Act:
        way = service.each(lambda instance: Publisher(instance, self.to))
        subject = path_of_each(service, self.subject, "subject")
        draw_key = key_of_each(service, self.key, "key")
        operation = service.world.recorder.operation(f"publish {self.subject}")

        def publish(exchange: Exchange) -> Coroutine[Any, Any, Response]:
            own, cause = exchange.instance.own, exchange.request
            publisher: Publisher = own[way]
            return publisher.publish(
                own[subject](), trace=cause.trace, parent=exchange.span, operation=operation,
                key=cause.key if draw_key is None else str(own[draw_key]()), size=self.size, confirm=self.confirm)

        return publish


class Parallel(Step):
    """Several lists of steps at once; wait for all, or for a *quorum* of them that succeed. The others then go on by themselves.

    As soon as too many have failed, the endpoint ends with the failure of the last one; an answer that one of them gives ends it too.
    """

    shorthand: ClassVar[str] = "branches"
    beside: ClassVar[tuple[str, ...]] = ("quorum",)
    branches: list[list[AnyStep]] = Field(min_length=1)
    quorum: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _enough(self) -> Parallel:
        if self.quorum is not None and self.quorum > len(self.branches):
            what = f"{len(self.branches)} branches cannot make a quorum of {self.quorum}"
            raise invalid(Mistake(("quorum",), what, "lower it, or add branches"))
        return self

    def children(self) -> Iterator[list[Step]]:
        yield from self.branches

    def build(self, service: Service) -> Act:
        runs = [sequence(branch, service) for branch in self.branches]
        needed = self.quorum or len(runs)
        tolerated = len(runs) - needed

        async def fork(exchange: Exchange) -> Response | None:
            instance = exchange.instance
            tasks = [instance.loop.create_task(run(exchange), name=f"{instance.name} branch") for run in runs]
            good = bad = 0
            try:
                for finished in asyncio.as_completed(tasks):
                    answer: Response | None = await finished
                    if answer is not None and answer.status < 400:
                        return answer
                    good, bad = (good + 1, bad) if answer is None else (good, bad + 1)
                    if good == needed or bad > tolerated:
                        return answer
            except BaseException:
                for task in tasks:
                    task.cancel()
                raise
            finally:
                for task in tasks:
                    instance.keep(task)
            return None

        return fork


class Choice(Spec):
    """One way to go on, and how often it is taken."""

    weight: float = Field(gt=0, le=1e9)
    do: list[AnyStep] = []


class Choose(Step):
    """One of several lists of steps, by weight."""

    shorthand: ClassVar[str] = "ways"
    ways: list[Choice] = Field(min_length=1)

    def children(self) -> Iterator[list[Step]]:
        return (way.do for way in self.ways)

    def build(self, service: Service) -> Act:
        runs = [sequence(way.do, service) for way in self.ways]
        weights = [way.weight for way in self.ways]
        dice = service.each(lambda instance: instance.stream("choose"))

        def choose(exchange: Exchange) -> Coroutine[Any, Any, Response | None]:
            stream: Stream = exchange.instance.own[dice]
            return stream.choices(runs, weights)[0](exchange)

        return choose


class Repeat(Step):
    """A list of steps, several times over."""

    times: int = Field(ge=0, le=10_000)
    do: list[AnyStep]

    def children(self) -> Iterator[list[Step]]:
        yield self.do

    def build(self, service: Service) -> Act:
        run = sequence(self.do, service)

        async def again(exchange: Exchange) -> Response | None:
            for _ in range(self.times):
                answer = await run(exchange)
                if answer is not None:
                    return answer
            return None

        return again


class FailStep(Step):
    """Answer with an error, for a *share* of the requests."""

    shorthand: ClassVar[str] = "share"
    share: Share = 1.0
    status: int = Field(default=500, ge=400, le=599)

    def build(self, service: Service) -> Act:
        dice = service.each(lambda instance: instance.stream("fail"))

        async def answer() -> Response:
            return Answer(self.status)

        return lambda exchange: answer() if exchange.instance.own[dice].random() < self.share else None


class Return(Step):
    """Answer now."""

    shorthand: ClassVar[str] = "status"
    status: int = Field(default=200, ge=100, le=599)
    size: Size = MESSAGE_SIZE

    def build(self, service: Service) -> Act:
        async def answer() -> Response:
            return Answer(self.status, size=self.size)

        return lambda exchange: answer()


STEPS: Mapping[str, type[Step]] = LateTable({
    "work": ("sim.model.steps", "Work"),
    "sleep": ("sim.model.steps", "Sleep"),
    "call": ("sim.model.steps", "Call"),
    "parallel": ("sim.model.steps", "Parallel"),
    "query": ("sim.model.queries", "Query"),
    "cache": ("sim.model.cache_step", "CacheLookup"),
    "append": ("sim.model.event_steps", "Append"),
    "project": ("sim.model.event_steps", "Project"),
    "publish": ("sim.model.steps", "Publish"),
    "saga": ("sim.model.saga_step", "SagaStep"),
    "choose": ("sim.model.steps", "Choose"),
    "repeat": ("sim.model.steps", "Repeat"),
    "fail": ("sim.model.steps", "FailStep"),
    "return": ("sim.model.steps", "Return"),
})


def walk(steps: list[Step]) -> Iterator[Step]:
    """Every step, also those inside others."""
    for step in steps:
        yield step
        for inner in step.children():
            yield from walk(inner)
