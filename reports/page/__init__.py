"""report.html: one self-contained file about a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


def write_page(result: RunResult, path: Path, lang: str = "en") -> None:
    """Write the page of *result* to *path*."""
    import jinja2

    from reports.terminal import summary_text

    environment = jinja2.Environment(loader=jinja2.PackageLoader("reports.page", "."), autoescape=True)
    charts = [(file.stem, file.read_text(encoding="utf-8")) for file in sorted((path.parent / "charts").glob("*.svg"))]
    path.write_text(environment.get_template("page.html.j2").render(result=result, lang=lang, text=summary_text(result.summary, lang=lang), charts=charts),
                    encoding="utf-8")
