"""What is wrong with a file, told so that it can be mended: the place, the cause, the line with a caret, the cure.

    slow-db.yaml:14:5: unknown fault kind 'network.latancy'
        kind: network.latancy
              ^
        did you mean 'network.delay'?
        `mesocosm kinds faults` lists them all
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from sim.errors import InvalidInput

INDENT = "    "
WIDEST = 120  # characters of a source line that are shown


@dataclass(frozen=True, eq=False)
class Source:
    """Where text came from: a file, or an option of the command line, which has no line numbers."""

    name: str
    lines: tuple[str, ...]
    is_file: bool = True


class Place(NamedTuple):
    """A line and a column of a source, both from 1."""

    source: Source
    line: int
    col: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong at *line*, *col* (both from 1) of *path*; line 0 is something that has no lines, such as an option."""

    path: str
    line: int
    col: int
    what: str
    cure: str = ""
    source_line: str | None = None
    warning: bool = False

    def __str__(self) -> str:
        return self.render()

    def render(self) -> str:
        """Several lines of plain text; nothing in it can confuse a terminal."""
        place = f"{self.path}:{self.line}:{self.col}" if self.line else self.path
        lines = [f"{place}: {'warning: ' if self.warning else ''}{self.what}"]
        if self.source_line is not None and self.source_line.strip():
            lines += [INDENT + line for line in pointed_at(self.source_line, self.col)]
        lines += [line for told in self.cure.splitlines() for line in wrapped(told)]
        return "\n".join(printable(line) for line in lines)


class InvalidFile(InvalidInput):
    """Files that cannot be used; *problems* holds everything that is wrong with them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


class Collected:
    """Goes on after an invalid file, so that all that is wrong is told at once.

        wrong = Collected()
        for path in paths:
            with wrong:
                read(path)
        wrong.refuse()      # raises InvalidFile if anything was
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> bool:
        if isinstance(error, InvalidFile):
            self.problems += error.problems
        return isinstance(error, InvalidFile)

    def refuse(self) -> None:
        """Raise InvalidFile if there is a problem that is more than a warning."""
        refuse_any(self.problems)


def problem_at(place: Place, what: str, cure: str = "", warning: bool = False) -> Problem:
    """A problem at a *place*, with the line that stands there."""
    source, line, col = place
    if line > len(source.lines) > 0:  # beyond the last line end: shown after the last line
        line, col = len(source.lines), len(source.lines[-1]) + 1
    text = source.lines[line - 1] if source.lines else None
    return Problem(source.name, line if source.is_file else 0, col, what, cure, text, warning)


def refuse(place: Place, what: str, cure: str) -> NoReturn:
    """Raise InvalidFile for one mistake that nothing can go on after."""
    raise InvalidFile([problem_at(place, what, cure)])


def refuse_any(problems: Iterable[Problem]) -> None:
    """Raise InvalidFile if one of *problems* is more than a warning."""
    found = list(problems)
    if any(not problem.warning for problem in found):
        raise InvalidFile(found)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sorted by place, files in the order in which they were first named; what was said twice is kept once."""
    once = list(dict.fromkeys(problems))
    files = list(dict.fromkeys(problem.path for problem in once))
    return sorted(once, key=lambda problem: (files.index(problem.path), problem.line, problem.col))


def wrapped(text: str) -> list[str]:
    """*text* on lines that are set in and of a width that a terminal has; what it names is not broken."""
    return textwrap.wrap(text, WIDEST, initial_indent=INDENT, subsequent_indent=2 * INDENT, break_long_words=False, break_on_hyphens=False)


def pointed_at(line: str, col: int) -> tuple[str, str]:
    """*line* and a line with a caret under its column *col*; a long line is cut to what is around the caret."""
    start = max(0, col - 1 - WIDEST // 2) if len(line) > WIDEST else 0
    shown = line[start : start + WIDEST].rstrip()
    before = line[start : col - 1].ljust(max(0, col - 1 - start))
    return shown, "".join(_blank(character) for character in before) + "^"


def printable(text: str) -> str:
    """*text* with control characters, and what no encoding can write, spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def _blank(character: str) -> str:
    """What is as wide as *character* in a terminal, and empty."""
    if character == "\t":
        return "\t"
    if not character.isprintable():
        return " " * len(printable(character))
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
