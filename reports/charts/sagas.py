"""Saga swim-lane: forward steps and compensations of single sagas, each from its own beginning.

Read from events `saga.step` and `saga.undo` {saga, id, step, start, ok} at the end of each step, and `saga.started`,
`saga.completed`, `saga.compensated`, `saga.stuck` {saga, id}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

MOST_LANES = 24
FORWARD = (GREEN, SKY, YELLOW, PURPLE, GREY)
ENDS = ("completed", "compensated", "stuck")
RANK = {"stuck": 0, "compensated": 1, "open": 2, "completed": 3}
SIGNS = {"completed": "✓", "compensated": "↶", "stuck": "✗", "open": "…"}
AXIS = ("time since the saga began", "tiempo desde el inicio de la saga")
TITLE = ("Saga {saga}, one lane each", "Saga {saga}, un carril por cada una")
FINDING = (
    "{total} begun: {completed} completed, {compensated} undone, {stuck} stuck; shown: {shown}, troubled ones first",
    "{total} iniciadas: {completed} completadas, {compensated} deshechas, {stuck} atascadas; se ven {shown}",
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


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, saga: str | None = None,
         window: tuple[float, float] | None = None) -> None:
    """At most 24 sagas: stuck ones first, then compensated ones, then others; *window* (seconds) restricts when they began."""
    from matplotlib.patches import Patch

    look = look or Look()
    saga, every = lanes(result, saga)
    found = [lane for lane in every if window is None or window[0] <= lane.start < window[1]]
    if not found:
        raise NotApplicable(f"no saga {saga!r} began in this time")
    shown = sorted(found, key=lambda lane: (RANK[lane.end], lane.start))[:MOST_LANES]
    names = list(dict.fromkeys(step[0] for lane in every for step in lane.steps))
    colour = {name: FORWARD[index % len(FORWARD)] for index, name in enumerate(names)}
    for row, lane in enumerate(shown):
        _lane(ax, look, row, lane, colour)
    labels = [f"{lane.id}  {look.words.moment(lane.start)}" for lane in shown]
    ax.set_yticks(range(len(shown)), labels, fontsize=min(SMALL, 250 / len(shown)))
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlim(0, 1050 * max(max(lane.until - lane.start for lane in shown), 1e-6))
    ax.set_xlabel(f"{look.words.pick(AXIS)} (ms)")
    patches = [*(Patch(color=colour[name]) for name in names), Patch(color=VERMILLION), Patch(fc=ORANGE, hatch="////", ec=look.theme.paper)]
    legend_below(ax, patches, [*names, look.words.pick(FAILED), look.words.pick(UNDO)], columns=3)
    ends = {end: look.words.number(sum(lane.end == end for lane in found)) for end in ENDS}
    text = look.words.pick(FINDING).format(total=look.words.number(len(found)), shown=len(shown), **ends)
    heading(ax, look, look.words.pick(TITLE).format(saga=saga), text)
    signature(ax, look, result)


def _lane(ax: Axes, look: Look, row: int, lane: Lane, colour: Mapping[str, str]) -> None:
    ax.plot([0, 1000 * (lane.until - lane.start)], [row, row], color=look.theme.muted, lw=1, zorder=1)
    for name, start, end, ok, undo in lane.steps:
        left, length = 1000 * (start - lane.start), 1000 * (end - start)
        if undo:
            ax.barh(row, length, left=left, height=0.6, color=ORANGE, hatch="////", edgecolor=look.theme.paper, lw=0, zorder=2)
        else:
            ax.barh(row, length, left=left, height=0.6, color=colour[name] if ok else VERMILLION, lw=0, zorder=2)
    ax.annotate(SIGNS[lane.end], (1000 * (lane.until - lane.start), row), (5, 0), textcoords="offset points", va="center", fontsize=SMALL)


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
