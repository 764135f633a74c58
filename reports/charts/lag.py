"""Broker lag: messages that were published and not yet handled, under the rates of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.telemetry.codes import SpanKind

from .faults import shade
from .style import ORANGE, Look, NotApplicable, heading, headroom, legend, panels, signature, time_axis
from .tallies import intervals, per_second, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

TITLE = ("Messages waiting in {broker}", "Mensajes en espera en {broker}")
FINDING = ("longest backlog {most} at {at}, {last} at the end; {published} published, {handled} deliveries handled",
           "mayor retraso {most} en {at}, {last} al final; {published} publicados, {handled} entregas atendidas")
PUBLISHED, HANDLED = ("published", "publicados"), ("handled", "atendidos")
LAG = ("messages waiting", "mensajes en espera")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, broker: str | None = None) -> None:
    """The `lag` gauges of *broker* (default: the first that has one), a line for each consumer; above them messages per second."""
    look = look or Look()
    broker = broker or _first(result)
    lines = [(who, series) for name, who, measure in result.names.gauges
             if name == broker and measure == "lag" and (series := result.series(name, "lag", who)) is not None and len(series.at)]
    if not lines:
        raise NotApplicable(f"{broker} has no gauge of its lag")
    rates, waiting = panels(ax, (1.0, 1.3), gap=0.07)
    time_axis(waiting, look, result)
    rates.set_xlabel("")
    edges = time_edges(result.duration)
    index = list(result.names.nodes).index(broker)
    published = result.spans.of(SpanKind.PRODUCER)
    handled = result.spans.of(SpanKind.CONSUMER)
    published, handled = published[published.peer == index], handled[handled.peer == index]
    rates.plot(*steps(edges, per_second(published.end, edges)), color=look.theme.line, label=look.words.pick(PUBLISHED))
    rates.plot(*steps(edges, per_second(handled.end, edges)), color=ORANGE, lw=1.5, label=look.words.pick(HANDLED))
    rates.set_ylabel(look.words("messages per second"))
    headroom(rates, 0.3)
    legend(rates, 2)
    for number, (who, series) in enumerate(lines):
        waiting.plot(*intervals(series.at, series.max), color=look.series(number), label=who or broker)
    waiting.set_ylabel(look.words.pick(LAG))
    headroom(waiting, 0.25)
    if len(lines) > 1:
        legend(waiting, len(lines))
    top = max((series for _, series in lines), key=lambda series: float(series.max.max()))
    words, peak = look.words, int(top.max.argmax())
    groups = ((result.summary.get("brokers") or {}).get(broker) or {}).get("groups") or {}
    left = sum(group["lag"] for group in groups.values()) if groups else sum(float(series.mean[-1]) for _, series in lines)
    text = words.pick(FINDING).format(
        most=words.number(float(top.max[peak])), at=words.seconds(float(top.at[peak])),
        last=words.number(left), published=words.number(len(published)),
        handled=words.number(len(handled)))
    heading(rates, look, words.pick(TITLE).format(broker=broker), text, lift=shade([rates, waiting], look, result))
    signature(waiting, look, result)


def _first(result: RunResult) -> str:
    for name, _, measure in result.names.gauges:
        if measure == "lag":
            return name
    raise NotApplicable("no broker is in this run, or none keeps a gauge of its lag")
