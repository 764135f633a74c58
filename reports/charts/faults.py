"""Faults in a time chart: their intervals shaded, their names in a strip above the axes, packed so that none overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .style import SMALL, Look, points_wide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

LANE = 15.0  # points from one lane of the strip to the next
MOST_LANES = 4
MARGIN = 0.008  # of the axes' width between two things in a lane


@dataclass(frozen=True)
class Bar:
    """One name in the strip with all its times, as shares of the axes' width, and where the name is written."""

    name: str
    spans: tuple[tuple[float, float], ...]
    text_at: float
    text_to: float

    def clashes(self, other: Bar) -> bool:
        """Whether the two would touch in one lane."""
        mine, theirs = self._extents(), other._extents()
        return any(a < d + MARGIN and c < b + MARGIN for a, b in mine for c, d in theirs)

    def _extents(self) -> list[tuple[float, float]]:
        return [*self.spans, (self.text_at, self.text_to)]


def shade(axes: Sequence[Axes], look: Look, result: RunResult) -> float:
    """Shade the faults in all *axes* and name them above the first; return the height of the strip in points."""
    ax = axes[0]
    low, high = ax.get_xlim()
    for each in axes:
        for fault in result.faults:
            until = high if fault.until is None else fault.until
            each.axvspan(max(fault.start, low), min(until, high), color=look.theme.fault, alpha=0.12, lw=0, zorder=0.5)
        if result.warmup > low:
            each.axvspan(low, result.warmup, color=look.theme.muted, alpha=0.10, lw=0, zorder=0.5)
    return _strip(ax, look, result, low, high)


def _strip(ax: Axes, look: Look, result: RunResult, low: float, high: float) -> float:
    points = points_wide(ax)
    times: dict[str, list[tuple[float, float]]] = {}
    if result.warmup > low:
        times[look.words("warm-up")] = [(low, result.warmup)]
    for fault in result.faults:
        until = high if fault.until is None else fault.until
        if until > low and fault.start < high:
            times.setdefault(fault.name, []).append((max(fault.start, low), min(until, high)))
    bars = [bar(name, [((a - low) / (high - low), (b - low) / (high - low)) for a, b in spans], points) for name, spans in times.items()]
    lanes = pack(bars)
    shown = lanes[:MOST_LANES]
    for index, lane in enumerate(shown):
        for item in lane:
            muted = item.name == look.words("warm-up")
            _draw_bar(ax, look.theme.muted if muted else look.theme.fault, item, 5 + LANE * index, points)
    hidden = sum(len(lane) for lane in lanes[MOST_LANES:])
    if hidden:
        ax.annotate(look.words("more faults", count=hidden), (1, 1), (0, 5 + LANE * len(shown)), xycoords="axes fraction",
                    textcoords="offset points", ha="right", va="bottom", fontsize=SMALL, color=look.theme.fault)
    return LANE * (len(shown) + (1 if hidden else 0))


def bar(name: str, spans: list[tuple[float, float]], points: float) -> Bar:
    """Place *name* right of its last time if there is room, else left of its first, else upon it; *points* is the axes' width."""
    width = len(name) * 0.62 * SMALL / points
    first, last = spans[0][0], spans[-1][1]
    if last + MARGIN + width <= 1:
        at = last + MARGIN
    elif first - MARGIN - width >= 0:
        at = first - MARGIN - width
    else:
        at = max(0.0, min(first, 1 - width))
    return Bar(name, tuple(spans), at, at + width)


def pack(bars: Sequence[Bar]) -> list[list[Bar]]:
    """Each bar goes into the first lane where it touches nothing."""
    lanes: list[list[Bar]] = []
    for item in bars:
        free = next((lane for lane in lanes if not any(item.clashes(other) for other in lane)), None)
        if free is None:
            lanes.append([item])
        else:
            free.append(item)
    return lanes


def _draw_bar(ax: Axes, colour: str, item: Bar, lift: float, points: float) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    assert figure is not None
    up = ax.transAxes + ScaledTranslation(0, (lift + 4) / 72, figure.dpi_scale_trans)
    written_on = any(start < item.text_to and item.text_at < end for start, end in item.spans)
    for start, end in item.spans:
        ax.plot([start, max(end, start + 2 / points)], [1, 1], transform=up, color=colour, lw=6, solid_capstyle="butt", clip_on=False,
                alpha=0.3 if written_on else 1.0, scalex=False, scaley=False)
    ax.annotate(item.name, (item.text_at, 1), (0, lift + 4), xycoords="axes fraction", textcoords="offset points", ha="left", va="center",
                fontsize=SMALL, color=colour, annotation_clip=False)
