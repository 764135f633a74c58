"""Whose a task or a callback is: of which process of a user's service, whose code has started it by asyncio itself.

Such a task ends with the process, is one of its `asyncio.all_tasks()`, and an error in it that nobody handles is written into the events
of the run; real asyncio would log it and go on. What our own code starts while it serves the user's belongs to no process.
"""

from __future__ import annotations

import asyncio
import os
from asyncio import Task
from collections.abc import Iterable, Iterator, Set
from functools import wraps
from typing import TYPE_CHECKING, Any

from sim.model.place import PLACE, Place

if TYPE_CHECKING:
    from sim.model.instance import Instance

_MODEL = os.path.dirname(__file__)
_OURS = os.path.dirname(_MODEL) + os.sep
_MARK = "_mesocosm_confined"
_OFFERED = frozenset(os.path.join(_MODEL, name) for name in ("asgi.py", "handlers.py", "store_client.py"))  # what user code itself calls


def owner_of(started: Any) -> Place | None:
    """The place of the user's code that has *started* a coroutine or set a callback, asked in its context; None if it is no such code's."""
    place = PLACE.get(None)
    if place is None or not place.instance.node.runs_user_code or isinstance(started, str):  # by a name only `World.bug` tells of errors
        return None
    code = getattr(started, "cr_code", None) or getattr(getattr(started, "func", started), "__code__", None)
    if code is not None and code.co_filename.startswith(_OURS) and code.co_filename not in _OFFERED:
        return None
    return place._replace(exchange=None)


def tasks_of(instance: Instance) -> list[Task[Any]]:
    """The tasks that code of *instance* has started, in that order."""
    return [task for task in instance.loop.running() if task.owner is not None and task.owner.instance is instance]


def end_tasks(instance: Instance) -> None:
    """Its process is gone, and they with it; so is what it has set to take its errors."""
    instance.loop.handlers.pop(instance, None)
    for task in tasks_of(instance):
        task.cancel()


def confine_all_tasks() -> None:
    """Let `asyncio.all_tasks` show to a process its own tasks, and not those of the whole system: many cancel them all when they end."""
    original = asyncio.all_tasks
    if hasattr(original, _MARK):
        return

    @wraps(original)
    def all_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[Task[Any]]:
        place = PLACE.get(None)
        if place is None or not place.instance.node.runs_user_code or asyncio._get_running_loop() is not place.instance.loop:
            return original(loop)
        instance = place.instance
        return _InTurn([*instance.node.handler_tasks(instance), *tasks_of(instance)])

    setattr(all_tasks, _MARK, True)
    asyncio.all_tasks = asyncio.tasks.all_tasks = all_tasks


class _InTurn(set[Task[Any]]):
    """Tasks that are gone through in the order in which they were given: that of a plain set would be one of addresses."""

    def __init__(self, tasks: Iterable[Task[Any]]) -> None:
        super().__init__(tasks := list(tasks))
        self._places = {task: place for place, task in enumerate(tasks)}

    def __iter__(self) -> Iterator[Task[Any]]:
        return iter(sorted(super().__iter__(), key=lambda task: self._places.get(task, len(self._places))))

    def __sub__(self, others: Set[Any]) -> _InTurn:
        return _InTurn(task for task in self if task not in others)
