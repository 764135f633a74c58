"""Attempts by number of the try: what was wanted, and what retries made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.telemetry.codes import SpanKind

from .faults import shade
from .style import ORANGE, PURPLE, VERMILLION, Look, NotApplicable, heading, headroom, legend, signature, time_axis, title
from .tallies import per_second, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult, Spans

TRIES = (("first try", "primer intento"), ("second", "segundo"), ("third", "tercero"), ("fourth and later", "cuarto y siguientes"))
FINDING = ("{edge}: {calls} calls made {attempts} attempts ({amplification}); worst {worst} at {at}",
           "{edge}: {calls} llamadas, {attempts} intentos ({amplification}); lo peor {worst} en {at}")
ALL = ("all edges that retry or hedge", "aristas con reintentos o duplicados")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, edge: str | None = None) -> None:
    """Attempts begun per second on *edge* (`orders->payments`), or on all edges where a call can make more than one."""
    look = look or Look()
    tries = attempts(result, edge)
    edges = time_edges(result.duration)
    time_axis(ax, look, result)
    rates = by_try(tries, edges)
    bottom = 0 * rates[0]
    entries = 0
    for rate, name, colour in zip(rates, TRIES, (look.theme.line, ORANGE, VERMILLION, PURPLE), strict=True):
        if rate.any():
            ax.fill_between(*steps(edges, bottom), steps(edges, bottom + rate)[1], color=colour, lw=0, label=look.words.pick(name))
            bottom, entries = bottom + rate, entries + 1
    ax.set_ylabel(look.words("attempts per second"))
    headroom(ax)
    legend(ax, entries)
    heading(ax, look, title(look, "attempts"), finding(rates, tries, edges, edge, look), lift=shade([ax], look, result))
    signature(ax, look, result)


def attempts(result: RunResult, edge: str | None) -> Spans:
    """ATTEMPT spans; NotApplicable where no call could make more than one."""
    tries = result.spans.of(SpanKind.ATTEMPT)
    if edge is not None:
        nodes = list(result.names.nodes)
        source, _, target = edge.partition("->")
        if source not in nodes or target not in nodes:
            raise NotApplicable(f"no call edge {edge!r}; write CALLER->CALLEE")
        tries = tries[(tries.node == nodes.index(source)) & (tries.peer == nodes.index(target))]
    if not len(tries):
        raise NotApplicable("no policy could make more than one attempt" + (f" on {edge}" if edge else ""))
    found: Spans = tries
    return found


def by_try(tries: Spans, edges: Any) -> list[Any]:
    """Rates of first, second, third and later attempts by the time of their start."""
    last = len(TRIES)
    return [per_second(tries.start[tries.attempt == number], edges) for number in range(1, last)] + [
        per_second(tries.start[tries.attempt >= last], edges)
    ]


def finding(rates: list[Any], tries: Spans, edges: Any, edge: str | None, look: Look) -> str:
    """How many attempts a call made over the run, and in the worst moment that had at least a tenth of the usual calls."""
    import numpy as np

    words = look.words
    calls = int((tries.attempt == 1).sum())
    total, first = sum(rates), rates[0]
    enough = first >= max(first.mean() / 10, 1e-12)
    factor = np.where(enough, total / np.where(enough, first, 1), 0)
    worst = int(factor.argmax())
    return words.pick(FINDING).format(
        edge=(edge or words.pick(ALL)).replace("->", "→"), calls=words.number(calls), attempts=words.number(len(tries)),
        amplification=f"×{words.number(len(tries) / max(calls, 1), 2)}", worst=f"×{words.number(float(factor[worst]), 2)}",
        at=words.seconds(float(edges[worst])))
