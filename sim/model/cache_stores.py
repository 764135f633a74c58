"""What a cache holds, and who goes when it is full: the least recently used, or the least frequently used.

Both decide in constant time. Least frequently used: keys stand in buckets by how often they were asked for; within a bucket the one
that has stood there longest goes first. A key that was pushed out is forgotten together with its count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Protocol


class Store(Protocol):
    """Keys, and when each expires (seconds)."""

    def get(self, key: str) -> float | None:
        """When *key* expires, None if it is not there; it counts as used."""

    def put(self, key: str, expires: float) -> None:
        """Hold *key*."""

    def drop(self, key: str) -> None:
        """Forget *key*, if it is there."""

    def push_out(self) -> str:
        """Forget whoever is to go, and say who it was."""

    def clear(self) -> None:
        """Forget everybody."""

    def __len__(self) -> int: ...
    def __contains__(self, key: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...


class Lru(OrderedDict[str, float]):
    """Least recently used."""

    def get(self, key: str) -> float | None:  # type: ignore[override]
        expires = super().get(key)
        if expires is not None:
            self.move_to_end(key)
        return expires

    def put(self, key: str, expires: float) -> None:
        """Hold *key*, as the one used last."""
        self[key] = expires
        self.move_to_end(key)

    def drop(self, key: str) -> None:
        """Forget *key*, if it is there."""
        self.pop(key, None)

    def push_out(self) -> str:
        """Forget who was used longest ago."""
        return self.popitem(last=False)[0]


class Lfu:
    """Least frequently used."""

    def __init__(self) -> None:
        self._expires: dict[str, float] = {}
        self._uses: dict[str, int] = {}
        self._buckets: dict[int, OrderedDict[str, None]] = {}
        self._least = 1  # no bucket below has anybody

    def __len__(self) -> int:
        return len(self._expires)

    def __contains__(self, key: object) -> bool:
        return key in self._expires

    def __iter__(self) -> Iterator[str]:
        return iter(self._expires)

    def get(self, key: str) -> float | None:
        """When *key* expires; it has then been used once more."""
        expires = self._expires.get(key)
        if expires is not None:
            self._move(key, self._uses[key] + 1)
        return expires

    def put(self, key: str, expires: float) -> None:
        """Hold *key*: a new one has been used once."""
        known = key in self._expires
        self._expires[key] = expires
        if not known:
            self._least = 1
            self._buckets.setdefault(1, OrderedDict())[key] = None
            self._uses[key] = 1

    def drop(self, key: str) -> None:
        """Forget *key*, if it is there."""
        if self._expires.pop(key, None) is not None:
            self._leave(key)
            del self._uses[key]

    def push_out(self) -> str:
        """Forget who was used least."""
        while self._least not in self._buckets:
            self._least += 1
        key = next(iter(self._buckets[self._least]))
        self.drop(key)
        return key

    def clear(self) -> None:
        """Forget everybody."""
        self._expires.clear()
        self._uses.clear()
        self._buckets.clear()

    def _move(self, key: str, uses: int) -> None:
        self._leave(key)
        self._uses[key] = uses
        self._buckets.setdefault(uses, OrderedDict())[key] = None

    def _leave(self, key: str) -> None:
        bucket = self._buckets[self._uses[key]]
        del bucket[key]
        if not bucket:
            del self._buckets[self._uses[key]]


STORES: dict[str, Callable[[], Store]] = {"lru": Lru, "lfu": Lfu}
