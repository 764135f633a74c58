"""What is left of a document when its wrong values are taken out, so that one round tells its wrong names too.

Nothing is taken out that has a name others may use: a service, a workload, an endpoint. Where that would be needed, nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from pydantic import ValidationError

from sim.mistakes import Loc, mistakes
from sim.spec import Spec

from .documents import Document
from .nodes import Node
from .overrides import NAMED

S = TypeVar("S", bound=Spec)
ROUNDS = 5


def salvaged(document: Document, cls: type[S]) -> tuple[S, Document] | None:
    """A valid *cls* and the smaller document that it is written in; None if no such part of *document* can be told."""
    for _ in range(ROUNDS):
        try:
            return cls.model_validate(document.data, context=document.context), document
        except ValidationError as error:
            smaller = _without(document, {written_path(document.root, mistake.loc) for mistake in mistakes(error, cls=cls)})
        if smaller is None:
            return None
        document = smaller
    return None


def written_path(node: Node, loc: Loc) -> Loc:
    """The parts of *loc* that the file spells out."""
    path: list[str | int] = []
    for part in loc:
        child = node.child(part)
        if child is not None:
            path.append(part if node.items is not None else str(part))
            node = child
    return tuple(path)


def _without(document: Document, paths: Iterable[Loc]) -> Document | None:
    root = document.root
    for path in sorted(paths, key=lambda path: [(isinstance(part, int), part) for part in path], reverse=True):  # last items first
        if not path or _others_rest_on(path):
            return None
        root = _pruned(root, path)
    return Document(document.path, root)


def _others_rest_on(path: Loc) -> bool:
    """What stands there has a name, or decides what a thing with a name is."""
    thing = path[:-1] if path[-1] in ("kind", "executor") else path
    return path[-1] in NAMED or any(part in NAMED for part in thing[-2:-1])


def _pruned(node: Node, path: Loc) -> Node:
    """A copy of *node* without what is at *path*, which may already be gone with something around it."""
    part, rest = path[0], path[1:]
    child = node.child(part)
    if child is None:
        return node
    if node.items is not None and isinstance(part, int):
        return replace(node, items=node.items[:part] + ([_pruned(child, rest)] if rest else []) + node.items[part + 1 :])
    entries = dict(node.entries or {})
    if rest:
        entries[str(part)] = _pruned(child, rest)
    else:
        del entries[str(part)]
    return replace(node, entries=entries)
