"""What a document is made of: values that know where they were written.

Scalars follow the core schema of YAML 1.2 (section 10.3): `true` and `false` only, no sexagesimal numbers, no dates; `on`, `no`
and `12:30` are text, and `010` is ten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .problems import Place

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN = frozenset({".nan", ".NaN", ".NAN"})


def core_value(text: str) -> bool | int | float | str | None:
    """What plain *text* means; raise ValueError for a number with thousands of digits."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float("-inf" if text[0] == "-" else "inf")
    return float("nan") if text in _NAN else text


@dataclass(eq=False, slots=True)
class Node:
    """A value and where it stands. A mapping has *entries* and the places of its *keys*, a list has *items*, a scalar its *value*.

    *size* counts the values in it, itself included and aliases unfolded; *height* is how deep it is.
    """

    place: Place
    value: Any = None
    entries: dict[str, Node] | None = None
    keys: dict[str, Place] = field(default_factory=dict)
    items: list[Node] | None = None
    size: int = 1
    height: int = 1

    @property
    def noun(self) -> str:
        """What it is, for a message."""
        if self.entries is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        return {type(None): "nothing", bool: "true or false", int: "a number", float: "a number"}.get(type(self.value), "text")

    def data(self) -> Any:
        """Plain dictionaries, lists and scalars; new ones at every call."""
        if self.entries is not None:
            return {key: node.data() for key, node in self.entries.items()}
        if self.items is not None:
            return [node.data() for node in self.items]
        return self.value

    def child(self, part: str | int) -> Node | None:
        """What is under a key or an index, if anything is."""
        if self.entries is not None:
            return self.entries.get(str(part))
        if self.items is not None and isinstance(part, int) and 0 <= part < len(self.items):
            return self.items[part]
        return None

    def way(self, loc: Iterable[str | int]) -> list[tuple[Node, str | int, Node]]:
        """From here along *loc*: each part that is written, what it is in, and what is under it.

        Parts that the file does not spell out (a shorthand's field, say) are passed over. What may be written under the key of an action
        or beside it, in an item of a list, is found in both places.
        """
        found: list[tuple[Node, str | int, Node]] = []
        for part in loc:
            holder = found[-1][2] if found else self
            child = holder.child(part)
            if child is None and len(found) > 1 and found[-2][0].items is not None:
                holder = found[-1][0]
                child = holder.child(part)
                if child is not None:
                    found.pop()
            if child is not None:
                found.append((holder, part, child))
        return found

    def children(self) -> Iterator[Node]:
        """Everything directly inside."""
        yield from (self.entries or {}).values()
        yield from self.items or ()

    def key_place(self, part: str | int) -> Place | None:
        """Where a key is written, for a mapping."""
        return self.keys.get(str(part))
