"""What `mesocosm plot` does: draw named charts of a finished run, or list what there is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from reports import folder
from reports.charts import CHARTS, FORMATS, OF_A_RUN, render
from reports.texts import Words
from sim.errors import TargetNotFound
from sim.mistakes import did_you_mean


def listed(directory: str, lang: str) -> Iterator[str]:
    """Each chart of a run with its title, and how the run in *directory* gets them; raise FolderError if none is there."""
    folder.read_manifest(Path(directory))
    words = Words(lang)
    width = max(map(len, OF_A_RUN))
    for name in OF_A_RUN:
        yield f"{name:<{width}}  {words.pick(CHARTS[name].title)}"
    yield ""
    yield words("draw some", command=f"mesocosm plot {shlex.quote(directory)}", some=" ".join(OF_A_RUN[:2]))


def plotted(directory: str, names: Sequence[str], out: str | None, theme: str, lang: str) -> Iterator[str]:
    """Draw the charts *names* of the run in *directory*; a line for each. Raise TargetNotFound for an unknown name."""
    for name in names:
        if name not in OF_A_RUN:
            raise TargetNotFound(f"no chart {name!r}: {did_you_mean(name, OF_A_RUN)}")
    place = Path(out) if out is not None else Path(directory) / "charts"
    reasons = render(folder.read(directory), names, place, theme=theme, lang=lang)
    mark = "-dark" if theme == "dark" else ""
    for name, reason in reasons.items():
        yield f"{place / name}{mark}.{', .'.join(FORMATS)}" if reason is None else f"{name}: {reason}"
