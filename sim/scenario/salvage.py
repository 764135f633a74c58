"""What is left of a document when its wrong values are mended or taken out, so that one round tells its wrong names too.

A value is mended where its cure offers another one (`write '50/s' or '50/min'`, `did you mean 'workers'?`), else it is taken out.
Nothing is taken out that has a name others may use: a service, a workload, an endpoint. Where that would be needed, nothing is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from pydantic import ValidationError

from sim.mistakes import Loc, Mistake, mistakes
from sim.spec import Spec

from .documents import Document
from .nodes import Node
from .overrides import NAMED

S = TypeVar("S", bound=Spec)
ROUNDS = 5
_OFFERED = re.compile(r"did you mean '([^']+)'|(?:write|for example) '(\d[^']*)'")  # a word, or a quantity with its unit


def salvaged(document: Document, cls: type[S]) -> tuple[S, Document] | None:
    """A valid *cls* and the smaller document that it is written in; None if no such part of *document* can be told."""
    for number in range(ROUNDS):
        try:
            return cls.model_validate(document.data, context=document.context), document
        except ValidationError as error:
            wrong = mistakes(error, cls=cls)
        left = _mended(document, wrong) if number == 0 else _without(document, {written_path(document.root, one.loc) for one in wrong})
        if left is None:
            return None
        document = left
    return None


def written_path(node: Node, loc: Loc) -> Loc:
    """The parts of *loc* that the file spells out."""
    return tuple(part if holder.items is not None else str(part) for holder, part, _ in node.way(loc))


def _mended(document: Document, wrong: Iterable[Mistake]) -> Document:
    """The document with what cures offer in the places of these mistakes."""
    root = document.root
    for mistake in wrong:
        path, offered = written_path(root, mistake.loc), _OFFERED.search(mistake.cure)
        if offered is not None and path:
            root = _changed(root, path, offered[1] or offered[2], mistake.at_key)
    return replace(document, root=root)


def _changed(node: Node, path: Loc, text: str, at_key: bool) -> Node:
    """A copy of *node* with *text* as the value at *path*, or as the key; a key that is there already keeps its value."""
    part, rest = path[0], path[1:]
    child = node.child(part)
    assert child is not None, "a path of parts that are written"
    if node.items is not None and isinstance(part, int):
        inside = _changed(child, rest, text, at_key) if rest else Node(child.place, text)
        return replace(node, items=[*node.items[:part], inside, *node.items[part + 1 :]])
    entries = dict(node.entries or {})
    if rest:
        entries[str(part)] = _changed(child, rest, text, at_key)
    elif at_key:
        entries.setdefault(text, entries.pop(str(part)))
    else:
        entries[str(part)] = Node(child.place, text)
    return replace(node, entries=entries)


def _without(document: Document, paths: Iterable[Loc]) -> Document | None:
    root = document.root
    for path in sorted(paths, key=lambda path: [(isinstance(part, int), part) for part in path], reverse=True):  # last items first
        if not path or _others_rest_on(path):
            return None
        root = _pruned(root, path)
    return replace(document, root=root)


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
