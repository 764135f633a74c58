"""Saga swim-lane: forward steps and compensations of single sagas over time.

Read from events `saga.step` and `saga.undo` {saga, id, step, start, ok} at the end of each step, and `saga.started`,
`saga.completed`, `saga.compensated`, `saga.stuck` {saga, id}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .faults import shade
from .style import (
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILLION,
    YELLOW,
    Look,
    NotApplicable,
    heading,
    legend_below,
    signature,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

MOST_LANES = 24
FORWARD = (GREEN, SKY, YELLOW, PURPLE, GREY)
ENDS = ("completed", "compensated", "stuck")
TITLE = ("Saga {saga}, one lane each", "Saga {saga}, un carril por cada una")
FINDING = (
    "{total} begun: {completed} completed, {compensated} undone, {stuck} stuck; {shown} are shown, those that went wrong first",
    "{total} iniciadas: {completed} completadas, {compensated} deshechas, {stuck} atascadas; se muestran {shown}, primero las que fallaron",
)
FAILED, UNDO = ("failed", "fallido"), ("undone", "deshecho")


@dataclass
class Lane:
    """One saga: its steps as (name, start, end, ok, undo), and how it ended."""

    id: str
    start: float
    steps: list[tuple[str, float, float, bool, bool]] = field(default_factory=list)
    end: str = "open"

    @property
    def until(self) -> float:
        """The end of its last step."""
        return max((step[2] for step in self.steps), default=self.start)


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, saga: str | None = None) -> None:
    """At most 24 sagas: stuck ones first, then compensated ones, then others, each from the time it began."""
    from matplotlib.patches import Patch

    look = look or Look()
    saga, found = lanes(result, saga)
    rank = {"stuck": 0, "open": 1, "compensated": 2, "completed": 3}
    shown = sorted(sorted(found, key=lambda lane: (rank[lane.end], lane.start))[:MOST_LANES], key=lambda lane: lane.start)
    names = list(dict.fromkeys(step[0] for lane in found for step in lane.steps))
    colour = {name: FORWARD[index % len(FORWARD)] for index, name in enumerate(names)}
    for row, lane in enumerate(shown):
        ax.plot([lane.start, lane.until], [row, row], color=look.theme.muted, lw=1, zorder=1)
        for name, start, end, ok, undo in lane.steps:
            if undo:
                ax.barh(row, end - start, left=start, height=0.55, color=ORANGE, hatch="////", edgecolor=look.theme.paper, lw=0, zorder=2)
            else:
                ax.barh(row, end - start, left=start, height=0.55, color=colour[name] if ok else VERMILLION, lw=0, zorder=2)
        sign = {"completed": "✓", "compensated": "↶", "stuck": "✗", "open": "…"}[lane.end]
        ax.annotate(sign, (lane.until, row), (5, 0), textcoords="offset points", va="center", fontsize=SMALL)
    ax.set_yticks(range(len(shown)), [lane.id for lane in shown], fontsize=min(SMALL, 260 / len(shown)))
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    low, high = min(lane.start for lane in shown), max(lane.until for lane in shown)
    room = 0.04 * max(high - low, 1e-6)
    time_axis(ax, look, result, (max(0.0, low - room), min(result.duration, high + room)))
    patches = [*(Patch(color=colour[name]) for name in names), Patch(color=VERMILLION), Patch(color=ORANGE, hatch="////")]
    legend_below(ax, patches, [*names, look.words.pick(FAILED), look.words.pick(UNDO)], columns=3)
    ends = {end: look.words.number(sum(lane.end == end for lane in found)) for end in ENDS}
    text = look.words.pick(FINDING).format(total=look.words.number(len(found)), shown=len(shown), **ends)
    heading(ax, look, look.words.pick(TITLE).format(saga=saga), text, lift=shade([ax], look, result))
    signature(ax, look, result)


def lanes(result: RunResult, saga: str | None) -> tuple[str, list[Lane]]:
    """The sagas of one name (default: the first that ran), in the order in which they began."""
    events = [event for event in result.events if str(event["kind"]).startswith("saga.")]
    if not events:
        raise NotApplicable("no saga is in this run")
    saga = saga or str(events[0]["saga"])
    found: dict[str, Lane] = {}
    for event in events:
        if event["saga"] == saga:
            _take(found.setdefault(str(event["id"]), Lane(str(event["id"]), float(event.get("start", event["at"])))), event)
    if not found:
        raise NotApplicable(f"no saga {saga!r} ran")
    return saga, list(found.values())


def _take(lane: Lane, event: Mapping[str, object]) -> None:
    what = str(event["kind"]).removeprefix("saga.")
    if what in ("step", "undo"):
        start, end = float(str(event["start"])), float(str(event["at"]))
        lane.steps.append((str(event["step"]), start, end, bool(event.get("ok", True)), what == "undo"))
    elif what in ENDS:
        lane.end = what
