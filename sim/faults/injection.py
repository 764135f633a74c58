"""One time that a fault is on: what it picked, how strong it is now, what it touched, and how it shares a part with other faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from sim.faults.schedule import Ramp
    from sim.model.instance import Instance
    from sim.model.world import World
    from sim.streams import Stream

T = TypeVar("T")
MOST_SLOWNESS = 1e12  # to which all faults together can slow a part down, and its inverse: no number of them comes to 0 or to infinity
RAMP_STEPS = 20  # in which a severity that has to be set, and is not asked for, follows a ramp


class Surgeable(Protocol):
    """A workload whose rate, or number of users, can be multiplied. *started* counts what it has sent, *dropped* what it has not."""

    started: int
    dropped: int

    def surge(self, factor: float) -> None: ...


class Layers:
    """What all faults together do to one number of one part: they come and go in any order, and the last one leaves it as it was.

    *combine* makes one number of the layers, in the order of their size, so that who came first makes no difference.
    """

    def __init__(self, base: float, combine: Callable[[list[float]], float], apply: Callable[[float], None]) -> None:
        self.base, self._combine, self._apply = base, combine, apply
        self._layers: dict[object, float] = {}

    def __len__(self) -> int:
        return len(self._layers)

    def lay(self, key: object, value: float) -> None:
        """Add the layer *key*, or change it."""
        self._layers[key] = value
        self._settle()

    def lift(self, key: object) -> None:
        """Take the layer *key* away."""
        del self._layers[key]
        self._settle()

    def _settle(self) -> None:
        self._apply(self._combine([self.base, *sorted(self._layers.values())]) if self._layers else self.base)


def _bounded_product(factors: list[float]) -> float:
    return min(MOST_SLOWNESS, max(1 / MOST_SLOWNESS, math.prod(factors)))


class Holds:
    """Several faults keep one part in a state: the first one brings it there, the last one lets it go."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin, self._end = begin, end
        self._holders: dict[object, None] = {}

    def __bool__(self) -> bool:
        return bool(self._holders)

    def others(self, key: object) -> bool:
        """Whether it is kept there by any but *key*."""
        return len(self._holders) > (key in self._holders)

    def hold(self, key: object) -> None:
        """*key* keeps it from here on."""
        first = not self._holders
        self._holders[key] = None
        if first:
            self._begin()

    def release(self, key: object) -> None:
        """*key* no longer keeps it."""
        del self._holders[key]
        if not self._holders:
            self._end()


class Shared:
    """What the faults of one run have in common, by part and by what is done to it."""

    def __init__(self) -> None:
        self._common: dict[tuple[int, str], object] = {}
        self._parts: list[object] = []  # kept alive, so that no id is used twice

    def of(self, part: object, what: str, make: Callable[[], T]) -> T:
        """What is common about *what* of *part*; made when it is first asked for."""
        key = (id(part), what)
        if key not in self._common:
            self._common[key] = make()
            self._parts.append(part)
        return cast("T", self._common[key])

    def layers(self, part: object, what: str, base: Callable[[], float], apply: Callable[[float], None],
               combine: Callable[[list[float]], float] = math.prod) -> Layers:
        """The layers on *what* of *part*; *base()* is asked for when the first is laid."""
        layers = self.of(part, f"layers on {what}", lambda: Layers(base(), combine, apply))
        if not len(layers):
            layers.base = base()
        return layers

    def answers(self, part: object, question: str) -> Answers:
        """What faults answer in the place of the attribute *question* of *part*, a function that says False without them."""
        answers = self.of(part, f"answers to {question}", Answers)
        setattr(part, question, answers)
        return answers

    def holds(self, part: object, what: str, begin: Callable[[], None], end: Callable[[], None]) -> Holds:
        """The holds on *what* of *part*."""
        return self.of(part, f"holds: {what}", lambda: Holds(begin, end))

    def held(self, part: object, what: str, but_for: object = None) -> bool:
        """Whether a fault keeps *part* in that state, not counting that of the key *but_for*."""
        holds = cast("Holds | None", self._common.get((id(part), f"holds: {what}")))
        return holds is not None and holds.others(but_for)


class Answers(list[Callable[..., bool]]):
    """What several faults answer to one question: yes, if one of them says so. All are asked, so that each rolls its own dice."""

    def __call__(self, *about: Any) -> bool:
        return sum(answer(*about) for answer in self) > 0


class Injection:
    """One occurrence of a fault, from *start* to *until* (None: the end of the run). *rng* is the fault's own stream.

    *targets* are the names of what it picked, and of what came to it later. *seen* counts what passed it (messages, requests, instances),
    *hits* what it changed, *spared* what it had picked and let pass after all, *ignored* what it did in vain.
    """

    def __init__(self, name: str, world: World, workloads: Mapping[str, Surgeable], shared: Shared, rng: Stream,
                 start: float, until: float | None, ramp: Ramp | None) -> None:
        self.name, self.world, self.workloads, self.shared, self.rng = name, world, workloads, shared, rng
        self.start, self.until, self.ramp = start, until, ramp
        self.ended: float | None = None  # when it was over
        self.targets: list[str] = []
        self.seen = self.hits = self.spared = self.ignored = 0
        self._steps: list[Callable[[float], None]] = []
        self._figures: list[tuple[Callable[[], float], float]] = []  # and what they were

    @property
    def strength(self) -> float:
        """0..1: how much of the fault's severity counts now, by its ramp."""
        if self.ramp is None:
            return 1.0
        return self.ramp.strength(self.world.loop.time(), self.start, self.until)

    def happens(self, probability: float) -> bool:
        """Draw from the fault's own stream; no ramp comes into it."""
        return probability >= 1.0 or self.rng.random() < probability

    def count(self, hit: bool) -> bool:
        """Note that something has passed, and whether it was hit."""
        self.seen += 1
        self.hits += hit
        return hit

    def count_if_changed(self, figure: Callable[[], float]) -> None:
        """Note that something has passed; it was hit if *figure* has changed by the time that the fault is over, or the run."""
        self.seen += 1
        self._figures.append((figure, figure()))

    def settle(self) -> None:
        """It is over, or the run is."""
        figures, self._figures = self._figures, []
        self.hits += sum(figure() != before for figure, before in figures)

    def join(self, target: str) -> None:
        """*target* has come while the fault is on, and is hit too."""
        self.targets.append(target)
        self.world.recorder.event("fault.joined", name=self.name, target=target)

    # for severities that have to be set

    @contextmanager
    def following(self, apply: Callable[[float], None]) -> Iterator[None]:
        """Call *apply(strength)* now, and at each step of the ramp while the block lasts."""
        self._steps.append(apply)
        apply(self.strength)
        try:
            yield
        finally:
            self._steps.remove(apply)

    def step(self) -> None:
        """The ramp has gone on."""
        strength = self.strength
        for apply in list(self._steps):
            apply(strength)

    @contextmanager
    def layer(self, part: Any, what: str, value: Callable[[float], float], *, base: Callable[[], float], apply: Callable[[float], None],
              combine: Callable[[list[float]], float] = math.prod) -> Iterator[None]:
        """Lay *value(strength)* on *what* of *part* while the block lasts, together with what other faults lay on it."""
        layers = self.shared.layers(part, what, base, apply, combine)
        try:
            with self.following(lambda strength: layers.lay(self, value(strength))):
                yield
        finally:
            layers.lift(self)

    @contextmanager
    def asked_too(self, part: Any, question: str, answer: Callable[..., bool]) -> Iterator[None]:
        """While the block lasts, the function *question* of *part* also says True where *answer* does."""
        answers = self.shared.answers(part, question)
        answers.append(answer)
        try:
            yield
        finally:
            answers.remove(answer)

    def killed(self, instance: Instance) -> AbstractContextManager[None]:
        """Kill *instance*; it starts again when the block ends, unless another fault keeps it down."""
        return self.hold(instance, "killed", instance.kill, instance.start)

    @contextmanager
    def all_killed(self, instances: Iterable[Instance]) -> Iterator[None]:
        """Kill them all while the block lasts."""
        with ExitStack() as killed:
            for instance in list(instances):
                killed.enter_context(self.killed(instance))
            yield

    def revive(self, instance: Instance) -> None:
        """Start *instance*, if it is down and no fault keeps it so."""
        if not self.shared.held(instance, "killed"):
            instance.start()

    def paused(self, instance: Instance) -> AbstractContextManager[None]:
        """Let *instance* stand still while the block lasts, or until its process ends: others may let the next one stand still."""
        process = instance.process

        def resume() -> None:
            if instance.process == process:
                instance.resume()

        return self.hold(instance, f"paused {process}", instance.pause, resume)

    def slow(self, instance: Instance, factor: Callable[[float], float]) -> AbstractContextManager[None]:
        """All work of *instance* takes *factor(strength)* times as long while the block lasts: on its CPU, if it has one."""
        cpu = instance.cpu
        if cpu is not None:
            return self.layer(cpu, "speed", lambda strength: 1 / max(factor(strength), 1 / MOST_SLOWNESS), base=lambda: cpu.speed,
                              apply=cpu.set_speed, combine=_bounded_product)
        return self.layer(instance, "slowness", factor, base=lambda: 1.0, apply=lambda product: instance.slow_by("faults", product),
                          combine=_bounded_product)

    @contextmanager
    def running(self, job: Coroutine[Any, Any, None]) -> Iterator[None]:
        """Run *job* while the block lasts."""
        task = self.world.loop.create_task(job, name=f"fault {self.name}")
        try:
            yield
        finally:
            task.cancel()

    @contextmanager
    def hold(self, part: Any, what: str, begin: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
        """Keep *part* in a state while the block lasts; *end* is called when no other fault keeps it there either."""
        holds = self.shared.holds(part, what, begin, end)
        holds.hold(self)
        try:
            yield
        finally:
            holds.release(self)
