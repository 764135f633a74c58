"""A sweep: one measure against what was varied. One thing varied gives a line, two give lines or a map with borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from reports.texts import told_apart

from .spread import figures_at, mean_and_half_width
from .style import LONGEST_NAME, SMALL, Look, NotApplicable, heading, legend, side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.lab.sweep import Cell

MOST_LINES = 7
ROOM = 100  # characters below the axes, or in a legend
WIDE = 50  # from the least to the most: colours are then logarithmic
FINDING = ("{cells} cells of {seeds}; bands: 95 % of the mean over seeds",
           "{cells} celdas de {seeds}; bandas: 95 % de la media entre semillas")
MAP_FINDING = ("{cells} cells of {seeds}, mean over seeds", "{cells} celdas de {seeds}, media entre semillas")
SEEDS = (("1 seed", "1 semilla"), ("{count} seeds", "{count} semillas"))


def draw(cells: Sequence[Cell], ax: Axes, *, measure: str, look: Look | None = None, form: Literal["auto", "lines", "map"] = "auto",
         border: float | None = None, title: str | None = None) -> None:
    """*measure* is a path in the summary, `workloads.shoppers.latency_s.p99`; *border* is a value that a map draws a line at."""
    look = look or Look()
    if not cells:
        raise NotApplicable("the sweep has no finished cell")
    paths = [path for path in cells[0].varied if len({repr(cell.varied[path]) for cell in cells}) > 1] or list(cells[0].varied)[:1]
    if len(paths) > 2:
        raise NotApplicable(f"a chart shows two varied things, this sweep has {len(paths)}: {', '.join(paths)}")
    axes = [ordered(cells, path) for path in paths]
    table = tabulate(cells, paths, axes, measure)
    as_map = form == "map" or (form == "auto" and len(paths) == 2 and min(map(len, axes)) >= 4)
    if as_map and len(paths) == 2:
        _map(ax, look, paths, axes, table, measure, border)
    else:
        _lines(ax, look, paths, axes, table, measure)
    seeds = len({cell.seed for cell in cells})
    how_many = look.words.pick(SEEDS[seeds > 1]).format(count=seeds)
    text = look.words.pick(MAP_FINDING if as_map else FINDING).format(cells=table[..., 0].size, seeds=how_many)
    heading(ax, look, title or named(measure), text)


def named(measure: str) -> str:
    """`shoppers: latency p99` for `workloads.shoppers.latency_s.p99`."""
    name, _, figure = measure.partition(".")[2].partition(".")
    words = figure.replace("latency_s", "latency").replace("_s.", ".").replace("_rps", "").replace(".", " ").replace("_", " ")
    return f"{name}: {words}" if figure else measure


def ordered(cells: Sequence[Cell], path: str) -> list[Any]:
    """The values of *path*: numbers (with or without a unit) by size, words as they came."""
    values = list(dict.fromkeys(cell.varied[path] for cell in cells))
    numbers = [number_of(value) for value in values]
    return values if None in numbers else [value for _, value in sorted(zip(numbers, values, strict=True), key=lambda pair: pair[0] or 0.0)]


def number_of(value: Any) -> float | None:
    """The number in `8`, `250ms`, `40/s`, `5%`, `64KiB`; None for a word."""
    from sim.units import parse_bandwidth, parse_duration, parse_rate, parse_share, parse_size

    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    for parse in (parse_duration, parse_rate, parse_share, parse_size, parse_bandwidth, float):
        try:
            return float(parse(str(value)))
        except ValueError:
            continue
    return None


def tabulate(cells: Sequence[Cell], paths: Sequence[str], axes: Sequence[Sequence[Any]], measure: str) -> Any:
    """An array [first value, (second value,) seed] of the measure; NaN where a cell has not run."""
    import numpy as np

    seeds = sorted({cell.seed for cell in cells})
    table = np.full([*map(len, axes), len(seeds)], np.nan)
    for cell, value in zip(cells, figures_at((cell.summary for cell in cells), measure), strict=True):
        place = [list(axis).index(cell.varied[path]) for axis, path in zip(axes, paths, strict=True)]
        table[(*place, seeds.index(cell.seed))] = value
    return table


def _lines(ax: Axes, look: Look, paths: Sequence[str], axes: Sequence[Sequence[Any]], table: Any, measure: str) -> None:
    import numpy as np

    numbers = [number_of(value) for value in axes[0]]
    known = None not in numbers and len(set(numbers)) > 1
    x = np.array(numbers, dtype=float) if known else np.arange(len(axes[0]), dtype=float)
    names = [""] if len(paths) == 1 else _shown(axes[1][:MOST_LINES])
    groups = [(name, table if len(paths) == 1 else table[:, index]) for index, name in enumerate(names)]
    most = 1.0 if look.words.is_share(measure) else np.inf
    for index, (name, rows) in enumerate(groups):
        mean, half = mean_and_half_width(np.moveaxis(rows, -1, 0))
        ax.plot(x, mean, "o-", ms=5, color=look.series(index), label=name or None)
        ax.fill_between(x, np.maximum(mean - half, 0.0), np.minimum(mean + half, most), color=look.series(index), alpha=0.25, lw=0)
    if known and (x > 0).all() and x.max() / x.min() >= 50:
        ax.set_xscale("log")
    ax.set_xticks(x, _shown(axes[0]))
    ax.minorticks_off()
    ax.set_xlabel(paths[0])
    _value_axis(ax.yaxis, look, measure)
    if len(groups) > 1:
        top = float(np.nanmax(table)) if not np.isnan(table).all() else 1.0
        ax.set_ylim(min(0.0, float(np.nanmin(table))), top * 1.25 or 1.0)
        ax.set_yticks([tick for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= min(most, ax.get_ylim()[1])])
        legend(ax, len(groups))
        key = ax.get_legend()
        assert key is not None
        key.set_title(paths[1])
        key.set_alignment("left")


def _shown(values: Sequence[Any]) -> list[str]:
    """The values side by side, as long as there is room for."""
    return told_apart(list(map(str, values)), max(8, ROOM // len(values) - 2))


def _map(ax: Axes, look: Look, paths: Sequence[str], axes: Sequence[Sequence[Any]], table: Any, measure: str, border: float | None) -> None:
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize

    mean, _ = mean_and_half_width(np.moveaxis(table, -1, 0))
    across, up = (np.arange(len(axis) + 1) - 0.5 for axis in axes)
    low, high = float(np.nanmin(mean)), float(np.nanmax(mean))
    norm = LogNorm(low, high) if low > 0 and high > WIDE * low else Normalize(low, high)
    mesh = ax.pcolormesh(across, up, np.ma.masked_invalid(mean.T), cmap=look.theme.heat_map, norm=norm)
    ax.grid(False)
    if border is not None and low < border < high:
        ax.contour(np.arange(len(axes[0])), np.arange(len(axes[1])), mean.T, levels=[border], colors=[look.theme.alarm], linewidths=2.5)
    if mean.size <= 120:
        for (column, row), value in np.ndenumerate(mean):
            dark = (norm(value) > 0.5) == (look.theme.name == "light")
            ax.text(column, row, look.words.figure(measure, float(value)), ha="center", va="center", fontsize=SMALL - 1,
                    color="#FFFFFF" if dark else "#1F2328")
    ax.set_xticks(range(len(axes[0])), _shown(axes[0]))
    ax.set_yticks(range(len(axes[1])), told_apart(list(map(str, axes[1])), LONGEST_NAME))
    ax.set_xlabel(paths[0])
    ax.set_ylabel(paths[1])
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(mesh, cax=side(ax))
    bar.outline.set_visible(False)
    _value_axis(bar.ax.yaxis, look, measure)
    bar.ax.yaxis.set_label_text("")


def _value_axis(axis: Any, look: Look, measure: str) -> None:
    axis.set_major_formatter(lambda value, _: look.words.figure(measure, value))
    axis.set_label_text(named(measure))

