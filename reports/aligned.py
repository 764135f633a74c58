"""Tables of plain text: columns that are as wide as their widest cell, with two blanks between them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

FIRST = frozenset({0})


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int] = FIRST) -> Iterator[str]:
    """Lines; the columns in *words* begin at their left, those of numbers end at their right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in [heads, *rows]:
        cells = [cell.ljust(width) if column in words else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        yield ("  " + "  ".join(cells)).rstrip()
