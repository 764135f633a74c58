"""Steps: what an endpoint does, as a scenario writes it.

    POST /orders:
      - work: {exponential: 4ms}
      - call: payments POST /charges
      - choose: [{weight: 9, do: []}, {weight: 1, do: [{fail: {status: 500}}]}]

Each spec becomes a function of the exchange. It returns None if there is nothing to wait for, or something to await, whose
result is None to go on, an Answer that ends the endpoint there, or the Response of a call: one that failed ends it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from sim.distributions import TimeDistribution
from sim.model.failures import pass_on
from sim.model.keys import AnyKeys
from sim.model.messages import MESSAGE_SIZE, NO_HEADERS, Answer, Exchange, Request, Response
from sim.model.messaging import Publisher
from sim.model.paths import Target, draws_something, parse_target, template
from sim.model.subjects import Subject
from sim.sampling import Sampler
from sim.spec import LateTable, Mistake, OneKey, Spec, invalid, shown
from sim.units import Noun, Share, Size

if TYPE_CHECKING:
    from sim.model.instance import Instance

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

    def build(self, instance: Instance) -> Act:
        """What *instance* does at this step."""
        raise NotImplementedError

    def children(self) -> Iterator[list[Step]]:
        """The lists of steps inside this one."""
        return iter(())

    def targets(self) -> Iterator[Target]:
        """The calls that this step itself makes."""
        return iter(())


AnyStep = Annotated[Step, OneKey("step", lambda: STEPS)]


def sequence(steps: list[Step], instance: Instance) -> Callable[[Exchange], Coroutine[Any, Any, Response | None]]:
    """One step after another, until one answers or a call fails."""
    return Sequence(steps, instance).run


class Sequence:
    """Steps as one instance does them. These small objects, one for each step and instance, have slots and no closures: there are tens of
    thousands of them in a large system, and each line of memory that a request touches counts there."""

    __slots__ = ("acts",)

    def __init__(self, steps: list[Step], instance: Instance) -> None:
        self.acts = tuple(step.build(instance) for step in steps)

    async def run(self, exchange: Exchange) -> Response | None:
        for act in self.acts:
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

    def build(self, instance: Instance) -> Act:
        working = _Working(instance, self.time.sampler(instance.stream("work")))
        return working.with_cpu if instance.cpu is not None else working.without_cpu


class _Working:
    """Work as one instance does it."""

    __slots__ = ("draw", "instance")

    def __init__(self, instance: Instance, draw: Sampler) -> None:
        self.instance, self.draw = instance, draw

    def with_cpu(self, exchange: Exchange) -> Awaitable[None]:
        instance = self.instance
        assert instance.cpu is not None
        return instance.cpu.work(self.draw() * instance.slowness)

    def without_cpu(self, exchange: Exchange) -> Awaitable[None]:
        instance = self.instance
        return instance.loop.sleep(self.draw() * instance.slowness)


class Sleep(Step):
    """Wait for something outside: hold a worker but no CPU. It takes no longer where the instance is slow or stands still."""

    shorthand: ClassVar[str] = "time"
    time: TimeDistribution

    def build(self, instance: Instance) -> Act:
        draw = self.time.sampler(instance.stream("sleep"))
        alarm = instance.loop.alarm
        return lambda exchange: alarm(draw())


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

    def build(self, instance: Instance) -> Act:
        calling = _Calling(self, instance)
        return calling.call_if_possible if self.optional else calling.call


class _Calling:
    """A call as one instance makes it."""

    __slots__ = ("client", "draw_key", "draw_path", "method", "operation", "path", "priority", "size")

    def __init__(self, step: Call, instance: Instance) -> None:
        self.method, self.size, self.priority = step.to.method, step.size, step.priority
        self.client = instance.client(step.to.node, protocol=step.protocol)
        self.path = step.to.path
        self.draw_path = template(self.path, instance.stream(f"path {self.path}")) if draws_something(self.path) else None
        self.draw_key = step.key.drawer(instance.stream("key")) if step.key is not None else None
        self.operation = instance.recorder.operation(step.to.operation)

    def call(self, exchange: Exchange) -> Coroutine[Any, Any, Response]:
        cause = exchange.request
        return self.client.call(Request(
            self.method, self.path if self.draw_path is None else self.draw_path(), cause.trace, exchange.span, self.operation,
            NO_HEADERS, self.size, None,
            cause.key if self.draw_key is None else str(self.draw_key()), cause.priority if self.priority is None else self.priority))

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

    def build(self, instance: Instance) -> Act:
        publisher = Publisher(instance, self.to)
        subject = template(self.subject, instance.stream(f"subject {self.subject}"))
        draw_key = self.key.drawer(instance.stream("key")) if self.key is not None else None
        operation = instance.recorder.operation(f"publish {self.subject}")

        def publish(exchange: Exchange) -> Coroutine[Any, Any, Response]:
            key = exchange.request.key if draw_key is None else str(draw_key())
            return publisher.publish(subject(), trace=exchange.request.trace, parent=exchange.span, operation=operation, key=key,
                                     size=self.size, confirm=self.confirm)

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

    def build(self, instance: Instance) -> Act:
        runs = [sequence(branch, instance) for branch in self.branches]
        needed = self.quorum or len(runs)
        tolerated = len(runs) - needed

        async def fork(exchange: Exchange) -> Response | None:
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

    weight: float = Field(gt=0)
    do: list[AnyStep] = []


class Choose(Step):
    """One of several lists of steps, by weight."""

    shorthand: ClassVar[str] = "ways"
    ways: list[Choice] = Field(min_length=1)

    def children(self) -> Iterator[list[Step]]:
        return (way.do for way in self.ways)

    def build(self, instance: Instance) -> Act:
        runs = [sequence(way.do, instance) for way in self.ways]
        weights = [way.weight for way in self.ways]
        dice = instance.stream("choose")
        return lambda exchange: dice.choices(runs, weights)[0](exchange)


class Repeat(Step):
    """A list of steps, several times over."""

    times: int = Field(ge=0, le=10_000)
    do: list[AnyStep]

    def children(self) -> Iterator[list[Step]]:
        yield self.do

    def build(self, instance: Instance) -> Act:
        run = sequence(self.do, instance)

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

    def build(self, instance: Instance) -> Act:
        dice = instance.stream("fail")

        async def answer() -> Response:
            return Answer(self.status)

        return lambda exchange: answer() if dice.random() < self.share else None


class Return(Step):
    """Answer now."""

    shorthand: ClassVar[str] = "status"
    status: int = Field(default=200, ge=100, le=599)
    size: Size = MESSAGE_SIZE

    def build(self, instance: Instance) -> Act:
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
