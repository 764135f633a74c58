"""From text to nodes: libyaml finds the events, what they mean is decided here.

The rules are those of YAML 1.2's core schema (see `nodes`), with merge keys. Keys are the text as it is written. Duplicate keys,
a second document, unknown tags and characters that no editor shows are mistakes. What a person cannot have meant is refused:
more than 64 levels, or more than 200,000 values with all aliases unfolded.

One thing is read that YAML does not allow: a path with a parameter inside brackets, `{send: GET /orders/{id}}`. Whatever is YAML
means what it always means.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import yaml
from yaml._yaml import CParser

from .nodes import Node, core_value
from .problems import InvalidFile, Place, Problem, Source, problem_at, refuse
from .syntax import explain

MOST_VALUES = 200_000
DEEPEST = 64
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.2, production 1
_PARAMETER = re.compile(r"(?<=/)\{[^{}\n]*\}")  # of a path, as in /orders/{id}
_MASK = str.maketrans("{}", "\ue000\ue001")  # characters that belong to nobody, one for one, so that all places stay true
_UNMASK = str.maketrans("\ue000\ue001", "{}")
_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, tuple[type, ...]] = {"null": (type(None),), "bool": (bool,), "int": (int,), "float": (float, int)}


def parse(text: str, source: Source, column: int = 0) -> Node | None:
    """The one document in *text*, None if there is none; columns count from *column*. Raise InvalidFile."""
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        what = "a binary file" if forbidden[0] == "\0" else f"a character that no editor shows: U+{ord(forbidden[0]):04X}"
        refuse(position(text, forbidden.start(), source), what, "a scenario is text: remove it, or write an escape in double quotes")
    with suppress(yaml.MarkedYAMLError):
        return _Builder(text, source, column).root()
    builder = _Builder(_PARAMETER.sub(lambda found: found[0].translate(_MASK), text), source, column, masked=True)
    try:
        return builder.root()
    except yaml.MarkedYAMLError as error:
        line, col, what, cure = explain(error, source.lines)
        raise InvalidFile([*builder.problems, problem_at(Place(source, line, col + column), what, cure)]) from None


class _Builder:
    """Makes nodes of libyaml's events. Collects mistakes it can go on after. *masked*: brackets of parameters stand masked in *text*."""

    def __init__(self, text: str, source: Source, column: int, masked: bool = False) -> None:
        self.parser = CParser(text)
        self.source = source
        self.column = column
        self.masked = masked
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}  # None: not finished yet
        self.values = 0

    def root(self) -> Node | None:
        """Of the document; raise InvalidFile with all mistakes, or MarkedYAMLError where libyaml cannot read on."""
        try:
            root = self.document()
        except InvalidFile as refused:
            self.problems += refused.problems
        if self.problems:
            raise InvalidFile(self.problems)
        return root

    def next(self) -> Any:
        event = self.parser.get_event()
        if self.masked and isinstance(event, yaml.ScalarEvent):
            event.value = event.value.translate(_UNMASK)
        return event

    def document(self) -> Node | None:
        self.next()  # start of the stream
        if isinstance(self.next(), yaml.StreamEndEvent):
            return None
        root = self.node(self.next(), 1)
        self.next()  # end of the document
        following = self.next()
        if not isinstance(following, yaml.StreamEndEvent):
            self.wrong(self.at(following), "a second document begins here", "one file holds one document: split it at '---'")
        return root

    def node(self, event: Any, depth: int) -> Node:
        place = self.at(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, place, depth)
        if depth > DEEPEST:
            refuse(place, f"nested deeper than {DEEPEST} levels", "no scenario needs that: is a bracket missing?")
        self.count(1, place)
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None
        if isinstance(event, yaml.MappingStartEvent):
            node = self.mapping(event, place, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, place, depth)
        else:
            node = Node(place, self.scalar(event, place))
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def alias(self, event: Any, place: Place, depth: int) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            inside = event.anchor in self.anchors
            self.wrong(place, f"*{event.anchor} {'stands inside what it names' if inside else 'names nothing'}",
                       "what has no end cannot be unfolded" if inside else f"an anchor is set before it is used: `&{event.anchor}`")
            return Node(place)
        self.count(node.size, place)
        if depth + node.height > DEEPEST + 1:
            refuse(place, f"nested deeper than {DEEPEST} levels", "aliases inside aliases: write it flatter")
        return node

    def mapping(self, event: yaml.MappingStartEvent, place: Place, depth: int) -> Node:
        self.check_tag(event, place, "map")
        node = Node(place, entries={})
        merged: list[Node] = []
        while not isinstance(found := self.next(), yaml.MappingEndEvent):
            key_place = self.at(found)
            key = self.key(found, key_place, depth)
            value = self.node(self.next(), depth + 1)
            _grow(node, value)
            if key == "<<":
                merged += self.merge_sources(value, key_place)
            elif key is not None:
                self.add(node, key, key_place, value)
        _merge(node, merged)
        return node

    def add(self, node: Node, key: str, place: Place, value: Node) -> None:
        assert node.entries is not None
        if key in node.keys:
            first = node.keys[key]
            self.wrong(place, f"{key!r} stands here a second time", f"the first is on line {first.line}; keep one of them")
            return
        node.entries[key] = value
        node.keys[key] = place

    def key(self, event: Any, place: Place, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            if event.value or not event.implicit[0]:
                return str(event.value)
            self.wrong(place, "a ':' without a key", "write `key: value`")
            return None
        self.node(event, depth + 1)
        self.wrong(place, "a key must be text", "quote a key that begins with [, {, & or *")
        return None

    def merge_sources(self, value: Node, place: Place) -> list[Node]:
        sources = value.items if value.items is not None else [value]
        if any(source.entries is None for source in sources):
            self.wrong(place, "'<<' takes a mapping, or a list of mappings", "write `<<: *name`, where `&name` stands before a mapping")
            return []
        return sources

    def sequence(self, event: yaml.SequenceStartEvent, place: Place, depth: int) -> Node:
        self.check_tag(event, place, "seq")
        node = Node(place, items=[])
        assert node.items is not None
        while not isinstance(found := self.next(), yaml.SequenceEndEvent):
            node.items.append(self.node(found, depth + 1))
            _grow(node, node.items[-1])
        return node

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> Any:
        if event.tag == "!" or (event.tag is None and not event.implicit[0]):
            return event.value
        kind = (event.tag or "").removeprefix(_TAG)
        if kind == "str":
            return event.value
        if kind and kind not in _SCALARS:
            self.check_tag(event, place, "")
            return event.value
        try:
            value = core_value(event.value)
        except ValueError:
            self.wrong(place, f"a number of {len(event.value)} digits", "nothing in a laboratory is that large")
            return None
        if kind and not isinstance(value, _SCALARS[kind]):
            self.wrong(place, f"{event.value!r} is not what !!{kind} means", "remove the tag")
        return value

    def check_tag(self, event: Any, place: Place, expected: str) -> None:
        if event.tag not in (None, "!", _TAG + expected):
            tag = "!!" + event.tag.removeprefix(_TAG) if event.tag.startswith(_TAG) else event.tag
            self.wrong(place, f"unknown tag {tag!r}", "remove it, or quote the text that begins with '!'")

    def count(self, values: int, place: Place) -> None:
        self.values += values
        if self.values > MOST_VALUES:
            refuse(place, f"more than {MOST_VALUES:,} values, aliases unfolded", "aliases inside aliases multiply: write out what is meant")

    def at(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1 + self.column)

    def wrong(self, place: Place, what: str, cure: str) -> None:
        self.problems.append(problem_at(place, what, cure))


def _grow(node: Node, child: Node) -> None:
    node.size += child.size
    node.height = max(node.height, child.height + 1)


def _merge(node: Node, sources: list[Node]) -> None:
    """Take over the entries that are not there yet: what stands in the mapping itself wins, then the first source."""
    assert node.entries is not None
    for source in sources:
        for key, value in (source.entries or {}).items():
            if key not in node.entries:
                node.entries[key] = value
                node.keys[key] = source.keys[key]


def position(text: str, index: int, source: Source) -> Place:
    """The line and column of the character at *index*."""
    lines = (text[:index] + "x").splitlines()
    return Place(source, len(lines), len(lines[-1]))
