"""The command line. A command parses its arguments, calls one function and prints what it gives; results go to stdout, the rest to stderr.

Nothing heavy is imported before a command needs it, so that `--help` and `check` answer at once.
"""

import errno
import gc
import os
import signal
import sys
import traceback
from enum import IntEnum
from typing import Annotated, NoReturn

gc.disable()  # starting up makes no garbage, and looking for it all the while takes a tenth of the time; see `mesocosm`
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # there are none, and looking for them takes time

import typer  # noqa: E402

from reports.texts import LANGUAGES  # noqa: E402

app = typer.Typer(name="mesocosm", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


class Exit(IntEnum):
    """What the program's exit code means."""

    OK = 0
    CHECK_FAILED = 1  # under faults
    INVALID = 2  # wrong usage, or an invalid file
    BASELINE = 3  # the steady state did not hold before the first fault
    ABORTED = 4  # by `abort_if`
    BUG = 70  # our own
    INTERRUPTED = 130  # by Ctrl-C or SIGTERM
    NOBODY_READS = 141  # what is printed: a pipe was closed, as by `head`


QUICK = frozenset({"check", "kinds", "schema", "init"})  # over before there is garbage to collect


def tell_version(asked: bool) -> None:
    """Print the program's version, as manifests have it, and end."""
    if asked:
        from reports.export.manifest import version

        print(f"mesocosm {version()}")
        raise typer.Exit(Exit.OK)


Lang = Annotated[str, typer.Option(metavar="en|es", help="Language.", callback=lambda lang: one_of("--lang", lang, LANGUAGES))]


@app.callback()
def mesocosm(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """A microservices simulator and chaos lab: real asyncio code on simulated time and a simulated network."""
    if context.invoked_subcommand not in QUICK:
        gc.enable()


@app.command()
def check(files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Scenarios, fault plans for them; - reads a pipe.")]) -> None:
    """Find everything that is wrong with scenarios and fault plans."""
    from sim.scenario.checks import check_files

    report = check_files(files)
    for line in report.lines():
        print(line)
    raise typer.Exit(Exit.INVALID if report.invalid else Exit.OK)


@app.command()
def explain(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario file.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change one value; repeatable.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="One of the scenario's variants.")] = None,
    lang: Lang = "en",
) -> None:
    """Say what arithmetic knows before a run: loads, utilisation, the first bottleneck, and what policies cost at worst."""
    from reports.explained import explained
    from sim.scenario.load import load_scenario
    from sim.scenario.reckoning import reckon

    loaded = load_scenario(scenario, variant=variant, overrides=overrides or ())
    for line in explained(loaded.scenario.name, reckon(loaded.scenario), lang):
        print(line)


@app.command()
def kinds(
    group: Annotated[str | None, typer.Argument(metavar="[GROUP]", help="One group, or one kind, instead of all.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For documentation.")] = False,
) -> None:
    """Describe every kind that a scenario can name, with its fields and defaults."""
    from shutil import get_terminal_size

    from sim.scenario.kinds import WIDTH, as_markdown, as_text, selected

    chosen = selected(group)
    print(as_markdown(chosen) if markdown else as_text(chosen, get_terminal_size((WIDTH, 0)).columns))


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="[scenario|faults]", help="Which kind of file.")] = "scenario") -> None:
    """Print the JSON Schema of a scenario or a fault plan, for editors."""
    import json

    from sim.scenario.schema import schema_of

    print(json.dumps(schema_of(what), indent=2, ensure_ascii=False))


@app.command()
def init(folder: Annotated[str, typer.Argument(metavar="DIR", help="Made if it does not exist; no file in it is overwritten.")]) -> None:
    """Write a small commented scenario and fault plan that run."""
    from sim.scenario.template import write_template

    for path in write_template(folder):
        print(path)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario file.")],
    faults: Annotated[list[str] | None, typer.Option("--faults", metavar="FILE", help="A fault plan; repeatable.")] = None,
    no_faults: Annotated[bool, typer.Option("--no-faults", help="Leave out all faults.")] = False,
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's.", min=0)] = None,
    duration: Annotated[str | None, typer.Option(metavar="D", help="Instead of the scenario's: 30s, 5m.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change one value; repeatable.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="One of the scenario's variants.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Where to write; default out/NAME-SEED.")] = None,
    output: Annotated[str, typer.Option("--format", metavar="text|json", help="What to print.")] = "text",
    no_report: Annotated[bool, typer.Option("--no-report", help="Write the figures, but no charts and no page.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Show the run while it goes on.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a run that is in DIR.")] = False,
    log_format: Annotated[str, typer.Option("--log-format", metavar="jsonl|ecs", help="Field names of logs.jsonl.")] = "jsonl",
    lang: Lang = "en",
    sample: Annotated[str | None, typer.Option(metavar="SHARE", help="Write this share of the traces in full, 5% or 100%; "
                                               "errors and the slowest are always among them.")] = None,
) -> None:
    """Run a scenario: print how it went, write figures, traces, charts and a page."""
    from reports.live import watching
    from reports.session import Asked, perform, prepare
    from reports.terminal import print_summary

    one_of("--format", output, ("text", "json"))
    one_of("--log-format", log_format, ("jsonl", "ecs"))
    asked = Asked(scenario, faults or (), no_faults, seed, duration, overrides or (), variant, out, not no_report, force, log_format, lang,
                  share("--sample", sample))
    loaded, place = prepare(asked)
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    with watching(loaded.scenario.name, live=live, lang=lang) as on_sample:
        result = perform(asked, loaded, place, on_sample)
    if output == "json":
        print_json(result.summary)
    else:
        print_summary(result.summary, sys.stdout, folder=place, lang=lang)
    raise typer.Exit(EXIT_OF[result.summary["verdict"]])


@app.command()
def replay(folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that `run` wrote.")]) -> None:
    """Run what DIR says again, and compare."""
    from reports import session

    for path in session.changed_since(folder):
        print(f"{path} is not what the run read; what is run again is scenario.resolved.yaml in {folder}", file=sys.stderr)
    replayed = session.replay(folder)
    print(replayed.text)
    raise typer.Exit(Exit.OK if replayed.same else Exit.CHECK_FAILED)


@app.command()
def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that `run` wrote.")],
    lang: Lang = "en",
) -> None:
    """Draw the charts and the page of a finished run again, and print its summary."""
    from pathlib import Path

    from reports import folder as folders
    from reports.session import draw
    from reports.terminal import print_summary

    result = folders.read(folder)
    draw(result, Path(folder), lang)
    print_summary(result.summary, sys.stdout, folder=Path(folder), lang=lang)


@app.command()
def plot(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that `run` wrote.")],
    charts: Annotated[list[str] | None, typer.Argument(metavar="CHART...", help="Which; without one, they are listed.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Draw every chart that the run has something for.")] = False,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Where to; default DIR/charts.")] = None,
    theme: Annotated[str, typer.Option(metavar="light|dark")] = "light",
    lang: Lang = "en",
) -> None:
    """Draw charts of a finished run, or list them."""
    from reports.charts import OF_A_RUN
    from reports.plotting import listed, plotted

    one_of("--theme", theme, ("light", "dark"))
    names = OF_A_RUN if every else charts
    for line in plotted(folder, names, out, theme, lang) if names else listed(folder, lang):
        print(line)


@app.command()
def logs(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that `run` wrote.")],
    trace: Annotated[str | None, typer.Option(metavar="ID", help="Of one request, by number or id.")] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="Of one service or instance.")] = None,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="This level or worse: debug, info, warn, error.")] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="With this anywhere in the line.")] = None,
) -> None:
    """Search the logs of a finished run."""
    from reports.search import log_text
    from reports.search import logs as found

    nothing = True
    for entry in found(folder, trace=trace, service=service, level=level, text=text):
        print(log_text(entry))
        nothing = False
    if nothing:
        print("no line is like that; there are those of traces that were written in full (`run --sample 100%`: of all)", file=sys.stderr)


@app.command()
def traces(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that `run` wrote.")],
    slowest: Annotated[int, typer.Option(metavar="N", help="How many of the slowest.", min=1)] = 5,
    failed: Annotated[bool, typer.Option("--failed", help="Of those that failed.")] = False,
    trace: Annotated[str | None, typer.Option(metavar="ID", help="This one instead, by number or id.")] = None,
) -> None:
    """Print traces of a finished run as trees with durations."""
    from reports.search import Traces

    found = Traces(folder)
    numbers = [found.find(trace)] if trace is not None else found.slowest(slowest, failed=failed)
    for number in numbers:
        print(found.text(number))
    if not numbers:
        print("no request failed" if failed else "no request ended", file=sys.stderr)


@app.command()
def compare(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario file.")],
    first: Annotated[str, typer.Argument(metavar="A", help="A variant, `base`, a PATH=VALUE, or another file.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The same, for the other side.")],
    faults: Annotated[list[str] | None, typer.Option("--faults", metavar="FILE", help="A fault plan; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="How many pairs of runs.", min=2)] = 5,
    jobs: Annotated[int, typer.Option(metavar="N", help="Processes; the outcome does not depend on it.", min=1)] = 2,
    seed: Annotated[int | None, typer.Option(help="The first seed, instead of the scenario's.", min=0)] = None,
    duration: Annotated[str | None, typer.Option(metavar="D", help="Instead of the scenario's.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="On both sides; repeatable.")] = None,
    measures: Annotated[list[str] | None, typer.Option("--measure", metavar="PATH", help="A figure of summary.json; repeatable.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Where to write; default out/compare-NAME-A-B.")] = None,
    lang: Lang = "en",
) -> None:
    """Compare two variants on the same seeds: differences with confidence intervals."""
    from reports.sweeping import Given, compared

    given = Given(scenario, faults or (), overrides or (), duration, seed, seeds, jobs, lang=lang)
    for line in compared(given, first, second, measures or (), out):
        print(line)


@app.command()
def sweep(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario file.")],
    vary: Annotated[list[str], typer.Option("--vary", metavar="PATH=V1,V2,...", help="Repeatable: a grid.")],
    faults: Annotated[list[str] | None, typer.Option("--faults", metavar="FILE", help="A fault plan; repeatable.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="One of the scenario's variants.")] = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="How many runs of each combination.", min=1)] = 1,
    jobs: Annotated[int, typer.Option(metavar="N", help="Processes; the outcome does not depend on it.", min=1)] = 2,
    backend: Annotated[str, typer.Option(metavar="local|dask", help="Who runs the cells: processes here, or a Dask cluster.")] = "local",
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of the Dask cluster; default: one made here.")] = None,
    seed: Annotated[int | None, typer.Option(help="The first seed, instead of the scenario's.", min=0)] = None,
    duration: Annotated[str | None, typer.Option(metavar="D", help="Instead of the scenario's.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="In all cells; repeatable.")] = None,
    measures: Annotated[list[str] | None, typer.Option("--measure", metavar="PATH", help="A figure of summary.json; repeatable.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Where finished cells lie; default out/sweep-NAME.")] = None,
    lang: Lang = "en",
) -> None:
    """Run every combination of values; a sweep that was stopped goes on where it was."""
    from reports.sweeping import Given, swept

    one_of("--backend", backend, ("local", "dask"))
    given = Given(scenario, faults or (), overrides or (), duration, seed, seeds, jobs, backend, scheduler, lang)
    for line in swept(given, vary, variant, measures or (), out):
        print(line)


@app.command()
def explore(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario file with a steady state.")],
    runs: Annotated[int, typer.Option(metavar="N", help="How many runs the search may take; shrinking takes some more.", min=1)] = 60,
    jobs: Annotated[int, typer.Option(metavar="N", help="Processes; the outcome does not depend on it.", min=1)] = 2,
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's.", min=0)] = None,
    duration: Annotated[str | None, typer.Option(metavar="D", help="Instead of the scenario's.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change one value; repeatable.")] = None,
    variant: Annotated[str | None, typer.Option(metavar="NAME", help="One of the scenario's variants.")] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="Where to write the plan; default out/explore-NAME.yaml.")] = None,
    at_random: Annotated[bool, typer.Option("--random", help="Strike at random instead: a yardstick.")] = False,
    output: Annotated[str, typer.Option("--format", metavar="text|json", help="What to print.")] = "text",
    lang: Lang = "en",
) -> None:
    """Search for the smallest fault that breaks the steady state, and write it as a fault plan."""
    from reports.exploring import explored

    one_of("--format", output, ("text", "json"))
    found = explored(scenario, runs, jobs, seed, duration, overrides or (), variant, out, at_random, lang)
    if output == "json":
        print_json(found.data)
    else:
        print(found.text)
    raise typer.Exit(Exit.BASELINE if not found.well else Exit.CHECK_FAILED if found.broken else Exit.OK)


EXIT_OF = {"pass": Exit.OK, "fail": Exit.CHECK_FAILED, "baseline": Exit.BASELINE, "aborted": Exit.ABORTED, "interrupted": Exit.INTERRUPTED}


def one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    """*value*, if the option knows it."""
    from sim.errors import InvalidInput
    from sim.mistakes import did_you_mean

    if value not in known:
        raise InvalidInput(f"{option} {value!r}: {did_you_mean(value, known)}")
    return value


def share(option: str, text: str | None) -> float | None:
    """The share that an option gives, 0..1."""
    from sim.errors import InvalidInput
    from sim.units import parse_share

    try:
        return None if text is None else parse_share(text)
    except ValueError as error:
        raise InvalidInput(f"{option}: {error}") from None


def print_json(value: object) -> None:
    """One JSON document; what has no value is null."""
    from reports.export.jsontext import dumps

    print(dumps(value, indent=1))


def nobody_reads() -> NoReturn:
    """End without a word, as others do whose reader has gone; what is still in buffers goes nowhere, or the interpreter would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    sys.exit(Exit.NOBODY_READS)


def main() -> None:
    """Run a command. What the user can mend ends with a message and code 2, our own bugs with a traceback and code 70."""
    from sim.errors import MesocosmError

    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # closed by whoever started us: `>&-`, a supervisor
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that cannot show a character
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who stops us so, as `kill` and supervisors do, loses as little as by Ctrl-C
    stdout = sys.stdout
    try:
        try:
            app()
        finally:
            if sys.stdout is not stdout:  # Typer has met a closed pipe, and ends with code 1
                nobody_reads()
            stdout.flush()  # here, where a closed pipe is caught
    except MesocosmError as error:
        print(error, file=sys.stderr)
        sys.exit(Exit.INVALID)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        nobody_reads()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            print(f"what was to be printed or written could not be: {error.strerror}", file=sys.stderr)
            sys.exit(Exit.INVALID)
        traceback.print_exc()
        print("This is a bug of mesocosm itself: please report it with the lines above.", file=sys.stderr)
        sys.exit(Exit.BUG)
    finally:
        gc.freeze()  # all memory is given back in a moment: looking through it once more takes another tenth of the time


if __name__ == "__main__":
    main()
