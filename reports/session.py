"""What `mesocosm run`, `replay` and `report` do: load, run, write, print, and say how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reports import folder
from sim.scenario.load import Loaded, load_scenario

if TYPE_CHECKING:
    from sim.lab.vitals import Progress
    from sim.telemetry.result import RunResult


@dataclass(frozen=True)
class Asked:
    """The options of `run`, as given on the command line."""

    scenario: str
    plans: Sequence[str] = ()
    no_faults: bool = False
    seed: int | None = None
    duration: str | None = None
    overrides: Sequence[str] = ()
    variant: str | None = None
    out: str | None = None
    report: bool = True
    force: bool = False
    log_format: str = "jsonl"
    lang: str = "en"
    sample: float | None = None  # share of the traces that are written

    @property
    def options(self) -> dict[str, str]:
        """Overrides that have a name of their own."""
        return {"duration": self.duration} if self.duration is not None else {}


def prepare(asked: Asked) -> tuple[Loaded, Path]:
    """The scenario, and the folder for its run, which is free; raise InvalidFile or FolderError before anything runs."""
    loaded = load_scenario(asked.scenario, plans=asked.plans, variant=asked.variant, overrides=asked.overrides, options=asked.options,
                           faults=not asked.no_faults)
    seed = loaded.scenario.seed if asked.seed is None else asked.seed
    name = loaded.scenario.name if asked.variant is None else f"{loaded.scenario.name}-{asked.variant}"
    out = Path(asked.out) if asked.out is not None else Path("out") / f"{name}-{seed}"
    folder.check_free(out, force=asked.force or asked.out is None)  # the default folder holds the last run of this name and seed
    return loaded, out


def perform(asked: Asked, loaded: Loaded, out: Path, on_sample: Callable[[Progress], None] | None = None) -> RunResult:
    """Run, and write the folder. Ctrl-C ends the run, a second one does nothing to what is being written; the third gives it up."""
    from sim.lab.interrupts import interruptible
    from sim.lab.run import run

    with interruptible(forgiven=1) as interrupt:
        result = run(loaded.scenario, asked.seed, on_sample=on_sample, interrupt=interrupt)
        save(asked, result, out)
    return result


def save(asked: Asked, result: RunResult, out: Path) -> None:
    """Write everything about *result* into *out*."""
    from reports.export.manifest import Origin
    from reports.export.sampling import Sampling

    origin = Origin(Path(asked.scenario), [Path(plan) for plan in asked.plans], list(asked.overrides),
                    {**asked.options, **({"no_faults": True} if asked.no_faults else {})})
    folder.write(result, out, force=asked.force or asked.out is None, origin=origin, log_format=asked.log_format,
                 sampling=Sampling(head=asked.sample, limit=None) if asked.sample is not None else None,
                 also=[lambda place: draw(result, place, asked.lang)] if asked.report else [])


def draw(result: RunResult, place: Path, lang: str = "en") -> None:
    """Charts and page of *result*, into the folder *place*."""
    from reports.charts import OF_A_RUN, render
    from reports.page import write_page

    render(result, OF_A_RUN, place / "charts", lang=lang)
    write_page(result, place / "report.html", lang=lang)


@dataclass(frozen=True)
class Replayed:
    """What came of a replay: whether all was *same*, and that in words."""

    same: bool
    text: str


def changed_since(directory: str) -> list[str]:
    """The files that the run in *directory* was made from and that are now others; those that are gone tell nothing."""
    from hashlib import sha256

    about = folder.read_manifest(Path(directory))
    files = [entry for entry in (about.get("scenario"), *about.get("faults", ())) if entry]
    return [entry["path"] for entry in files
            if Path(entry["path"]).is_file() and sha256(Path(entry["path"]).read_bytes()).hexdigest() != entry["sha256"]]


def replay(directory: str) -> Replayed:
    """Run what the folder *directory* says again, and compare; of a run that was interrupted, up to where it was, and no further."""
    from reports.differences import first_difference
    from reports.texts import Words

    place = Path(directory)
    about = folder.read_manifest(place)
    ended = folder.interrupted_at(place)
    result = _again(load_scenario(place / "scenario.resolved.yaml"), about["seed"], ended)
    same = "the same, to the last bit" + (f", up to {Words().seconds(ended)}, where the run was interrupted" if ended is not None else "")
    if result.digest == about["digest"]:
        return Replayed(True, same)
    if ended is None:
        text = first_difference(folder.read(place), result)
        return Replayed(False, text or "the digests differ, but no request, span or event does: the manifest was changed by hand")
    text = first_difference(folder.read(place), result, ended)
    return Replayed(text is None, text or same)


def _again(loaded: Loaded, seed: int, ended: float | None) -> RunResult:
    """The run once more, whole or to the first sample after *ended*; raise KeyboardInterrupt where Ctrl-C came before."""
    from sim.lab.interrupts import interruptible
    from sim.lab.run import run

    until = loaded.scenario.duration if ended is None else ended

    def look(progress: Progress) -> None:
        if ended is not None and progress.at >= ended:
            interrupt.ask()

    with interruptible() as interrupt:
        result = run(loaded.scenario, seed, on_sample=look, interrupt=interrupt)
    if interrupt.asked and result.duration < until:
        raise KeyboardInterrupt
    return result
