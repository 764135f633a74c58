"""Registry view against truth: which instances were alive, and which ones their callers believed to be.

Read from events: `instance.down` and `instance.up` {node, instance} are the truth; `registry.view` {node, caller, instances}
says what a caller (or, without `caller`, the registry itself) lists from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faults import shade
from .states import Stay, downtimes
from .style import GREEN, ORANGE, SKY, SMALL, VERMILLION, Look, NotApplicable, heading, legend_below, signature, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

VIEW = "registry.view"
MOST = 16
TITLE = ("{node}: instances as they were and as they were believed to be", "{node}: instancias reales y las que se creían vivas")
FINDING = ("dead and still listed for {stale}; alive and not listed for {missing} (summed over instances and views)",
           "caídas y aún listadas {stale}; vivas y no listadas {missing} (suma de instancias y vistas)")
KEY = (("alive", "viva"), ("down", "caída"), ("listed", "listada"), ("listed though down", "listada pero caída"))


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, node: str | None = None) -> None:
    """For each instance of *node* a thick bar of truth above a thin bar for each view of it."""
    from matplotlib.patches import Patch

    look = look or Look()
    node = node or _default(result)
    seen = views(result, node)
    if not seen:
        raise NotApplicable(f"nobody keeps a view of {node}: discovery is perfect")
    names = instances(result, node)[:MOST]
    dead = downtimes(result)
    everyone = list(seen)
    for row, name in enumerate(names):
        ax.barh(row - 0.22, result.duration, left=0, height=0.34, color=GREEN, lw=0)
        for stay in dead.get(name, []):
            ax.barh(row - 0.22, stay.until - stay.start, left=stay.start, height=0.34, color=VERMILLION, lw=0)
        for number, who in enumerate(everyone):
            height = 0.36 / len(everyone)
            y = row + 0.02 + (number + 0.5) * height
            for stay in seen[who].get(name, []):
                ax.barh(y, stay.until - stay.start, left=stay.start, height=height, color=SKY, lw=0)
                for wrong in overlaps([stay], dead.get(name, [])):
                    ax.barh(y, wrong.until - wrong.start, left=wrong.start, height=height, color=ORANGE, lw=0)
    ax.set_yticks(range(len(names)), names, fontsize=min(SMALL, 300 / len(names)))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    time_axis(ax, look, result)
    patches = [Patch(color=colour) for colour in (GREEN, VERMILLION, SKY, ORANGE)]
    legend_below(ax, patches, [look.words.pick(text) for text in KEY], columns=2)
    stale, missing = wrong_seconds(result, node)
    text = look.words.pick(FINDING).format(stale=look.words.seconds(stale), missing=look.words.seconds(missing))
    heading(ax, look, look.words.pick(TITLE).format(node=node), text, lift=shade([ax], look, result))
    signature(ax, look, result)


def views(result: RunResult, node: str) -> dict[str, dict[str, list[Stay]]]:
    """For each caller ("" is the registry) and instance: when it was listed. Nothing is listed before the first view."""
    found: dict[str, dict[str, list[Stay]]] = {}
    for event in result.events:
        if event["kind"] != VIEW or event["node"] != node:
            continue
        at, listed = float(event["at"]), set(event["instances"])
        mine = found.setdefault(str(event.get("caller") or ""), {})
        for name, stays in mine.items():
            if stays[-1].until > at and name not in listed:
                stays[-1] = Stay("listed", stays[-1].start, at)
        for name in sorted(listed):
            if name not in mine or mine[name][-1].until < result.duration:
                mine.setdefault(name, []).append(Stay("listed", at, result.duration))
    return found


def instances(result: RunResult, node: str) -> list[str]:
    """All names that were ever an instance of *node*, as the run knew them."""
    about = result.description.get(node, {}).get("instances", [])
    names = list(about) if not isinstance(about, int) else []
    for event in result.events:
        if event.get("node") == node and event["kind"] in ("instance.down", "instance.up", VIEW):
            names += [name for name in event.get("instances", [event.get("instance")]) if name]
    return list(dict.fromkeys(names))


def overlaps(one: list[Stay], other: list[Stay]) -> list[Stay]:
    """Where both hold."""
    touching = ((a, b) for a in one for b in other if a.start < b.until and b.start < a.until)
    return [Stay("both", max(a.start, b.start), min(a.until, b.until)) for a, b in touching]


def wrong_seconds(result: RunResult, node: str) -> tuple[float, float]:
    """(dead but listed, alive but not listed): seconds after each view began, summed over views and instances."""
    dead = downtimes(result)
    stale = missing = 0.0
    for listed in views(result, node).values():
        begun = min(stay.start for stays in listed.values() for stay in stays)
        for name in instances(result, node):
            both = sum(stay.until - stay.start for stay in overlaps(listed.get(name, []), dead.get(name, [])))
            alive = result.duration - begun - sum(stay.until - max(stay.start, begun) for stay in dead.get(name, []) if stay.until > begun)
            stale += both
            missing += max(0.0, alive - (sum(stay.until - stay.start for stay in listed.get(name, [])) - both))
    return stale, missing


def _default(result: RunResult) -> str:
    """The node with views that were wrong for the longest."""
    nodes = sorted({str(event["node"]) for event in result.events if event["kind"] == VIEW})
    if not nodes:
        raise NotApplicable("there is no registry: discovery is perfect")
    return max(nodes, key=lambda node: sum(wrong_seconds(result, node)))
