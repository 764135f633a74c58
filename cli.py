"""The command line. A command parses its arguments, calls one function and prints what it gives; results go to stdout, the rest to stderr.

Nothing heavy is imported before a command needs it, so that `--help` and `check` answer at once.
"""

from __future__ import annotations

import sys
import traceback
from enum import IntEnum
from typing import Annotated

import typer

app = typer.Typer(name="mesocosm", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


class Exit(IntEnum):
    """What the program's exit code means."""

    OK = 0
    CHECK_FAILED = 1  # under faults
    INVALID = 2  # wrong usage, or an invalid file
    BASELINE = 3  # the steady state did not hold before the first fault
    ABORTED = 4  # by `abort_if`
    BUG = 70  # our own
    INTERRUPTED = 130


@app.callback()
def mesocosm() -> None:
    """A microservices simulator and chaos lab: real asyncio code on simulated time and a simulated network."""


@app.command()
def check(files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Scenarios, and fault plans for them.")]) -> None:
    """Find everything that is wrong with scenarios and fault plans."""
    from sim.scenario.checks import check_files

    report = check_files(files)
    for line in report.lines():
        print(line)
    raise typer.Exit(Exit.INVALID if report.invalid else Exit.OK)


@app.command()
def kinds(
    group: Annotated[str | None, typer.Argument(metavar="[GROUP]", help="One group, or one kind, instead of all.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For documentation.")] = False,
) -> None:
    """Describe every kind that a scenario can name, with its fields and defaults."""
    from sim.scenario.kinds import as_markdown, as_text, selected

    chosen = selected(group)
    print(as_markdown(chosen) if markdown else as_text(chosen))


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


def main() -> None:
    """Run a command. What the user can mend ends with a message and code 2, our own bugs with a traceback and code 70."""
    from sim.errors import MesocosmError

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that cannot show a character
    try:
        app()
    except MesocosmError as error:
        print(error, file=sys.stderr)
        sys.exit(Exit.INVALID)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on; the interpreter must not complain about it either
        sys.exit(Exit.OK)
    except Exception:
        traceback.print_exc()
        print("This is a bug of mesocosm itself: please report it with the lines above.", file=sys.stderr)
        sys.exit(Exit.BUG)


if __name__ == "__main__":
    main()
