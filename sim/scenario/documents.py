"""Reading a YAML file, so that everything in it knows its line and column.

    document = load_document("checkout.yaml")
    document.data["services"]["orders"]                       # plain dictionaries, lists and scalars
    document.place(("services", "orders", "workers"))         # line and column

A file of more than 4 MiB is refused; `composer` has the other limits.
"""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from sim.files import Context, named_in
from sim.mistakes import Mistake, mistakes
from sim.spec import Spec

from .composer import parse, position
from .nodes import Node
from .problems import InvalidFile, Place, Problem, Source, problem_at, refuse

S = TypeVar("S", bound=Spec)
LARGEST_FILE = 4 * 2**20  # bytes
PIPE = "<stdin>"  # the name of what comes through one


@dataclass(frozen=True, eq=False)
class Document:
    """A file that was read, or one that was changed by overrides; *root* is its outermost mapping."""

    path: str
    root: Node
    folder: str | None = None  # where the files are that it names; None: they stand beside it

    @property
    def data(self) -> dict[str, Any]:
        """Plain dictionaries, lists and scalars; new ones at every call."""
        plain: dict[str, Any] = self.root.data()
        return plain

    @property
    def lines(self) -> tuple[str, ...]:
        """The text, without line ends."""
        return self.root.place.source.lines

    @property
    def context(self) -> Context | None:
        """For validators: where the files that it names are looked for."""
        if self.folder is not None:
            return named_in(self.folder)
        return named_in(os.path.dirname(self.path)) if os.path.isfile(self.path) else None

    def place(self, loc: tuple[str | int, ...], at_key: bool = False) -> Place:
        """Where *loc* is written, as far as it is."""
        way = self.root.way(loc)
        if not way:
            return self.root.place
        holder, part, node = way[-1]
        return (holder.key_place(part) if at_key else None) or node.place

    def problem(self, mistake: Mistake, warning: bool = False) -> Problem:
        """*mistake* with its place."""
        return problem_at(self.place(mistake.loc, mistake.at_key), mistake.what, mistake.cure, warning)


def validated(document: Document, cls: type[S]) -> S:
    """The document as a *cls*; raise InvalidFile with all mistakes."""
    try:
        return cls.model_validate(document.data, context=document.context)
    except ValidationError as error:
        raise InvalidFile(document.problem(mistake) for mistake in mistakes(error, cls=cls)) from None


def load_document(path: str | os.PathLike[str]) -> Document:
    """Read the file at *path*; raise InvalidFile with everything that is wrong with it as YAML."""
    name = os.fspath(path)
    return document_of(name, _text(name, _bytes(name)))


def piped_document() -> Document:
    """Read what comes through a pipe; files that it names are beside the current folder's. Raise InvalidFile as `load_document` does."""
    content = sys.stdin.buffer.read(LARGEST_FILE + 1)
    return document_of(PIPE, _text(PIPE, _small(PIPE, content)))


def document_of(name: str, text: str, folder: str | None = None) -> Document:
    """The document written as *text*, with problems placed in *name*; raise InvalidFile with everything that is wrong with it as YAML.

    The files that it names are in *folder*, or beside it.
    """
    root = parse(text, Source(name, tuple(text.splitlines())))
    if root is None or (root.entries is None and root.items is None and root.value is None):
        refuse(Place(Source(name, ()), 1, 1), "the file is empty", "`mesocosm init DIR` writes an example to start from")
    if root.entries is None:
        refuse(root.place, f"a file holds a mapping, and this is {root.noun}", "begin with `name: ...`")
    return Document(name, root, folder)


def _bytes(name: str) -> bytes:
    top = Place(Source(name, ()), 1, 1)
    try:
        with open(name, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        refuse(top, *_unreadable(name, error))
    return _small(name, content)


def _small(name: str, content: bytes) -> bytes:
    if len(content) > LARGEST_FILE:
        refuse(Place(Source(name, ()), 1, 1), f"larger than {LARGEST_FILE // 2**20} MiB", "that cannot be a scenario")
    return content


def _unreadable(name: str, error: Exception) -> tuple[str, str]:
    """What is wrong with a file that cannot be read, and a cure."""
    if name == "-":
        return "what comes through a pipe can be checked, not run", "write it to a file: a run notes the file that it came from"
    if isinstance(error, FileNotFoundError):
        folder = Path(name).parent
        beside = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        close = difflib.get_close_matches(Path(name).name, beside, n=1)
        return "no such file", f"did you mean {str(folder / close[0])!r}?" if close else "the path is taken from the current folder"
    if isinstance(error, IsADirectoryError):
        inside = sorted(str(entry) for entry in Path(name).glob("*.y*ml"))
        return "a folder, not a file", f"name a file in it: {', '.join(inside[:5])}" if inside else "name a file"
    if isinstance(error, PermissionError):
        return "no permission to read it", "`ls -l` shows who may"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}", "look at the path"


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        source = Source(name, tuple(content.decode("utf-8", "replace").splitlines()))
        binary = b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff"))
        refuse(position(before, len(before), source), "a binary file" if binary else "not UTF-8", "a scenario is text: save it as UTF-8")
    return text


