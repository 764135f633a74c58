"""How charts look: two themes, a palette that colour-blind people can read, and what all time charts share.

Colours: Okabe and Ito, *Color Universal Design* (2008). Sizes suit a slide: a figure is 10 inches wide and its
smallest text is 10 points.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reports.texts import LONG, Words, unparted
from sim.telemetry.codes import Outcome

from .table import CHARTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from sim.telemetry.result import RunResult

WIDTH, HEIGHT = 10.0, 5.625  # inches: 16 to 9
DPI = 160
SMALL, NORMAL, LARGE = 10.0, 11.5, 16.0  # points
TOO_MANY_MINUTES = 9000.0  # seconds
LONGEST_NAME = 32  # characters of a node, in titles and beside rows

GREEN, SKY, BLUE, VERMILLION, ORANGE, PURPLE, YELLOW, GREY = (
    "#009E73", "#56B4E9", "#0072B2", "#D55E00", "#E69F00", "#CC79A7", "#F0E442", "#8C8C8C",
)


class NotApplicable(Exception):
    """The run holds nothing that this chart could show; the message says what is missing."""


@dataclass(frozen=True)
class Theme:
    """The colours of paper and ink; those of the data are the same in both themes, but for the lines' blue."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    fault: str
    line: str  # the first line's colour
    alarm: str  # the far end of the scale of errors
    heat: tuple[str, ...]  # from few to many: one hue, evenly darker (on dark paper lighter)

    @property
    def heat_map(self) -> Colormap:
        """The colours of counts."""
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list("heat", list(self.heat))


LIGHT = Theme("light", "#FFFFFF", "#1F2328", "#5C6670", "#E3E6EA", "#7A3E9D", BLUE, "#9C2A00",
              ("#CFE1F2", "#6AAED6", "#2171B5", "#08306B"))
DARK = Theme("dark", "#16191D", "#E8EAED", "#A3ABB5", "#343A42", "#C9A0E8", SKY, "#FF4B2B",
             ("#1F3F5B", "#2F7CB5", "#7CC4EE", "#F4FAFF"))
THEMES = {"light": LIGHT, "dark": DARK}

OUTCOME_COLOURS = {
    Outcome.OK: GREEN, Outcome.DEGRADED: SKY, Outcome.REJECTED: ORANGE, Outcome.FAILED: VERMILLION, Outcome.UNFINISHED: GREY,
}


@dataclass(frozen=True)
class Look:
    """A theme and a language: how one picture is to be drawn."""

    theme: Theme = LIGHT
    words: Words = field(default_factory=Words)

    @cached_property
    def rc(self) -> Any:
        """matplotlib's settings; a fixed salt keeps the ids inside an SVG the same on every machine."""
        theme = self.theme
        return {
            "svg.hashsalt": "mesocosm", "svg.fonttype": "path", "font.family": ["DejaVu Sans"], "font.size": NORMAL,
            "figure.facecolor": theme.paper, "savefig.facecolor": theme.paper, "axes.facecolor": theme.paper,
            "text.color": theme.ink, "axes.labelcolor": theme.ink, "axes.edgecolor": theme.muted, "axes.labelsize": NORMAL,
            "xtick.color": theme.muted, "ytick.color": theme.muted, "xtick.labelcolor": theme.ink, "ytick.labelcolor": theme.ink,
            "xtick.labelsize": SMALL, "ytick.labelsize": SMALL, "axes.grid": True, "grid.color": theme.grid, "grid.linewidth": 0.8,
            "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
            "legend.fontsize": SMALL, "lines.linewidth": 2.0, "lines.solid_joinstyle": "round", "hatch.linewidth": 0.6,
            "text.parse_math": False, "path.simplify": True, "axes.unicode_minus": True,
        }

    def series(self, index: int) -> str:
        """The colour of line number *index*: neighbours are easy to tell apart."""
        colours = (self.theme.line, VERMILLION, GREEN, ORANGE, PURPLE, GREY, YELLOW if self.theme is DARK else "#000000")
        return colours[index % len(colours)]


def title(look: Look, chart: str) -> str:
    """The chart's title as the table has it."""
    return look.words.pick(CHARTS[chart].title)


def heading(ax: Axes, look: Look, title: str, finding: str = "", lift: float = 0.0) -> None:
    """What is seen, in bold at the left, with what was found below it, both *lift* points above the axes."""
    place: dict[str, Any] = {
        "xycoords": "axes fraction", "textcoords": "offset points", "ha": "left", "va": "baseline", "annotation_clip": False,
    }
    lines = textwrap.wrap(unparted(finding), max(20, int(1.1 * points_wide(ax) / (0.56 * NORMAL))))
    if lines:
        ax.annotate("\n".join(lines), (0, 1), (0, lift + 8), fontsize=NORMAL, color=look.theme.muted, **place)
    bold = textwrap.wrap(title, max(20, int(1.1 * points_wide(ax) / (0.66 * LARGE))))
    ax.annotate("\n".join(bold), (0, 1), (0, lift + 10 + 16 * len(lines)), fontsize=LARGE, fontweight="bold", color=look.theme.ink, **place)


def decimal_marks(figure: Figure, look: Look) -> None:
    """Plain numbers on the axes are written as the language writes them."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import ScalarFormatter

    class Marked(ScalarFormatter):
        def __call__(self, value: float, position: int | None = None) -> str:
            return str(super().__call__(value, position)).replace(".", look.words.decimal_mark)

    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(Marked())


def points_wide(ax: Axes) -> float:
    """The width of *ax* in points, as far as it is known before the layout is settled."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return ax.get_window_extent().width * 72 / figure.dpi


def signature(ax: Axes, look: Look, result: RunResult) -> None:
    """Which run it was, small, at the right below the axes: enough to make the same picture again."""
    text = " · ".join([result.name, *([result.variant] if result.variant else []), look.words.seed(result.seed)])
    label = ax.get_xlabel() if ax.axison else ""
    free = 0.9 * points_wide(ax) / 2 - 0.28 * NORMAL * len(label) - 0.56 * SMALL * len(text)  # points between the axis' name and this
    ax.annotate(text, (1, 0), (0, -34 if free > 0 or not label else -50), xycoords="axes fraction", textcoords="offset points",
                ha="right", va="baseline", fontsize=SMALL, color=look.theme.muted, annotation_clip=False)


def panels(ax: Axes, heights: Sequence[float], gap: float = 0.06, sharex: bool = True) -> list[Axes]:
    """Divide *ax* into rows, top first, *heights* being their shares. They share the x axis, whose labels stay at the bottom."""
    ax.set_axis_off()
    unit = (1 - gap * (len(heights) - 1)) / sum(heights)
    rows: list[Axes] = []
    top = 1.0
    for height in heights:
        size = height * unit
        share: dict[str, Any] = {"sharex": rows[0]} if rows and sharex else {}
        rows.append(ax.inset_axes((0.0, top - size, 1.0, size), **share))
        top -= size + gap
    for row in rows[:-1] if sharex else []:
        row.tick_params(labelbottom=False)
    return rows


def side(ax: Axes, share: float = 0.02, gap: float = 0.015) -> Axes:
    """A narrow axes at the right of *ax*, for a colour bar."""
    return ax.inset_axes((1 + gap, 0.0, share, 1.0))


def time_axis(ax: Axes, look: Look, result: RunResult, window: tuple[float, float] | None = None) -> None:
    """The x axis is the run's simulated time in seconds, written in minutes or hours where it is long."""
    first, last = window or (0.0, result.duration)
    ax.set_xlim(first, last)
    ax.set_xlabel(time_ticks(ax.xaxis, look, last - first))


def time_ticks(axis: Any, look: Look, length: float) -> str:
    """Give *axis*, which is *length* seconds long, ticks at whole minutes or hours if it is a long one; return what it is called."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    if length < LONG:
        return look.words("time")
    unit, steps, name = (60, (1, 2, 5, 10, 15, 20), "time in minutes") if length < TOO_MANY_MINUTES else (
        3600, (0.5, 1, 2, 3, 4, 6, 12, 24, 48, 96), "time in hours")
    step = next((step for step in steps if 12 * step * unit >= length), steps[-1] * math.ceil(length / (12 * steps[-1] * unit)))
    axis.set_major_locator(MultipleLocator(step * unit))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}".replace(".", look.words.decimal_mark)))
    return look.words(name)


def seconds_axis(axis: Any, look: Look) -> None:
    """Ticks of a logarithmic axis of seconds, each with its own unit: 1 ms, 10 ms, 1 s."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low) if low > 0 else 9
    if decades < 0.8:  # less than two of 1, 2, 5 might be in sight
        axis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    else:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: look.words.in_seconds(value)))
    axis.set_minor_locator(NullLocator())


def end_labels(ax: Axes, look: Look, labels: Iterable[tuple[float, str, str]], x: float = 1.0) -> None:
    """Names at the right of lines instead of a legend: (y in data, text, colour) each; moved apart where they would overlap."""
    height = ax.get_window_extent().height or 1.0
    step = 1.35 * SMALL / 72 * ax.get_figure(root=True).dpi / height  # type: ignore[union-attr]
    placed: list[tuple[float, str, str]] = []
    for value, text, colour in sorted((item for item in labels if math.isfinite(item[0])), key=lambda item: item[0]):
        wanted = ax.transAxes.inverted().transform(ax.transData.transform((ax.get_xlim()[1], value)))[1]
        floor = placed[-1][0] + step if placed else 0.0
        placed.append((max(float(wanted), floor), text, colour))
    overshoot = placed[-1][0] - 1.0 if placed else 0.0
    ceiling = math.inf
    settled: list[tuple[float, str, str]] = []
    for y, text, colour in reversed(placed):  # push down from the top what was pushed out of the axes
        y = min(y, ceiling, 1.0) if overshoot > 0 else y
        settled.append((y, text, colour))
        ceiling = y - step
    for y, text, colour in settled:
        ax.annotate(text, (x, y), (6, 0), xycoords="axes fraction", textcoords="offset points", ha="left", va="center",
                    fontsize=SMALL, color=colour, fontweight="bold", annotation_clip=False)


def legend(ax: Axes, count: int) -> None:
    """A legend in one row inside the axes at the top, above the data: the caller leaves room for it."""
    ax.legend(loc="upper left", ncols=max(count, 1), borderaxespad=0.2, handlelength=1.2, columnspacing=1.4)


def legend_below(ax: Axes, handles: Sequence[Any], names: Sequence[str], columns: int | None = None) -> None:
    """A legend below the label of the x axis, at the left."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    below = ax.transAxes + ScaledTranslation(0, -32 / 72, figure.dpi_scale_trans)
    ax.legend(handles, names, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=below, ncols=columns or len(names), borderaxespad=0,
              handlelength=1.2, columnspacing=1.2)


def headroom(ax: Axes, share: float = 0.14) -> None:
    """Leave room at the top of a linear y axis that starts at 0, for the legend."""
    top = ax.dataLim.y1
    ax.set_ylim(0, (top if math.isfinite(top) and top > 0 else 1.0) * (1 + share))
