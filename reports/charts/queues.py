"""Workers and queue against capacity: where requests wait, and for what."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reports.texts import shortened

from .faults import shade
from .style import ORANGE, SMALL, Look, NotApplicable, heading, legend_below, panels, signature, time_axis, title
from .tallies import intervals, level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

MOST_PANELS = 4
FINDING = ("the services nearest to their limits; the dotted line is all workers",
           "los servicios más cerca de su límite; la línea punteada son todos los trabajadores")
KEY = {"busy": ("workers busy", "trabajadores ocupados"), "queue": ("waiting in the queue", "esperando en la cola")}


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, nodes: Sequence[str] | None = None) -> None:
    """For each of *nodes* (by default the most pressed four) the busy workers, and upon them those who wait, summed over its instances."""
    from matplotlib.patches import Patch

    look = look or Look()
    chosen = list(nodes) if nodes else pressed(result)[:MOST_PANELS]
    if not chosen:
        raise NotApplicable("no gauge of busy workers was kept")
    rows = panels(ax, [1.0] * len(chosen), gap=0.09)
    for row, node in zip(rows, chosen, strict=True):
        _panel(row, look, result, node)
    time_axis(rows[-1], look, result)
    legend_below(rows[-1], [Patch(color=look.theme.line), Patch(color=ORANGE)], [look.words.pick(KEY[key]) for key in ("busy", "queue")])
    heading(rows[0], look, title(look, "queues"), look.words.pick(FINDING), lift=shade(rows, look, result))
    signature(rows[-1], look, result)


def pressed(result: RunResult) -> list[str]:
    """Nodes by how full they ever were: their highest share of busy workers plus waiting requests, highest first.

    Those without a limit come in only where no node has one.
    """
    pressure: dict[str, float] = {}
    for name, kind in zip(result.names.nodes, result.names.node_kinds, strict=True):
        busy = level(result, name, "busy")
        if kind == "workload" or busy is None:
            continue
        queue = level(result, name, "queue")
        load = float(busy[1].max()) + (float(queue[1].max()) if queue is not None else 0.0)
        pressure[name] = load / (capacity(result, name) or math.inf)
    limited = [name for name in pressure if capacity(result, name) is not None]
    return sorted(limited or pressure, key=lambda name: (-pressure[name], name))


def capacity(result: RunResult, node: str) -> int | None:
    """Workers of all instances together, or None if there is no limit."""
    about = result.description.get(node, {})
    workers, instances = about.get("workers"), about.get("instances", 1)
    if workers is None:
        return None
    count = instances if isinstance(instances, int) else len(instances)
    return int(workers) * count if int(workers) * count < 100_000 else None


def _panel(ax: Axes, look: Look, result: RunResult, node: str) -> None:
    found = level(result, node, "busy")
    if found is None:
        raise NotApplicable(f"no gauge of busy workers was kept for {node!r}")
    at, busy = found
    queue = level(result, node, "queue")
    x, base = intervals(at, busy)
    ax.fill_between(x, 0, base, color=look.theme.line, lw=0)
    top = base
    if queue is not None:
        top = base + intervals(*queue)[1]
        ax.fill_between(x, base, top, color=ORANGE, lw=0)
    limit = capacity(result, node)
    highest = float(top.max()) if len(top) else 0.0
    if limit is not None:
        ax.annotate(f"{look.words.number(limit)} {look.words('workers')}", (1, 1), (-4, -2), xycoords="axes fraction",
                    textcoords="offset points", ha="right", va="top", fontsize=SMALL - 1, color=look.theme.muted,
                    bbox={"fc": look.theme.paper, "ec": "none", "pad": 1, "alpha": 0.8})
        if limit < 4 * max(highest, 1):
            ax.axhline(limit, color=look.theme.ink, lw=1.2, ls=":")
            highest = max(highest, limit)
    ax.set_ylim(0, 1.25 * max(highest, 1.0))
    ax.set_ylabel(shortened(node, 16), rotation=0, ha="right", va="center", fontweight="bold", fontsize=SMALL)
    ax.yaxis.set_major_locator(_few_ticks())


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3, integer=True)
