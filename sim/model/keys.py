"""Which key is asked for: `{zipf: {items: 100000, s: 1.1}}`, `{uniform: {items: 1000}}`, or a fixed text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from pydantic import Field

from sim.mistakes import Mistake, invalid, shown
from sim.spec import OneKey, Spec
from sim.streams import Stream

BLOCK = 1024


class Keys(Spec):
    """Base of the ways to draw a key."""

    def drawer(self, stream: Stream) -> Callable[[], Any]:
        """A function that draws the next key."""
        raise NotImplementedError


def _in_blocks(draw: Callable[[], Any]) -> Callable[[], int]:
    block: list[int] = []

    def next_key() -> int:
        if not block:
            block.extend(draw()[::-1].tolist())
        return block.pop()

    return next_key


class ZipfKeys(Keys):
    """Key k of *items* is asked for in proportion to 1/k^s: a few are hot, most are rare."""

    shorthand: ClassVar[str] = "items"
    items: int = Field(ge=1, le=10_000_000)
    s: float = Field(default=1.1, ge=0, le=10)

    def drawer(self, stream: Stream) -> Callable[[], int]:
        cumulative, rng = _zipf(self.items, self.s), stream.numpy
        return _in_blocks(lambda: cumulative.searchsorted(rng.random(BLOCK), side="right") + 1)


@lru_cache(maxsize=16)  # all instances of a service draw from the same keys
def _zipf(items: int, s: float) -> Any:
    """The probability of each key or one before it, as an array."""
    import numpy as np

    cumulative = np.cumsum(np.arange(1, items + 1, dtype=float) ** -s)
    cumulative /= cumulative[-1]
    return cumulative


class UniformKeys(Keys):
    """Every one of *items* keys is as likely."""

    shorthand: ClassVar[str] = "items"
    items: int = Field(ge=1, le=2**53)

    def drawer(self, stream: Stream) -> Callable[[], int]:
        rng = stream.numpy
        return _in_blocks(lambda: rng.integers(1, self.items + 1, BLOCK))


class FixedKey(Keys):
    """Always the same key."""

    shorthand: ClassVar[str] = "value"
    value: str

    def drawer(self, stream: Stream) -> Callable[[], str]:
        return lambda: self.value


class _KeyKinds(OneKey):
    def validate(self, value: Any, context: Any = None) -> Spec:
        if isinstance(value, Mapping | Spec):
            return super().validate(value, context)
        if isinstance(value, str) and value in KEYS:
            cure = f"write `{{{value}: 1000}}`, or `{{fixed: {value}}}`"
            raise invalid(Mistake((), f"{value!r} alone is a fixed key of that name", cure))
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise invalid(Mistake((), f"a key is text, not {shown(value)}", "write for example `order-7`, or `{zipf: 1000}` to draw one"))
        return self._inner(FixedKey, str(value), ())

    def dump(self, value: Spec) -> Any:
        return value.value if isinstance(value, FixedKey) else super().dump(value)


AnyKeys = Annotated[Keys, _KeyKinds("key", lambda: KEYS)]

KEYS: dict[str, type[Keys]] = {"zipf": ZipfKeys, "uniform": UniformKeys, "fixed": FixedKey}
