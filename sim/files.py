"""Files that a scenario or a fault plan names: a path counts from the file that names it, wherever the program was started.

    workloads: {replayed: {executor: trace, file: times.csv, ...}}      # beside the scenario
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo

from sim.mistakes import Mistake, invalid, nearest

Context = dict[str, Any]  # as pydantic hands it to validators
FOLDER = "folder"


def named_in(folder: str) -> Context:
    """The context in which what a file in *folder* says is validated."""
    return {FOLDER: os.path.abspath(folder)}


def _absolute(path: str, info: ValidationInfo) -> str:
    folder = (info.context or {}).get(FOLDER)
    return path if folder is None else os.path.normpath(os.path.join(folder, path))


NamedFile = Annotated[str, AfterValidator(_absolute)]  # absolute, so that a resolved scenario means the same file from wherever it is


def read_seconds(path: str, column: int = 0) -> list[float]:
    """Times in seconds from one *column* of a file with commas, a line each; a first line of words is a heading.

    Raise a validation error, placed at the field `file`, if it is none.
    """
    try:
        with open(path, newline="", encoding="utf-8") as lines:
            times = list(_seconds(lines, path, column))
    except OSError as error:
        raise invalid(Mistake(("file",), f"cannot read {path}: {error.strerror}", _where_it_may_be(Path(path)))) from None
    except (UnicodeDecodeError, csv.Error):
        raise invalid(Mistake(("file",), f"{path} is no list of seconds", "write text, one time in seconds a line: 0.25")) from None
    if not times:
        raise invalid(Mistake(("file",), f"there are no times in {path}", "write one time in seconds a line: 0.25"))
    return times


def _seconds(lines: Any, path: str, column: int) -> Iterator[float]:
    rows = csv.reader(lines)
    for number, row in enumerate((row for row in rows if row), 1):
        try:
            time = float(row[column])
        except ValueError:
            if number == 1:
                continue
            time = math.nan
        if not 0 <= time < math.inf:
            raise invalid(Mistake(("file",), f"{path} is no list of seconds: line {rows.line_num} says {row[column]!r}",
                                  "write one time in seconds a line: 0.25"))
        yield time


def _where_it_may_be(path: Path) -> str:
    beside = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    close = nearest(path.name, beside)
    return f"did you mean {close!r}?" if close is not None else "a path counts from the file that names it"
