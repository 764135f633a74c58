"""What `mesocosm sweep` and `mesocosm compare` do around the runs: load, tell how far they are, write files and charts, print tables."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from reports.aligned import aligned
from reports.charts.spread import NoFigure, figure_at, figures_at, mean_and_half_width, t_975
from reports.export.manifest import version
from reports.texts import Texts, Words, shortened, told_apart
from sim.errors import InvalidInput
from sim.lab.compare import compare
from sim.lab.pool import Crew, finished
from sim.lab.run import run
from sim.lab.sweep import Cell, combinations, sweep
from sim.mistakes import did_you_mean
from sim.model.loading import OURS
from sim.scenario.documents import load_document
from sim.scenario.load import load_scenario
from sim.scenario.overrides import Patch, set_option, variant_names
from sim.scenario.problems import Collected, Place, Source, refuse
from sim.scenario.scenario import Scenario

TEXTS: dict[str, tuple[str, str]] = {  # key: English, Spanish
    "interrupted": ("interrupted: {done} of {whole} cells lie in {place}; the same command goes on from there",
                    "interrumpido: hay {done} de {whole} celdas en {place}; la misma orden sigue desde ahí"),
    "runs": ("{count} runs", "{count} ejecuciones"),
    "table": ("table", "tabla"),
    "charts": ("charts", "gráficas"),
    "figures": ("figures", "cifras"),
    "no figure": ("none: no figure has values to draw", "ninguna: ninguna cifra tiene valores que dibujar"),
    "nothing": ("none: there is nothing to draw", "ninguna: no hay nada que dibujar"),
    "again": ("{name} again", "{name} otra vez"),
    "held": ("runs that held all checks", "ejecuciones que cumplen todo"),
    "of": ("{held} of {count}", "{held} de {count}"),
    "against": ("{scenario}: {first} against {second}, {count} pairs on the same seeds; means with 95 % intervals",
                "{scenario}: {first} frente a {second}, {count} pares con las mismas semillas; medias con intervalos del 95 %"),
    "difference": ("difference", "diferencia"),
    "differs": ("differs", "difiere"),
    "the same": ("{first} and {second} are the same scenario: with the same seeds nothing can differ",
                 "{first} y {second} son el mismo escenario: con las mismas semillas nada puede diferir"),
    "one run": ("one run of each says nothing about chance: with --seeds {enough} or more there are intervals",
                "una sola ejecución no dice nada del azar: con --seeds {enough} o más hay intervalos"),
    "few": ("{seeds} seeds say little: with as much spread, --seeds {five} would make the intervals {less} times narrower, "
            "--seeds {ten} {least} times",
            "{seeds} semillas dicen poco: con la misma dispersión, --seeds {five} haría los intervalos {less} veces más estrechos y "
            "--seeds {ten}, {least} veces"),
    "cells done": ("{done} of {whole} cells", "{done} de {whole} celdas"),
    "runs done": ("{done} of {whole} runs", "{done} de {whole} ejecuciones"),
}
FIGURES = ("success_ratio", "goodput_rps", "latency_s.p50", "latency_s.p99")  # of every workload, where nothing else is asked for
INSTANT = 1e-3  # seconds
SHORT, LONGEST_NAME = 20, 40  # characters of a head or a value, and of a figure's name, in a table


@dataclass(frozen=True)
class Given:
    """What both commands load: a scenario file with its plans, overrides and seeds."""

    path: str
    plans: Sequence[str]
    overrides: Sequence[str]
    duration: str | None
    seed: int | None
    seeds: int
    jobs: int
    backend: str = "local"  # or dask
    scheduler: str | None = None  # of dask: its address
    lang: str = "en"

    @property
    def texts(self) -> Texts:
        """What there is to say, in the language asked for."""
        return Texts(Words(self.lang), TEXTS)

    @property
    def crew(self) -> Crew[Any, Any]:
        """Who runs the cells of a sweep."""
        if self.scheduler is not None and self.backend != "dask":
            raise InvalidInput(f"--scheduler {self.scheduler}: it is one of dask\n    add --backend dask")
        if self.backend == "dask":
            from sim.lab.cluster import finished_on_dask

            return partial(finished_on_dask, jobs=self.jobs, scheduler=self.scheduler)
        return partial(finished, jobs=self.jobs)

    def load(self, variant: str | None = None, patches: Sequence[Patch] = ()) -> Scenario:
        """The scenario with its overrides, and *patches* on top of them."""
        options = {"duration": self.duration} if self.duration is not None else {}
        loaded = load_scenario(self.path, plans=self.plans, variant=variant, overrides=self.overrides, options=options, patches=patches)
        return loaded.scenario

    def seeds_of(self, scenario: Scenario) -> list[int]:
        """As many as asked for, from the first on."""
        first = scenario.seed if self.seed is None else self.seed
        return list(range(first, first + self.seeds))


def measures_of(scenarios: Sequence[Scenario], asked: Sequence[str]) -> list[str]:
    """The figures to print, as paths in a summary; raise InvalidInput where no run of one of the *scenarios* can have what is *asked*.

    What a summary holds is seen in that of an instant.
    """
    for scenario in scenarios if asked else ():
        nothing: dict[str, Any] = {"warmup": 0.0, "faults": [], "steady_state": [], "checks": [], "abort_if": []}
        summary = run(scenario.model_copy(update={"duration": INSTANT, **nothing})).summary
        for figure in asked:
            try:
                figure_at(summary, figure)
            except NoFigure as error:
                if error.instead is None:
                    raise InvalidInput(f"--measure {error.args[0]}") from None
    return list(asked) or [f"workloads.{name}.{figure}" for name in scenarios[0].workloads for figure in FIGURES]


# sweep


def parse_vary(texts: Sequence[str]) -> dict[str, list[str]]:
    """`services.orders.workers=8,16,32` as path and values; raise InvalidInput with a cure."""
    vary: dict[str, list[str]] = {}
    for text in texts:
        path, equals, values = text.rpartition("=") if text.count("=") == 1 else text.partition("=")
        if not equals or not path or not values:
            raise InvalidInput(f"--vary {text!r}: write PATH=VALUE,VALUE, for example 'services.orders.workers=8,16,32'")
        vary[path] = [value for value in _apart(values) if value]
    return vary


def _apart(values: str) -> Iterator[str]:
    """What stands between commas that are not in brackets of their own: `[{timeout: 1s}, retry],[]` is two lists."""
    start = depth = 0
    for place, character in enumerate(values):
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            yield values[start:place].strip()
            start = place + 1
    yield values[start:].strip()


def swept(given: Given, vary: Sequence[str], variant: str | None, measures: Sequence[str], out: str | None) -> Iterator[str]:
    """Run the sweep, write table and charts; lines to print."""
    varied = parse_vary(vary)
    base = given.load(variant)
    every = [(one, given.load(variant, [set_option(f"{path}={value}", "--vary ") for path, value in one.items()]))
             for one in combinations(varied)]
    figures = measures_of([base], measures)
    place = Path(out) if out is not None else Path("out") / f"sweep-{base.name}"
    scenarios = [scenario for _, scenario in every]
    identity = {"scenario": _hash(scenarios), "vary": varied, "seeds": given.seeds_of(base), "variant": variant,
                "version": version(), "files": _files(scenarios)}
    try:
        cells = sweep(every, given.seeds_of(base), place, identity=identity, crew=given.crew, on_cell=_counter(given.texts, "cells done"))
    except KeyboardInterrupt:
        done = len(list((place / "cells").glob("*.json")))
        whole = len(every) * given.seeds
        print(given.texts("interrupted", done=done, whole=whole, place=place), file=sys.stderr)
        raise
    columns = {figure: _column([cell.summary for cell in cells], figure) for figure in figures}
    _write_csv(place / "cells.csv", cells, columns)
    charts = _draw_sweep(place / "charts", cells, figures, given.lang)
    yield from _sweep_table(cells, list(varied), columns, given.texts.words)
    yield ""
    yield from few(given)
    yield given.texts("runs", count=len(cells))
    yield from _listed(given.texts("table"), [str(place / "cells.csv")])
    yield from _listed(given.texts("charts"), charts or [given.texts("no figure")])


def _sweep_table(cells: Sequence[Cell], paths: Sequence[str], columns: Mapping[str, Sequence[float]], words: Words) -> Iterator[str]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, cell in enumerate(cells):
        groups.setdefault(tuple(cell.varied[path] for path in paths), []).append(index)
    shown = {path: _shown([key[place] for key in groups]) for place, path in enumerate(paths)}
    rows = [[*(shown[path][value] for path, value in zip(paths, key, strict=True)),
             *(_spread([values[index] for index in some], figure, words) for figure, values in columns.items())]
            for key, some in groups.items()]
    heads = [*told_apart(paths, SHORT), *(shortened(_short(figure), LONGEST_NAME) for figure in columns)]
    yield from aligned(heads, rows, words=range(len(paths)))


def _shown(values: Sequence[str]) -> dict[str, str]:
    """What stands in the table for each of the values of one path."""
    different = list(dict.fromkeys(values))
    return dict(zip(different, told_apart(different, SHORT), strict=True))


def _draw_sweep(place: Path, cells: Sequence[Cell], figures: Sequence[str], lang: str) -> list[str]:
    from reports.charts import render

    drawn = []
    for figure in figures:
        folder = place / _short(figure).replace(" ", "-")
        reasons = render(cells, ["sweep"], folder, lang=lang, measure=figure)
        if reasons["sweep"] is None:
            drawn.append(str(folder / "sweep.svg"))
    return drawn


def _write_csv(path: Path, cells: Sequence[Cell], columns: Mapping[str, Sequence[float]]) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*cells[0].varied, "seed", "verdict", *columns])
        for cell, *values in zip(cells, *columns.values(), strict=True):
            writer.writerow([*cell.varied.values(), cell.seed, cell.summary["verdict"], *values])


# compare


def compared(given: Given, first: str, second: str, measures: Sequence[str], out: str | None) -> Iterator[str]:
    """Run both on the same seeds, write figures and charts; lines to print."""
    sides = _sides(given, first, second)
    names = (first, second if second != first else given.texts("again", name=second))
    seeds = given.seeds_of(sides[0])
    figures = measures_of(sides, measures)
    runs = compare(sides[0], sides[1], seeds, jobs=given.jobs, on_run=_counter(given.texts, "runs done"))
    words = given.texts.words
    rows, data = [], {}
    for figure in figures:
        both = _column([result.summary for side in runs for result in side], figure)
        values = [both[: len(seeds)], both[len(seeds) :]]
        gaps = [b - a for a, b in zip(*values, strict=True)]
        rows.append([shortened(_short(figure), LONGEST_NAME), *(_spread(some, figure, words) for some in [*values, gaps]),
                     given.texts("differs") if _differ(gaps) else ""])
        data[figure] = {names[0]: values[0], names[1]: values[1], "difference": gaps}
    verdicts = [sum(result.summary["verdict"] == "pass" for result in side) for side in runs]
    rows.append([given.texts("held"), *(given.texts("of", held=held, count=len(seeds)) for held in verdicts), "", ""])
    place = Path(out) if out is not None else Path("out") / f"compare-{sides[0].name}-{_file(first)}-{_file(second)}"
    charts = _draw_comparison(place, dict(zip(names, runs, strict=True)), data, seeds, given.lang)
    yield given.texts("against", scenario=sides[0].name, first=first, second=second, count=len(seeds))
    yield from aligned(["", *told_apart(names, SHORT), given.texts("difference"), ""], rows)
    yield ""
    if sides[0] == sides[1]:
        yield given.texts("the same", first=first, second=second)
    else:
        yield from few(given)
    yield from _listed(given.texts("figures"), [str(place / "comparison.json")])
    yield from _listed(given.texts("charts"), charts or [given.texts("nothing")])


def _sides(given: Given, first: str, second: str) -> list[Scenario]:
    """Both scenarios; raise InvalidFile with all that is wrong with either."""
    wrong, sides = Collected(), []
    for name in (first, second):
        with wrong:
            sides.append(_side(given, name))
    wrong.refuse()
    return sides


def _side(given: Given, name: str) -> Scenario:
    """What A or B stands for: a file, a `key=value` override, `base`, or one of the variants."""
    if name.endswith((".yaml", ".yml")):
        return replace(given, path=name).load()
    if "=" in name:
        return given.load(patches=[set_option(name, "")])
    known = ["base", *variant_names(load_document(given.path))]
    if name not in known:
        refuse(Place(Source(name, (), is_file=False), 1, 1), f"neither `base` nor a variant of {given.path}",
               f"{did_you_mean(name, known)}\nor compare with a PATH=VALUE, 'services.orders.workers=32', or with another file, other.yaml")
    return given.load(None if name == "base" else name)


def _draw_comparison(place: Path, groups: Mapping[str, Any], data: Mapping[str, Any], seeds: Sequence[int],
                     lang: str) -> list[str]:
    from reports.charts import render

    try:
        place.mkdir(parents=True, exist_ok=True)
        content = {"schema": "mesocosm/comparison/1", "seeds": list(seeds), "figures": data}
        (place / "comparison.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{place}: cannot be written: {error.strerror}\n    give another folder with --out") from None
    return [str(place / measure / "comparison.svg") for measure in ("goodput", "p99")
            if render(groups, ["comparison"], place / measure, lang=lang, measure=measure)["comparison"] is None]


def _differ(gaps: Sequence[float]) -> bool:
    """Whether the interval of the difference leaves out 0."""
    mean, half = mean_and_half_width([[gap] for gap in gaps])
    return bool(abs(mean[0]) > half[0])


# both

ENOUGH = 5  # runs; from here on an interval narrows slowly


def few(given: Given) -> Iterator[str]:
    """What is to be thought of means over so few seeds, and how many would do. An interval is t / sqrt(n) standard deviations wide."""
    if given.seeds == 1:
        yield given.texts("one run", enough=ENOUGH)
    elif given.seeds < ENOUGH:
        now, five, ten = (t_975(many - 1) / math.sqrt(many) for many in (given.seeds, ENOUGH, 2 * ENOUGH))
        less, least = (given.texts.words.number(now / then, 1) for then in (five, ten))
        yield given.texts("few", seeds=given.seeds, five=ENOUGH, ten=2 * ENOUGH, less=less, least=least)


def _column(summaries: Sequence[Mapping[str, Any]], figure: str) -> list[float]:
    """The *figure* of every run; raise InvalidInput where none has it."""
    try:
        return figures_at(summaries, figure)
    except NoFigure as error:
        raise InvalidInput(f"--measure {error.args[0]}") from None


def _listed(head: str, things: Sequence[str]) -> Iterator[str]:
    """*things* below each other, after their *head*."""
    yield from (f"{head + ':' if index == 0 else '':<9} {thing}" for index, thing in enumerate(things))


def _spread(values: Sequence[float], figure: str, words: Words) -> str:
    mean, half = (float(part[0]) for part in mean_and_half_width([[value] for value in values]))
    if mean != mean:
        return "–"
    sign = "−" if mean < 0 else ""
    return f"{sign}{words.figure(figure, abs(mean))}" + (f" ± {words.figure(figure, half)}" if half == half else "")


def _short(figure: str) -> str:
    return figure.removeprefix("workloads.").replace("latency_s.", "").replace("_rps", "").replace("_", " ").replace(".", " ")


def _file(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)


def _hash(scenarios: Sequence[Scenario]) -> str:
    text = json.dumps([scenario.model_dump(mode="json", by_alias=True) for scenario in scenarios], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _files(scenarios: Sequence[Scenario]) -> dict[str, str]:
    """What the cells come from beside the scenario: hashes of the files that it names, and of the modules of its code and of whatever
    else was loaded from below the working directory."""
    named = {path for scenario in scenarios for path in _named(scenario.model_dump(mode="json", by_alias=True))}
    tops = {getattr(spec, key).partition(":")[0].partition(".")[0] for scenario in scenarios for spec in scenario.nodes().values()
            for key in ("code", "asgi") if getattr(spec, key, None)}
    modules = {name: str(module.__file__) for name, module in list(sys.modules.items()) if _is_users(name, module, tops)} if tops else {}
    places = {**{path: path for path in named}, **modules}
    return {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in sorted(places.items()) if Path(path).is_file()}


def _named(part: Any) -> Iterator[str]:
    """The files that a scenario names, in any depth."""
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in inner:
        if key == "file" and isinstance(value, str):
            yield value
        else:
            yield from _named(value)


def _is_users(name: str, module: Any, tops: Container[str]) -> bool:
    top, file = name.partition(".")[0], getattr(module, "__file__", None)
    if not file or top in OURS or top == "__main__":
        return False
    return top in tops or ("site-packages" not in file and Path(file).is_relative_to(Path.cwd()))


def _counter(texts: Texts, key: str) -> Any:
    def tell(done: int, of: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{texts(key, done=done, whole=of)}", end="\n" if done == of else "", file=sys.stderr, flush=True)

    return tell
