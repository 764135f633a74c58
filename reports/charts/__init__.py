"""Pictures of a finished run: one file a chart, each with `draw(result, ax, **options)` on matplotlib's objects.

Everything drawn is counted from the recorded columns. A run that holds nothing for a chart raises NotApplicable.
matplotlib is only loaded when something is drawn, so that the table of charts can be listed for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .table import CHARTS, OF_A_RUN, Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .style import Look

FORMATS = ("svg", "png")
__all__ = ["CHARTS", "FORMATS", "OF_A_RUN", "Chart", "figure", "render"]


def figure(subject: Any, name: str, look: Look | None = None, **options: Any) -> Figure:
    """One chart of *subject* (what it `takes`) on a figure of its own.

    Raise NotApplicable if there is nothing to draw, KeyError for an unknown name.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from .style import DPI, HEIGHT, WIDTH, Look, decimal_marks

    look = look or Look()
    chart = import_module(f".{CHARTS[name].module}", __name__)
    with mpl.rc_context(look.rc):
        engine = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        made = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout=engine)
        FigureCanvasAgg(made)
        chart.draw(subject, made.add_subplot(), look=look, **options)
        decimal_marks(made, look)
        engine.execute(made)
        made.set_layout_engine(None)  # settled; every format would reckon it again
    return made


def render(subject: Any, names: Iterable[str], directory: Path, formats: Sequence[str] = FORMATS, theme: str = "light",
           lang: str = "en", **options: Any) -> dict[str, str | None]:
    """Write each named chart of *subject*, mostly a RunResult, into *directory*; return for each None, or why it does not apply.

    The same result gives the same bytes: no date, no random ids. A dark picture is called NAME-dark.
    """
    import matplotlib as mpl

    from reports.texts import Words

    from .style import THEMES, Look, NotApplicable

    look = Look(THEMES[theme], Words(lang))
    directory.mkdir(parents=True, exist_ok=True)
    reasons: dict[str, str | None] = {}
    for name in names:
        try:
            made = figure(subject, name, look, **options)
        except NotApplicable as reason:
            reasons[name] = str(reason)
            continue
        reasons[name] = None
        with mpl.rc_context(look.rc):
            for kind in formats:
                path = directory / f"{name}{'-dark' if theme == 'dark' else ''}.{kind}"
                made.savefig(path, format=kind, **_settings(kind, look.words.pick(CHARTS[name].title)))
    return reasons


def _settings(kind: str, title: str) -> dict[str, Any]:
    """No date in the file; a PNG is packed lightly, which takes half the time."""
    if kind == "svg":
        return {"metadata": {"Date": None, "Creator": "mesocosm", "Title": title}}
    return {"metadata": {"Software": "mesocosm", "Title": title}, "pil_kwargs": {"compress_level": 3}}
