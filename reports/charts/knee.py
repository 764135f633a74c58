"""The knee: response time against utilisation, with the curve that queueing theory draws. Latency sneaks up, then jumps.

The curve is M/M/c's mean response time with the measured mean service time, c being one instance's workers.
Source: Kleinrock, *Queueing Systems I*, eq. 3.40 (Erlang C).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.texts import shortened
from sim.telemetry.codes import Outcome, SpanKind

from .queues import capacity
from .style import LONGEST_NAME, Look, NotApplicable, heading, signature
from .tallies import level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

WINDOWS = 60
STEEP = 20  # times the service time
TITLE = ("Response time against utilisation: {node}", "Tiempo de respuesta y utilización: {node}")
FINDING = ("dots: {what}; line: M/M/{servers} with the measured service time of {service}",
           "puntos: {what}; línea: M/M/{servers} con el tiempo de servicio medido de {service}")
ONE, MANY = ("windows of {width} of this run", "ventanas de {width} de esta ejecución"), ("one for each run", "uno por ejecución")
AXIS = ("utilisation (share of workers busy)", "utilización (proporción de trabajadores ocupados)")
MEAN = ("mean time in the service", "tiempo medio en el servicio")


def draw(result: RunResult, ax: Axes, *, look: Look | None = None, node: str | None = None, runs: Sequence[RunResult] = ()) -> None:
    """Windows of one run after its warm-up, or one point for each of *runs* (a sweep over the load)."""
    import numpy as np

    look = look or Look()
    node = node or fullest(result)
    if runs:
        points = [whole_run(run, node) for run in (result, *runs)]
        utilisation, response = np.array(points).T
        what = look.words.pick(MANY)
    else:
        utilisation, response, width = windows(result, node)
        what = look.words.pick(ONE).format(width=look.words.seconds(width))
    servers, service = int(result.description[node]["workers"]), service_time(result, node)
    rho = np.linspace(0, 0.995, 300)
    ax.plot(rho, [1000 * mmc_response(servers, one, service) for one in rho], color=look.theme.ink, lw=1.5, ls="--", zorder=2)
    ax.scatter(utilisation, 1000 * response, s=46, color=look.theme.line, alpha=0.8, lw=0, zorder=3)
    ax.set_xlim(0, 1.02)
    highest = max(float(response.max()), 1.5 * service)
    ax.set_ylim(0, 1250 * highest)
    if highest > STEEP * service:  # an overloaded part would press all else to the floor
        ax.set_yscale("log")
        ax.set_ylim(500 * min(service, float(response.min())), 1500 * highest)
        ax.yaxis.set_major_formatter(lambda value, _: look.words.short(value))
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    ax.set_xlabel(look.words.pick(AXIS))
    ax.set_ylabel(f"{look.words.pick(MEAN)} (ms)")
    found = look.words.pick(FINDING).format(what=what, servers=servers, service=look.words.seconds(service))
    heading(ax, look, look.words.pick(TITLE).format(node=shortened(node, LONGEST_NAME)), found)
    signature(ax, look, result)


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits in M/M/c; *load* is in erlangs, below *servers*."""
    inverse = 1.0  # of Erlang B, built up one server at a time, which does not overflow
    if load == 0:
        return 0.0
    for count in range(1, servers + 1):
        inverse = 1.0 + inverse * count / load
    blocked = 1.0 / inverse
    return blocked / (1 - load / servers * (1 - blocked))


def mmc_response(servers: int, utilisation: float, service: float) -> float:
    """Mean time in M/M/c, in the unit of *service*."""
    return service * (1 + erlang_c(servers, servers * utilisation) / (servers * (1 - utilisation)))


def fullest(result: RunResult) -> str:
    """The node with the highest mean utilisation of those with a bound number of workers."""
    loads = {}
    for name in result.description:
        busy, limit = level(result, name, "busy"), capacity(result, name)
        if busy is not None and limit is not None:
            loads[name] = float(busy[1].mean()) / limit
    if not loads:
        raise NotApplicable("no node with a bound number of workers has a gauge of the busy ones")
    return max(sorted(loads), key=lambda name: loads[name])


def service_time(result: RunResult, node: str) -> float:
    """Mean seconds that a worker was held by a request that was served."""
    served = _served(result, node)
    return float((served.duration - served.queued).mean())


def windows(result: RunResult, node: str) -> tuple[Any, Any, float]:
    """(utilisation, mean seconds in the node, width in seconds) of windows after the warm-up in which requests ended."""
    import numpy as np

    busy, limit = level(result, node, "busy"), capacity(result, node)
    if busy is None or limit is None:
        raise NotApplicable(f"{node} has no gauge of busy workers, or no bound on them")
    served = _served(result, node)
    edges = np.linspace(result.warmup, result.duration, WINDOWS + 1)
    at, values = busy
    spans = np.diff(at, prepend=0.0)  # each sample stands for the time since the one before
    weight = np.histogram(at, edges, weights=spans)[0]
    used = np.histogram(at, edges, weights=values * spans)[0]
    count = np.histogram(served.end, edges)[0]
    total = np.histogram(served.end, edges, weights=served.duration)[0]
    good = (count > 0) & (weight > 0)
    if not good.any():
        raise NotApplicable(f"{node} served no request after the warm-up")
    return used[good] / weight[good] / limit, total[good] / count[good], float(edges[1] - edges[0])


def whole_run(result: RunResult, node: str) -> tuple[float, float]:
    """(utilisation, mean seconds in the node) of a run, as in its summary."""
    figures = result.summary["services"][node]
    return float(figures["utilisation"]), float(figures["latency_s"]["mean"])


def _served(result: RunResult, node: str) -> Any:
    spans = result.spans.of(SpanKind.SERVER)
    mine = spans[(spans.node == list(result.names.nodes).index(node)) & (spans.outcome != Outcome.REJECTED)]
    if not len(mine):
        raise NotApplicable(f"{node} served no request")
    return mine
