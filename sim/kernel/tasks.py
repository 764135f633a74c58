"""Tasks that know the order in which they were started.

`asyncio.TaskGroup`, `asyncio.wait` and much user code keep tasks in sets. A set's order follows from hashes, and the hash
of a plain task is its address, which differs from run to run. Here it is the task's number, so that a set of tasks has
the same order in every run of the same program.

`asyncio.as_completed` puts coroutines into a set before they are tasks. On a SimLoop it is given tasks, started in the order of its list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is *number*, its place in the order of the loop's tasks. *owner* is whose it is, None for nobody's in particular;
    *failed* is when it failed, in seconds, where nobody has asked yet why."""

    __slots__ = ("failed", "number", "owner")
    number: int
    owner: Any
    failed: float

    def __hash__(self) -> int:
        return self.number


class InOrder(WeakKeyDictionary[Any, None]):
    """A weak set that remembers the order of insertion; asyncio's own set of open async generators has none."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


def complete_in_order(loop_class: type[asyncio.AbstractEventLoop]) -> None:
    """Let `asyncio.as_completed` start its tasks in the order of its list, where a loop of *loop_class* runs."""
    original = asyncio.as_completed

    @wraps(original)
    def as_completed(fs: Iterable[Any], **options: Any) -> Any:
        if isinstance(asyncio._get_running_loop(), loop_class) and not (asyncio.isfuture(fs) or asyncio.iscoroutine(fs)):
            fs = [asyncio.ensure_future(one) for one in dict.fromkeys(fs)]
        return original(fs, **options)

    asyncio.as_completed = asyncio.tasks.as_completed = as_completed
