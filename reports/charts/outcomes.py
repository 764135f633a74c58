"""Outcomes per second: how many requests were answered, refused or lost, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.telemetry.codes import Outcome

from .faults import shade
from .style import OUTCOME_COLOURS, Look, NotApplicable, heading, headroom, legend, signature, time_axis, title
from .tallies import outcome_rates, per_second, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import Requests, RunResult

STACK = (Outcome.OK, Outcome.DEGRADED, Outcome.REJECTED, Outcome.FAILED)  # from the bottom


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, workload: str | None = None) -> None:
    """Stacked rates by the time at which a request ended; the dashed line is what was offered, by intended start."""
    look = look or Look()
    requests = of_workload(result, workload)
    time_axis(ax, look, result)
    entries = stack(ax, look, requests, result.duration)
    headroom(ax)
    legend(ax, entries)
    heading(ax, look, title(look, "outcomes"), finding(requests, look), lift=shade([ax], look, result))
    signature(ax, look, result)


def of_workload(result: RunResult, workload: str | None) -> Requests:
    """The requests of one workload, or of all; NotApplicable if there are none."""
    requests = result.requests
    if workload is not None:
        if workload not in result.names.workloads:
            raise NotApplicable(f"no workload {workload!r}; there are: {', '.join(result.names.workloads)}")
        requests = requests[requests.workload == list(result.names.workloads).index(workload)]
    if not len(requests):
        raise NotApplicable("no request was made")
    return requests


def stack(ax: Axes, look: Look, requests: Requests, duration: float) -> int:
    """Fill *ax* with the stacked rates; return how many entries its legend has."""
    edges = time_edges(duration)
    bottom = 0 * edges[1:]
    entries = 0
    for outcome in STACK:
        rates = outcome_rates(requests, edges)[outcome]
        if not rates.any():
            continue
        top = bottom + rates
        name = look.words(outcome.name.lower())
        ax.fill_between(*steps(edges, bottom), steps(edges, top)[1], color=OUTCOME_COLOURS[outcome], lw=0, label=name)
        bottom = top
        entries += 1
    ax.plot(*steps(edges, per_second(requests.intended, edges)), color=look.theme.ink, lw=1.2, ls=(0, (3, 2)), label=look.words("offered"))
    ax.set_ylabel(look.words("requests per second"))
    return entries + 1


def finding(requests: Requests, look: Look) -> str:
    """`36,000 requests: 97.5 % ok, 1.4 % failed, 1.1 % rejected`."""
    words, total = look.words, len(requests)
    parts = []
    for outcome in Outcome:
        count = int((requests.outcome == outcome).sum())
        if count:
            parts.append(f"{words.percent(count / total)} {words(outcome.name.lower())}")
    return f"{words.number(total)} {words('requests')}: {', '.join(parts)}"
