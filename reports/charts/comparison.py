"""Two variants on the same seeds: a rate or a percentile over time with confidence bands, and their difference.

With common random numbers both variants meet the same arrivals, so the difference of the pairs is far more certain than
either curve. Source: Law, *Simulation Modeling and Analysis*, 5th ed., 10.2 and 11.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.texts import told_apart
from sim.telemetry.codes import Outcome

from .faults import shade
from .spread import mean_and_half_width
from .style import LONGEST_NAME, Look, NotApplicable, heading, headroom, legend, panels, signature, time_axis
from .tallies import per_second, quantiles_over_time, steps, time_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.telemetry.result import RunResult

MOST_BINS = 60
MEASURES = {
    "goodput": ("goodput (requests/s)", "peticiones útiles/s"),
    "failed": ("failed or refused requests/s", "peticiones fallidas o rechazadas/s"),
    "p50": ("median latency (ms)", "latencia mediana (ms)"),
    "p99": ("p99 latency (ms)", "latencia p99 (ms)"),
}
TITLE = ("{first} and {second} on the same seeds", "{first} y {second} con las mismas semillas")
FINDING = ("mean of {pairs} paired runs with 95 % bands; {second} minus {first}: {difference} ± {half} on average {when}",
           "media de {pairs} pares de ejecuciones con bandas del 95 %; {second} menos {first}: {difference} ± {half} de media {when}")
WHEN = (("over the run", "en toda la ejecución"), ("after the warm-up", "tras el calentamiento"))
WINDOWS = (", in windows of {width}", ", en ventanas de {width}")  # of percentiles: that of the run is another one
DIFFERENCE = ("difference", "diferencia")


def draw(groups: Mapping[str, Sequence[RunResult]], ax: Axes, *, look: Look | None = None, measure: str = "goodput") -> None:
    """*groups* are two names with their runs, of which those with equal seeds are pairs; *measure* is one of MEASURES."""
    look = look or Look()
    names, pairs = paired(groups)
    first, second = told_apart(names, LONGEST_NAME)
    shortest = min((run for pair in pairs for run in pair), key=lambda run: run.duration)
    edges = time_edges(shortest.duration, MOST_BINS)
    curves = [[over_time(pair[side], measure, edges) for pair in pairs] for side in (0, 1)]
    above, below = panels(ax, (1.7, 1.0), gap=0.07)
    time_axis(below, look, shortest)
    above.set_xlabel("")
    for index, (name, rows) in enumerate(zip((first, second), curves, strict=True)):
        _band(above, edges, rows, look.series(index), name)
    above.set_ylabel(look.words.pick(MEASURES[measure]))
    headroom(above, 0.22)
    legend(above, 2)
    differences = [b - a for a, b in zip(*curves, strict=True)]
    below.axhline(0, color=look.theme.muted, lw=1)
    _band(below, edges, differences, look.theme.ink, "")
    below.set_ylabel(look.words.pick(DIFFERENCE))
    text = finding(first, second, differences, edges, look, measure, shortest.warmup)
    heading(above, look, look.words.pick(TITLE).format(first=first, second=second), text, lift=shade([above, below], look, shortest))
    signature(below, look, pairs[0][0])


def paired(groups: Mapping[str, Sequence[RunResult]]) -> tuple[tuple[str, str], list[tuple[RunResult, RunResult]]]:
    """The two names, and the runs with equal seeds."""
    if len(groups) != 2:
        raise NotApplicable(f"a comparison takes two variants, not {len(groups)}")
    first, second = groups
    by_seed = {run.seed: run for run in groups[second]}
    pairs = [(run, by_seed[run.seed]) for run in groups[first] if run.seed in by_seed]
    if len(pairs) < 2:
        raise NotApplicable("bands need at least two seeds that both variants have run")
    return (first, second), pairs


def over_time(result: RunResult, measure: str, edges: Any) -> Any:
    """One run's curve. Rates are by the time of the end, and goodput is without degraded answers, as in a summary; percentiles are by the
    intended start, in ms."""
    done = result.requests.finished
    if measure == "goodput":
        return per_second(done.end[done.outcome == Outcome.OK], edges)
    if measure == "failed":
        return per_second(done.end[(done.outcome != Outcome.OK) & (done.outcome != Outcome.DEGRADED)], edges)
    return 1000 * quantiles_over_time(done.intended, done.latency, edges, [float(measure.removeprefix("p")) / 100])[0]


def _band(ax: Axes, edges: Any, rows: Sequence[Any], colour: str, name: str) -> None:
    mean, half = mean_and_half_width(rows)
    x, middle = steps(edges, mean)
    ax.fill_between(x, steps(edges, mean - half)[1], steps(edges, mean + half)[1], color=colour, alpha=0.25, lw=0)
    ax.plot(x, middle, color=colour, label=name or None)


def finding(first: str, second: str, differences: Sequence[Any], edges: Any, look: Look, measure: str, warmup: float) -> str:
    """The mean difference after the warm-up, weighted by time, with its 95 % interval over the pairs."""
    import numpy as np

    weights = np.diff(np.maximum(edges, warmup))
    whole = [[float(np.nansum(row * weights) / np.sum(weights[~np.isnan(row)]))] for row in differences]
    mean, half = mean_and_half_width(whole)
    words = look.words
    unit = " ms" if measure.startswith("p") else "/s"
    difference, spread = (f"{words.short(float(part[0]))}{unit}".replace("-", "−") for part in (mean, half))
    windows = words.pick(WINDOWS).format(width=words.seconds(float(edges[1] - edges[0]))) if measure.startswith("p") else ""
    return words.pick(FINDING).format(pairs=len(differences), first=first, second=second, difference=difference, half=spread,
                                      when=words.pick(WHEN[warmup > 0]) + windows)
