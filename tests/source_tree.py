"""The product's own source, read with `ast`, for the tests that hold the rules of the house."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Rooms, lowest first; a room sees itself and the rooms of lower floors, never another room of its own floor.
FLOORS = [
    ["base"], ["kernel", "resilience", "telemetry"], ["model"], ["faults", "workload"], ["scenario"], ["lab"],
    ["reports", "testing"], ["cli"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


@dataclass(frozen=True, eq=False)
class Source:
    """One module of the product."""

    path: str  # from the root of the tree, with slashes
    name: str  # dotted
    tree: ast.Module

    @property
    def room(self) -> str:
        """Which part of the product it belongs to."""
        parts = self.name.split(".")
        if parts[0] != "sim":
            return parts[0]
        return parts[1] if len(parts) > 1 and parts[1] in FLOOR else "base"

    @property
    def package(self) -> str:
        """The package that its relative imports count from."""
        return self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Import:
    """Where a module asks for another one, ours or a stranger's."""

    source: Source
    line: int
    target: str

    @property
    def place(self) -> str:
        return f"{self.source.path}:{self.line}"


@cache
def sources() -> dict[str, Source]:
    """Every module under sim/ and reports/, and cli.py, by its dotted name."""
    found = {}
    for path in sorted([*ROOT.glob("sim/**/*.py"), *ROOT.glob("reports/**/*.py"), *ROOT.glob("cli.py")]):
        short = path.relative_to(ROOT).as_posix()
        name = short.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        found[name] = Source(short, name, ast.parse(path.read_text(encoding="utf-8")))
    return found


@cache
def all_imports() -> list[Import]:
    """Every import of every module."""
    return [one for source in sources().values() for one in imports(source)]


def imports(source: Source) -> Iterator[Import]:
    """Everything that *source* imports, at its top, in functions, under TYPE_CHECKING, or by a name in a text."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(source, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = source.package.split(".")[: len(source.package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(source, node.lineno, inner if inner in sources() else base)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (named := _named(source, node.value)):
            yield Import(source, node.lineno, named)


def _named(source: Source, text: str) -> str | None:
    """The module that *text* names: `import_module` and tables of modules load what they name."""
    if "." in text and text in sources():
        return text
    sibling = f"{source.package}.{text}"
    return sibling if sibling in sources() and source.package in _loading_by_name() else None


@cache
def _loading_by_name() -> set[str]:
    """The packages in which something calls `import_module`."""
    return {source.package for source in sources().values() if "import_module(" in ast.unparse(source.tree)}


def told(wrong: Iterable[str]) -> None:
    """Fail with every finding on a line of its own."""
    lines = sorted(set(wrong))
    if lines:
        pytest.fail("\n".join(["", *lines]), pytrace=False)
