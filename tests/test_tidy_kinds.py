"""The rules of the house about kinds: what YAML can name stands in one plain table, and `mesocosm kinds` shows every table."""

from __future__ import annotations

import ast
import importlib
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sim.spec import Spec
from tests.source_tree import Source, sources, told

UNNAMED = {"WholeRun", "RegistrySpec"}  # what holds where nothing is written, and what stands at the root: no word is needed


@dataclass(frozen=True)
class Table:
    """A module-level `NAME: dict[str, type[Base]]` in which a scenario's words find their classes."""

    module: str
    name: str
    base: type[Spec]
    kinds: dict[str, type[Spec]]

    @property
    def place(self) -> str:
        return f"{self.name} in {self.module.replace('.', '/')}.py"


@cache
def tables() -> list[Table]:
    """Every table of specs under sim/, found by its annotation."""
    found = []
    for name, source in sources().items():
        if not name.startswith("sim"):
            continue
        module = importlib.import_module(name)
        for variable in _annotated_tables(source):
            base = typing.get_args(typing.get_args(typing.get_type_hints(module)[variable])[1])[0]
            if isinstance(base, type) and issubclass(base, Spec):
                found.append(Table(name, variable, base, getattr(module, variable)))
    return found


def _annotated_tables(source: Source) -> list[str]:
    named = [node for node in source.tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return [node.target.id for node in named if re.match(r"(Mapping|dict)\[str, type\[", ast.unparse(node.annotation))]


def kinds_of(base: type[Spec]) -> Iterator[type[Spec]]:
    """Every class of the product below *base* that nothing is derived from."""
    derived = [cls for cls in base.__subclasses__() if cls.__module__.partition(".")[0] in {"sim", "scenarios"}]
    for cls in derived:
        yield from kinds_of(cls)
    if not derived:
        yield base


def place(cls: type[Spec]) -> str:
    """Where a class is written."""
    return f"{cls.__module__.replace('.', '/')}.py: {cls.__name__}"


def test_every_kind_is_listed_in_its_table():
    """A spec that belongs to a table's family is a line in that table, or YAML cannot name it."""
    assert tables(), "no table of specs found under sim/"
    listed = {cls for table in tables() for cls in table.kinds.values()}
    told(
        f"{place(cls)} is in no table: add the line `\"its name\": {cls.__name__},` to {table.place}"
        for table in tables()
        for cls in kinds_of(table.base)
        if cls not in listed and cls is not table.base and cls.__name__ not in UNNAMED
    )


def test_a_spec_with_a_kind_is_listed_under_that_kind():
    """`kind: Literal["network.delay"]` and the table's "network.delay" are the same word."""
    places = {(name, cls) for table in tables() for name, cls in table.kinds.items()}
    told(
        f"{place(cls)}: kind {word!r} is in no table under that name: add the line `\"{word}\": {cls.__name__},` to its family's table"
        for cls in kinds_of(Spec)
        for word in _kind_words(cls)
        if (word, cls) not in places
    )


def _kind_words(cls: type[Spec]) -> tuple[str, ...]:
    field = cls.model_fields.get("kind")
    literal = field is not None and typing.get_origin(field.annotation) is typing.Literal
    words = typing.get_args(field.annotation) if literal else ()
    return words if len(words) == 1 else ()  # where it is one of several, the field says something else


def test_every_table_is_shown_by_mesocosm_kinds():
    """The reference of kinds knows every table."""
    groups = importlib.import_module("sim.scenario.kinds").GROUPS.values()
    shown = {(group.module, group.table) for group in groups}
    told(f"`mesocosm kinds` does not show {table.place}: add a line to GROUPS in sim/scenario/kinds.py"
         for table in tables() if (table.module, table.name) not in shown)
