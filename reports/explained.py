"""What `mesocosm explain` prints: the reckoning of a scenario as two tables and a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from reports.texts import Words
from sim.scenario.reckoning import EdgeCost, Reckoning, ServiceLoad

NO_TIME = 1e-7  # seconds; a shorter wait is none
SERVICE_HEADS = ("", "offered/s", "holds", "waits", "busy", "of", "used", "at worst")
CALL_HEADS = ("", "calls/s", "attempts", "longest", "policies, outermost first")


def explained(title: str, reckoning: Reckoning, lang: str = "en") -> Iterator[str]:
    """Lines of text."""
    words = Words(lang)
    code = [load.name for load in reckoning.services if not load.known]
    unsure = {callee for caller, _, callee in (edge.name.partition("->") for edge in reckoning.edges) if caller in code}
    unsure |= {load.name for load in reckoning.services if code and not load.rate}  # whom only code may call
    yield f"{title}: what arithmetic says before anything runs. Retries, faults and cache misses are not in the loads."
    yield ""
    yield ("SERVICES  requests, how long each holds a worker and waits for one (M/M/c; Allen-Cunneen), workers busy; "
           "arrivals per user request at worst")
    yield from _table(SERVICE_HEADS, [_service_row(load, load.name in unsure, words) for load in reckoning.services], left=1)
    yield ""
    yield "CALLS  attempts and time that one call costs at worst"
    calls = [_call_row(edge, edge.name.partition("->")[0] in code, words) for edge in reckoning.edges]
    yield from _table(CALL_HEADS, calls, left=1, last_left=True)
    for edge in reckoning.edges:
        for warning in edge.warnings:
            yield f"  warning: {edge.name}: {warning}"
    yield ""
    yield _verdict(reckoning, words)
    if code:
        yield f"what the code of {len(code)} service{'s' * (len(code) > 1)} calls is known in a run only: where it says +, more may come"


def _service_row(load: ServiceLoad, unsure: bool, words: Words) -> tuple[str, ...]:
    name = load.name if load.kind == "service" else f"{load.name} ({load.kind})"
    if not load.known:
        return (name, _rate(load.rate, unsure, words), "its code", "decides", "", _workers(load.workers), "", _times(load.worst_arrivals))
    used = load.utilisation
    wait = "" if load.wait is None else "for ever" if load.wait == math.inf else words.seconds(load.wait if load.wait > NO_TIME else 0.0)
    if unsure and not load.rate:
        return (name, "+", "", "", "", _workers(load.workers), "", _times(load.worst_arrivals))
    return (name, _rate(load.rate, unsure, words), words.seconds(load.time), wait, words.short(load.busy), _workers(load.workers),
            words.percent(used) if used is not None else "", _times(load.worst_arrivals))


def _rate(rate: float, unsure: bool, words: Words) -> str:
    """A rate, or a part of it, where code may send more."""
    return words.short(rate) if not unsure else f"{words.short(rate)} +" if rate else "+"


def _call_row(edge: EdgeCost, unsure: bool, words: Words) -> tuple[str, ...]:
    longest = words.seconds(edge.latency) if math.isfinite(edge.latency) else "no limit"
    return (edge.name, _rate(edge.rate, unsure, words), _times(edge.attempts), longest, " > ".join(edge.policies) or "none")


def _times(number: float) -> str:
    return "no limit" if not math.isfinite(number) else f"x{number:g}" if number else ""


def _workers(number: float) -> str:
    return f"{number:,.0f}" if math.isfinite(number) else "any"


def _verdict(reckoning: Reckoning, words: Words) -> str:
    if reckoning.bottleneck is None:
        return "nothing that arithmetic knows of is loaded"
    if reckoning.headroom < 1:
        return f"{reckoning.bottleneck} is overloaded: it can serve {words.percent(reckoning.headroom)} of what is asked of it"
    return f"{reckoning.bottleneck} is the first bottleneck: it saturates at {words.short(reckoning.headroom)} times this load"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int, last_left: bool = False) -> Iterator[str]:
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, *rows]:
        cells = [cell.ljust(width) if column < left or (last_left and column == len(heads) - 1) else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        yield ("  " + "  ".join(cells)).rstrip()
