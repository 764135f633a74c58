"""Breaker ribbons under the rates of their calls: when a circuit opened, what that saved and what it cost.

Source of the form: the graphs of Shopify's Semian, with a ribbon for each breaker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import SpanKind

from .faults import shade
from .outcomes import STACK
from .states import Stay, breakers, seconds_in
from .style import (
    GREEN,
    GREY,
    OUTCOME_COLOURS,
    SMALL,
    VERMILLION,
    YELLOW,
    Look,
    NotApplicable,
    heading,
    headroom,
    legend,
    legend_below,
    panels,
    signature,
    time_axis,
    title,
)
from .tallies import per_second, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import Requests, RunResult, Spans

MOST_RIBBONS = 12
REFUSED = "circuit_breaker.rejected"
COLOURS = {"closed": GREEN, "open": VERMILLION, "half_open": YELLOW, "forced_open": VERMILLION, "disabled": GREY, "metrics_only": GREY}
NAMES = {
    "closed": ("closed", "cerrado"), "half_open": ("half-open", "semiabierto"), "open": ("open", "abierto"),
    "forced_open": ("forced open", "abierto a mano"), "disabled": ("disabled", "desactivado"),
    "metrics_only": ("only measuring", "solo mide"),
}
FINDING = ("{edges}: opened {opened} times, open for {seconds} in all; it refused {refused} times",
           "{edges}: se abrió {opened} veces, abierto {seconds} en total; rechazó {refused} veces")
AXIS = ("calls per second", "llamadas por segundo")
MORE = ("and {count} more breakers", "y {count} cortacircuitos más")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, edge: str | None = None) -> None:
    """Rates of the calls over *edge* (`orders->payments`) or all edges whose breakers changed state, above a ribbon a breaker."""
    look = look or Look()
    found = {who: stays for who, stays in breakers(result).items() if edge in (None, who[0])}
    if not found:
        raise NotApplicable("no circuit breaker changed its state" if edge is None else f"no circuit breaker of {edge} changed its state")
    shown = dict(sorted(found.items(), key=lambda item: (-seconds_in(item[1], "open"), item[0]))[:MOST_RIBBONS])
    ribbons = sorted(shown)
    names = sorted({name for name, _ in found})
    calls = calls_over(result, names)
    share = 0.1 + 0.055 * len(ribbons)
    rates, states = panels(ax, (1 - share, share), gap=0.05)
    time_axis(states, look, result)
    rates.set_xlabel("")
    entries = stack(rates, look, calls, result.duration)
    headroom(rates)
    legend(rates, entries)
    _ribbons(states, look, [(label(who, len(names)), shown[who]) for who in ribbons])
    text = finding(result, found, names, look)
    hidden = len(found) - len(shown)
    heading(rates, look, title(look, "breakers"), text + (f"; {look.words.pick(MORE).format(count=hidden)}" if hidden else ""),
            lift=shade([rates, states], look, result))
    signature(states, look, result)


def label(who: tuple[str, str], edges: int) -> str:
    """The instance is enough where all ribbons belong to one edge."""
    return who[1] or who[0] if edges == 1 else f"{who[1]}→{who[0].split('->')[-1]}"


def calls_over(result: RunResult, names: list[str]) -> Spans:
    """Client spans of these edges."""
    import numpy as np

    calls = result.spans.of(SpanKind.CLIENT)
    nodes = list(result.names.nodes)
    keep = np.zeros(len(calls), dtype=bool)
    for name in names:
        source, target = name.split("->")
        keep |= (calls.node == nodes.index(source)) & (calls.peer == nodes.index(target))
    found: Spans = calls[keep]
    return found


def stack(ax: Axes, look: Look, calls: Requests | Spans, duration: float) -> int:
    """Stacked rates by outcome, by the time of the end; return how many entries the legend has."""
    edges = time_edges(duration)
    bottom: Any = 0 * edges[1:]
    entries = 0
    for outcome in STACK:
        rates = per_second(calls.end[calls.outcome == outcome], edges)
        if rates.any():
            top = bottom + rates
            name = look.words(outcome.name.lower())
            ax.fill_between(*steps(edges, bottom), steps(edges, top)[1], color=OUTCOME_COLOURS[outcome], lw=0, label=name)
            bottom, entries = top, entries + 1
    ax.set_ylabel(look.words.pick(AXIS))
    return entries


def _ribbons(ax: Axes, look: Look, ribbons: list[tuple[str, list[Stay]]]) -> None:
    from matplotlib.patches import Patch

    for row, (_, stays) in enumerate(ribbons):
        for stay in stays:
            ax.barh(row, stay.until - stay.start, left=stay.start, height=0.7, color=COLOURS[stay.state], lw=0,
                    hatch="//" if stay.state == "half_open" else None, edgecolor=look.theme.paper)
            if stay.state == "open":
                ax.plot([stay.start] * 2, [row - 0.45, row + 0.45], color=look.theme.ink, lw=1.0)
    ax.set_yticks(range(len(ribbons)), [name for name, _ in ribbons], fontsize=min(SMALL, 110 / len(ribbons)))
    ax.set_ylim(len(ribbons) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    seen = [state for state in NAMES if any(stay.state == state for _, stays in ribbons for stay in stays)]
    legend_below(ax, [Patch(color=COLOURS[state]) for state in seen], [look.words.pick(NAMES[state]) for state in seen])


def finding(result: RunResult, found: dict[tuple[str, str], list[Stay]], names: list[str], look: Look) -> str:
    """Openings, seconds open and refusals; a refused call may still have been answered by a fallback or a retry."""
    opened = sum(stay.state == "open" for stays in found.values() for stay in stays)
    seconds = sum(seconds_in(stays, "open") for stays in found.values())
    refused = sum(event["kind"] == REFUSED and event["edge"] in names for event in result.events)
    edges = names[0].replace("->", "→") if len(names) == 1 else f"{len(names)} {look.words.pick(('edges', 'aristas'))}"
    return look.words.pick(FINDING).format(edges=edges, opened=look.words.number(opened), seconds=look.words.seconds(seconds),
                                           refused=look.words.number(refused))
