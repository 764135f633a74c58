"""Backoff: how long to wait before the next attempt, and the jitter that keeps callers from coming back all at once.

    base delay of the attempt ──▶ at most `max` ──▶ jitter ──▶ at most `max` again, so that the limit is real

Names of the jitters: none, full U(0, d), equal d/2 + U(0, d/2), proportional:f d U(1-f, 1+f), additive:j d + U(0, j).
Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015; Polly and stamina for the last two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, Field

from sim.spec import ByKind, Spec
from sim.units import Duration, parse_duration, parse_share

LONGEST = 1e9  # seconds, about 32 years; nothing waits longer, so that no delay overflows


class Dice(Protocol):
    """The one thing that a jitter needs of a generator."""

    def uniform(self, a: float, b: float) -> float:
        """A number between *a* and *b*."""


class HighestDice:
    """Always throws the highest number: for the longest delay that may come."""

    def uniform(self, a: float, b: float) -> float:
        return b


Jitter = Callable[[float, Dice], float]


def jitter_named(name: str) -> Jitter:
    """The jitter called *name*; raise ValueError if there is none of that name."""
    kind, _, text = name.partition(":")
    if text and kind == "proportional":
        share = parse_share(text) if text.endswith("%") else float(text)
        return lambda delay, rng: delay * rng.uniform(1 - share, 1 + share)
    if text and kind == "additive":
        most = float(text) if text.replace(".", "").isdecimal() else parse_duration(text)
        return lambda delay, rng: delay + rng.uniform(0, most)
    if name not in _JITTERS:
        raise ValueError(f"no jitter is called {name!r}; known: {', '.join(_JITTERS)}, proportional:50%, additive:1s")
    return _JITTERS[name]


_JITTERS: dict[str, Jitter] = {
    "none": lambda delay, rng: delay,
    "full": lambda delay, rng: rng.uniform(0, delay),
    "equal": lambda delay, rng: delay / 2 + rng.uniform(0, delay / 2),
}


def _known_jitter(name: str) -> str:
    jitter_named(name)
    return name


JitterName = Annotated[str, AfterValidator(_known_jitter), Field(examples=["none", *_JITTERS, "proportional:50%", "additive:1s"])]


class Backoff:
    """Delays in seconds before attempt 2, 3, ...; a subclass says what the delay after attempt number *attempt* is at base."""

    def __init__(self, max: float | None = None, jitter: str = "none") -> None:
        if max is not None and not max >= 0:
            raise ValueError(f"the longest delay cannot be {max} s")
        self.max = LONGEST if max is None else min(max, LONGEST)
        self._jitter = jitter_named(jitter)

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        """The delay before the limit and the jitter."""
        raise NotImplementedError

    def delay(self, attempt: int, rng: random.Random | Dice, previous: float | None = None) -> float:
        """Seconds to wait after the failure of *attempt* (1 is the first call); *previous* is the delay before that attempt, if any."""
        if attempt < 1:
            raise ValueError(f"attempts are counted from 1, there is no attempt {attempt}")
        bounded = min(self.base(attempt, rng, previous), self.max)
        return max(0.0, min(self._jitter(bounded, rng), self.max))

    def longest(self, attempts: float) -> float:
        """The most that can be spent waiting between so many *attempts*, in seconds; infinite above ten thousand of them."""
        if attempts > 10_000:
            return inf
        total, previous, dice = 0.0, None, HighestDice()
        for attempt in range(1, int(attempts)):
            previous = self.delay(attempt, dice, previous)
            total += previous
        return total


class Constant(Backoff):
    """Always *delay* seconds."""

    def __init__(self, delay: float, max: float | None = None, jitter: str = "none") -> None:
        super().__init__(max, jitter)
        self.initial = delay

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        return self.initial


class Linear(Backoff):
    """*initial*, then *step* more each time."""

    def __init__(self, initial: float, step: float, max: float | None = None, jitter: str = "none") -> None:
        super().__init__(max, jitter)
        self.initial = initial
        self.step = step

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        return self.initial + self.step * (attempt - 1)


class Exponential(Backoff):
    """*initial*, then *multiplier* times as long each time."""

    def __init__(self, initial: float, multiplier: float = 2, max: float | None = None, jitter: str = "none") -> None:
        super().__init__(max, jitter)
        self.initial = initial
        self.multiplier = float(multiplier)

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        try:
            return self.initial * self.multiplier ** (attempt - 1)
        except OverflowError:
            return LONGEST if self.initial > 0 else 0.0


class Fibonacci(Backoff):
    """*initial* times 1, 2, 3, 5, 8 and so on."""

    def __init__(self, initial: float, max: float | None = None, jitter: str = "none") -> None:
        super().__init__(max, jitter)
        self.initial = initial

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        now, following = 1, 2
        for _ in range(min(attempt, 100) - 1):  # the hundredth is beyond any limit
            now, following = following, now + following
        return self.initial * now


class Decorrelated(Backoff):
    """U(initial, 3 initial) at first, then U(initial, 3 previous): random by itself, whatever the *jitter*."""

    def __init__(self, initial: float, max: float | None = None, jitter: str = "none") -> None:
        super().__init__(max, jitter)
        self.initial = initial

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        return rng.uniform(self.initial, max(self.initial, 3 * (self.initial if previous is None else previous)))


class Sequence(Backoff):
    """The *delays* in turn; the last one repeats."""

    def __init__(self, delays: Iterable[float], max: float | None = None, jitter: str = "none") -> None:
        super().__init__(max, jitter)
        self.delays = tuple(delays)
        if not self.delays:
            raise ValueError("a sequence of delays needs at least one")

    def base(self, attempt: int, rng: Dice, previous: float | None) -> float:
        return self.delays[min(attempt, len(self.delays)) - 1]


class BackoffSpec(Spec):
    """Base of the specs of backoffs: never more than *max*, spread by *jitter* (none, full, equal, proportional:50%, additive:1s)."""

    max: Duration | None = None
    jitter: JitterName = "none"

    def build(self) -> Backoff:
        """The backoff that this describes."""
        raise NotImplementedError


class ConstantSpec(BackoffSpec):
    """Always *delay*; may be written as the delay alone."""

    kind: Literal["constant"] = "constant"
    delay: Duration

    def build(self) -> Backoff:
        return Constant(self.delay, self.max, self.jitter)


class LinearSpec(BackoffSpec):
    """*initial*, then *step* more each time."""

    kind: Literal["linear"] = "linear"
    initial: Duration
    step: Duration

    def build(self) -> Backoff:
        return Linear(self.initial, self.step, self.max, self.jitter)


class ExponentialSpec(BackoffSpec):
    """*initial*, then *multiplier* times as long each time; full jitter unless said otherwise."""

    kind: Literal["exponential"] = "exponential"
    initial: Duration = 0.1
    multiplier: Annotated[float, Field(ge=1, strict=False)] = 2.0
    jitter: JitterName = "full"

    def build(self) -> Backoff:
        return Exponential(self.initial, self.multiplier, self.max, self.jitter)


class FibonacciSpec(BackoffSpec):
    """*initial* times 1, 2, 3, 5, 8 and so on."""

    kind: Literal["fibonacci"] = "fibonacci"
    initial: Duration

    def build(self) -> Backoff:
        return Fibonacci(self.initial, self.max, self.jitter)


class DecorrelatedSpec(BackoffSpec):
    """Anywhere between *initial* and three times the delay before."""

    kind: Literal["decorrelated"] = "decorrelated"
    initial: Duration

    def build(self) -> Backoff:
        return Decorrelated(self.initial, self.max, self.jitter)


class SequenceSpec(BackoffSpec):
    """The *delays* in turn; the last one repeats."""

    kind: Literal["sequence"] = "sequence"
    delays: Annotated[list[Duration], Field(min_length=1)]

    def build(self) -> Backoff:
        return Sequence(self.delays, self.max, self.jitter)


BACKOFFS: Mapping[str, type[BackoffSpec]] = {
    "constant": ConstantSpec,
    "linear": LinearSpec,
    "exponential": ExponentialSpec,
    "fibonacci": FibonacciSpec,
    "decorrelated": DecorrelatedSpec,
    "sequence": SequenceSpec,
}


class _BackoffKinds(ByKind):
    """Exponential unless the kind is said; a duration alone is a constant delay."""

    def validate(self, value: Any, context: Any = None) -> Spec:
        return super().validate({"kind": "constant", "delay": value} if isinstance(value, str) else value, context)

    def json_branches(self, ref: Callable[[type[Spec]], dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"type": "string", "examples": ["100ms"]}, *super().json_branches(ref)]


AnyBackoff = Annotated[BackoffSpec, _BackoffKinds("backoff", lambda: BACKOFFS, default="exponential", group="backoffs")]
