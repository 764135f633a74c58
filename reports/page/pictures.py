"""Charts that `reports.charts` has drawn, to stand inside the page: ids of their own, colours that follow light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reports.charts.style import LIGHT
from reports.charts.table import CHARTS
from reports.texts import Words

SHOWN = ("spectrum", "instances", "phase", "knee", "budget", "registry", "lag", "sagas")  # what gains nothing from a cursor
COLOURS = {  # of the light theme, and what they are called in the page
    LIGHT.paper: "--panel", LIGHT.ink: "--ink", LIGHT.muted: "--muted", LIGHT.grid: "--grid", LIGHT.fault: "--fault", LIGHT.line: "--line",
}
LARGEST = 160_000  # characters; a picture beyond that is worth more as a file beside the page


@dataclass(frozen=True)
class Picture:
    """A chart and what it shows; *svg* is made by us and safe to stand as it is."""

    name: str
    explains: str
    svg: str


def pictures(folder: Path, words: Words) -> Iterator[Picture]:
    """The charts in *folder* that apply to the run."""
    for name in SHOWN:
        path = folder / f"{name}.svg"
        if path.is_file() and path.stat().st_size <= LARGEST:
            chart, svg = CHARTS[name], path.read_text(encoding="utf-8")
            yield Picture(name, words.pick(chart.explains), inline(svg, name, words.pick(chart.title)))


def inline(svg: str, name: str, title: str) -> str:
    """*svg* from its root on, named for who cannot see it, with *name* before its ids and variables for the colours of paper and ink."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, variable in COLOURS.items():
        body = re.sub(rf"(?<=[:;\s]){colour}\b", f"var({variable})", body, flags=re.IGNORECASE)
    body = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', lambda found: _root(found[1], title), body, count=1, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", body)


def _root(box: str, title: str) -> str:
    from html import escape

    return f'<svg viewBox="{escape(box)}" role="img" aria-label="{escape(title)}" class="picture">'
