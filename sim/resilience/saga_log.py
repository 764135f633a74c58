"""What a saga writes down, and how it finds its place again: intent before every step, the outcome after it.

An entry is a plain mapping of text to plain values, so that any store can keep it:

    begun          saga, context                  undo_begun     step
    step_begun     step                           undone         step, context
    step_done      step, context                  undo_failed    step, error
    step_skipped   step                           ended          status
    step_failed    step, error, unknown
    step_stuck     step, error

A store has `append(saga_id, entry)` and `read(saga_id)`, plain or async. Once `append` has returned, the entry must survive a crash.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Protocol

Entry = Mapping[str, Any]


class SagaStore(Protocol):
    """Where entries are kept, in order, by saga."""

    def append(self, saga_id: str, entry: Entry) -> Awaitable[None] | None:
        """Keep *entry* as the last one of *saga_id*."""

    def read(self, saga_id: str) -> Awaitable[Iterable[Entry]] | Iterable[Entry]:
        """All entries of *saga_id*, oldest first; none for one that is unknown."""


class MemorySagaStore:
    """Keeps copies in memory, as a real store would: what a step does to its context later does not change them."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}

    def append(self, saga_id: str, entry: Entry) -> None:
        """Keep a copy of *entry*."""
        self.entries.setdefault(saga_id, []).append(copy.deepcopy(dict(entry)))

    def read(self, saga_id: str) -> list[Entry]:
        """Copies of all entries."""
        return copy.deepcopy(self.entries.get(saga_id, []))


class NoStore:
    """Keeps nothing: of a run that nobody will resume."""

    def append(self, saga_id: str, entry: Entry) -> None:
        """Forget it."""

    def read(self, saga_id: str) -> tuple[Entry, ...]:
        """None."""
        return ()


class SagaLog:
    """The log of the sagas in *store* (in memory, if there is none); *saga_id* says which one, else the saga's name does.

    Give each order an id of its own: a run under an id that has ended already is a resumption, which returns what that one ended with.
    """

    def __init__(self, store: SagaStore | None = None, saga_id: str | None = None) -> None:
        self.store: SagaStore = MemorySagaStore() if store is None else store
        self.saga_id = saga_id

    async def append(self, saga_id: str, entry: Entry) -> None:
        """Keep *entry*; what the store raises comes out of the saga's run, which can be resumed later."""
        waiting = self.store.append(saga_id, entry)
        if inspect.isawaitable(waiting):
            await waiting

    async def read(self, saga_id: str) -> list[Entry]:
        """All entries of *saga_id*."""
        entries = self.store.read(saga_id)
        return list(await entries if inspect.isawaitable(entries) else entries)


class Progress:
    """Where a saga stands by its entries."""

    def __init__(self) -> None:
        self.begun = False
        self.status: str | None = None  # set once it has ended
        self.steps: dict[str, str] = {}  # name -> last entry, in the order in which they began
        self.unknown: set[str] = set()  # failed, but may have happened
        self.context: dict[str, Any] = {}
        self.errors: dict[str, str] = {}

    def apply(self, entry: Entry) -> None:
        """Move on by one entry."""
        kind, step = entry["entry"], entry.get("step", "")
        if kind == "begun":
            self.begun = True
        elif kind == "ended":
            self.status = entry["status"]
        else:
            self.steps[step] = kind
        if "context" in entry:
            self.context = dict(entry["context"])
        if "error" in entry:
            self.errors.setdefault(step, entry["error"])
        if entry.get("unknown"):
            self.unknown.add(step)

    def at(self, *kinds: str) -> list[str]:
        """The steps whose last entry is one of *kinds*, in the order in which they began."""
        return [step for step, kind in self.steps.items() if kind in kinds]

    @property
    def backwards(self) -> bool:
        """Has a step failed, so that the others are to be undone?"""
        return bool(self.at("step_failed", "undo_begun", "undone", "undo_failed"))

    def failed(self) -> str | None:
        """The step that failed first or is stuck."""
        return next(iter(self.errors), None)

    def to_undo(self) -> list[str]:
        """Who is to be undone, last one first: completed steps, those that may have happened, and whose undoing was under way."""
        maybe = [step for step in self.at("step_failed") if step in self.unknown]
        wanted = {*self.at("step_done", "step_begun", "undo_begun"), *maybe}
        return [step for step in reversed(self.steps) if step in wanted]
