"""report.html: one self-contained file about a run. It needs no network, and nothing in it comes from elsewhere.

Python reckons (each part of the page has a file here), templates/ say in which order it is read, assets/ how it looks and moves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


def write_page(result: RunResult, path: Path, lang: str = "en") -> None:
    """Write the page of *result* to *path*; charts that lie as SVG in the folder `charts` beside it are taken in."""
    from .build import page

    path.write_text(page(result, path.parent / "charts", lang), encoding="utf-8", newline="\n")
