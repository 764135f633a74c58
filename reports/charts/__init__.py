"""Pictures of a finished run: one file a chart, each with `draw(result, ax, **options)` on matplotlib's objects.

Everything drawn is counted from the recorded columns. A run that holds nothing for a chart raises NotApplicable.
matplotlib is only loaded when something is drawn, so that the table of charts can be listed for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sim.telemetry.result import RunResult

    from .style import Look

FORMATS = ("svg", "png")


@dataclass(frozen=True)
class Chart:
    """A chart's file, and in one sentence (English, Spanish) what it shows."""

    module: str
    title: tuple[str, str]
    explains: tuple[str, str]


CHARTS: dict[str, Chart] = {
    "outcomes": Chart("outcomes",
        ("Requests per second by outcome", "Peticiones por segundo según su resultado"),
        ("How many requests were answered, refused or lost in each moment, against what was offered.",
         "Cuántas peticiones se atendieron, rechazaron o perdieron en cada momento, frente a las ofrecidas.")),
    "percentiles": Chart("percentiles",
        ("Latency percentiles over time", "Percentiles de latencia en el tiempo"),
        ("The usual request and the slow tail: a fault that spares the median may ruin the p99.",
         "La petición habitual y la cola lenta: un fallo que respeta la mediana puede arruinar el p99.")),
    "heatmap": Chart("heatmap",
        ("Where latencies fall", "Dónde caen las latencias"),
        ("Every finished request by time and latency: two populations and timeouts show as bands.",
         "Cada petición terminada según momento y latencia: las poblaciones dobles y los plazos vencidos forman bandas.")),
    "graph": Chart("graph",
        ("Who calls whom", "Quién llama a quién"),
        ("The services with the rate, the errors and the attempts per call on every edge.",
         "Los servicios, con la tasa, los errores y los intentos por llamada en cada arista.")),
}


def figure(result: RunResult, name: str, look: Look | None = None, **options: Any) -> Figure:
    """One chart on a figure of its own; raise NotApplicable if this run has nothing for it, KeyError for an unknown name."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from .style import DPI, HEIGHT, WIDTH, Look

    look = look or Look()
    chart = import_module(f".{CHARTS[name].module}", __name__)
    with mpl.rc_context(look.rc):
        made = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
        FigureCanvasAgg(made)
        made.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr, call-arg]
        chart.draw(result, made.add_subplot(), look=look, **options)
    return made


def render(result: RunResult, names: Iterable[str], directory: Path, formats: Sequence[str] = FORMATS, theme: str = "light",
           lang: str = "en", **options: Any) -> dict[str, str | None]:
    """Write each named chart into *directory*; return for each None, or why it does not apply to this run.

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
            made = figure(result, name, look, **options)
        except NotApplicable as reason:
            reasons[name] = str(reason)
            continue
        reasons[name] = None
        with mpl.rc_context(look.rc):
            for kind in formats:
                path = directory / f"{name}{'-dark' if theme == 'dark' else ''}.{kind}"
                made.savefig(path, format=kind, metadata=_metadata(kind, look.words.pick(CHARTS[name].title)))
    return reasons


def _metadata(kind: str, title: str) -> dict[str, Any]:
    if kind == "svg":
        return {"Date": None, "Creator": "mesocosm", "Title": title}
    return {"Software": "mesocosm", "Title": title}
