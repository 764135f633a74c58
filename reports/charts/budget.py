"""Retry budget: the share of retries among the calls, what was allowed, and what the budget refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .attempts import attempts
from .faults import shade
from .style import ORANGE, VERMILLION, Look, NotApplicable, heading, headroom, legend, panels, signature, time_axis
from .tallies import per_second, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

GAVE_UP = "retry.retry_gave_up"
TITLE = ("Retries and their budget: {edge}", "Reintentos y su presupuesto: {edge}")
FINDING = ("{retries} retries for {calls} calls ({share}); the budget refused {refused} more",
           "{retries} reintentos para {calls} llamadas ({share}); el presupuesto negó {refused} más")
SHARE = ("retries per call", "reintentos por llamada")
ALLOWED = ("allowed {share}", "permitido {share}")
MADE, REFUSED = ("made", "hechos"), ("refused by the budget", "negados por el presupuesto")
RATE = ("retries/s", "reintentos/s")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, edge: str | None = None) -> None:
    """Above, retries for each first try, bin by bin; below, retries made and refused. By default the edge with most refusals."""
    look = look or Look()
    edge = edge or most_refused(result)
    allowed, refusals = share_allowed(result, edge), refused(result, edge)
    if allowed is None and not refusals:
        raise NotApplicable(f"the retry on {edge} has no budget")
    tries = attempts(result, edge)
    edges = time_edges(result.duration, 90)
    first, again = per_second(tries.start[tries.attempt == 1], edges), per_second(tries.start[tries.attempt > 1], edges)
    share, rates = panels(ax, (1.3, 1.0), gap=0.07)
    time_axis(rates, look, result)
    share.set_xlabel("")
    share.plot(*steps(edges, ratio(again, first)), color=look.theme.line)
    if allowed is not None:
        name = look.words.pick(ALLOWED).format(share=look.words.percent(allowed, 0))
        share.axhline(allowed, color=look.theme.ink, ls=":", lw=1.5, label=name)
        legend(share, 1)
    share.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    share.set_ylabel(look.words.pick(SHARE))
    headroom(share, 0.25)
    denied = per_second(refusals, edges)
    rates.fill_between(*steps(edges, again), color=ORANGE, lw=0, label=look.words.pick(MADE))
    rates.fill_between(*steps(edges, again), steps(edges, again + denied)[1], color=VERMILLION, lw=0, label=look.words.pick(REFUSED))
    rates.set_ylabel(look.words.pick(RATE))
    headroom(rates, 0.3)
    legend(rates, 2)
    words, calls, retries = look.words, int((tries.attempt == 1).sum()), int((tries.attempt > 1).sum())
    text = words.pick(FINDING).format(retries=words.number(retries), calls=words.number(calls),
                                      share=words.percent(retries / max(calls, 1)), refused=words.number(len(refusals)))
    heading(share, look, words.pick(TITLE).format(edge=edge.replace("->", "→")), text, lift=shade([share, rates], look, result))
    signature(rates, look, result)


def ratio(part: Any, whole: Any) -> Any:
    """Bin by bin; NaN where there was no first try."""
    import numpy as np

    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def refused(result: RunResult, edge: str) -> list[float]:
    """When a retry was wanted and the budget had none left."""
    return [float(event["at"]) for event in result.events
            if event["kind"] == GAVE_UP and event.get("reason") == "budget" and event.get("edge") == edge]


def most_refused(result: RunResult) -> str:
    """The edge whose budget refused most, else any edge with a budget."""
    counts: dict[str, int] = {}
    for event in result.events:
        if event["kind"] == GAVE_UP and event.get("reason") == "budget":
            counts[str(event["edge"])] = counts.get(str(event["edge"]), 0) + 1
    if counts:
        return max(sorted(counts), key=lambda edge: counts[edge])
    for caller, service in result.scenario.get("services", {}).items():
        for callee in service.get("uses") or {}:
            if share_allowed(result, f"{caller}->{callee}") is not None:
                return f"{caller}->{callee}"
    raise NotApplicable("no retry has a budget")


def share_allowed(result: RunResult, edge: str) -> float | None:
    """The share that the scenario's budget on *edge* allows; None if it has none or one of another kind."""
    from sim.units import parse_share

    caller, _, callee = edge.partition("->")
    use = (result.scenario.get("services", {}).get(caller) or {}).get("uses", {}).get(callee) or {}
    for policy in use.get("policies") or []:
        share = ((policy.get("retry") or {}).get("budget") or {}).get("share")
        if share is not None:
            return parse_share(share) if isinstance(share, str) else float(share)
    return None
