"""A sweep: a scenario for each combination of varied values and for each seed. Finished cells lie on disk, so a killed sweep goes on.

    DIR/sweep.json            what is swept, and by what: refused if another sweep lies there; put in place before all else, as cells are
    DIR/cells/KEY.json        one finished cell: what was set, its seed, its summary; put in place by a rename, whole or not at all
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from sim.errors import InvalidInput
from sim.lab.pool import Crew, finished
from sim.lab.run import run_whole
from sim.scenario.scenario import Scenario

MOST_CELLS = 100_000


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: what was set (path: value), its seed, and its summary."""

    varied: Mapping[str, str]
    seed: int
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A cell that is still to run."""

    scenario: Scenario
    varied: Mapping[str, str]
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        key = json.dumps([dict(self.varied), self.seed]).encode()
        return f"{hashlib.blake2b(key, digest_size=10).hexdigest()}.json"


def combinations(vary: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Every combination of the values, the last path turning fastest; raise InvalidInput for too many."""
    count = 1
    for path, values in vary.items():
        if not values:
            raise InvalidInput(f"--vary {path}: no values; write '{path}=1,2,4'")
        count *= len(values)
    if count > MOST_CELLS:
        raise InvalidInput(f"{count:,} combinations; a sweep has {MOST_CELLS:,} cells at most")
    return [dict(zip(vary, values, strict=True)) for values in product(*vary.values())]


def sweep(scenarios: Sequence[tuple[Mapping[str, str], Scenario]], seeds: Sequence[int], place: Path, *, identity: Mapping[str, Any],
          crew: Crew[Task, str] | None = None, on_cell: Callable[[int, int], None] | None = None) -> list[Cell]:
    """Run what is not yet in *place* of *scenarios* (with what was set in each) times *seeds*; return all cells, in order.

    *identity* is what makes it this sweep; raise InvalidInput if *place* holds another one. *crew* runs the cells (this process, if none
    is given); *on_cell* is told (done, of how many).
    """
    cells = place / "cells"
    _claim(place, cells, identity)
    tasks = [Task(scenario, varied, seed) for varied, scenario in scenarios for seed in seeds]
    missing = [task for task in tasks if not (cells / task.name).exists()]
    done = len(tasks) - len(missing)
    for index, text in (crew or partial(finished, jobs=1))(run_cell, missing):
        _put(cells / missing[index].name, text)
        done += 1
        if on_cell is not None:
            on_cell(done, len(tasks))
    return [_read(cells / task.name) for task in tasks]


def run_cell(task: Task) -> str:
    """Run one cell; the text of its file."""
    result = run_whole(task.scenario, task.seed)
    return json.dumps({"varied": dict(task.varied), "seed": task.seed, "summary": result.summary}, default=float)


def _put(place: Path, text: str) -> None:
    part = _part(place)
    part.write_text(text, encoding="utf-8")
    part.replace(place)


def _part(place: Path) -> Path:
    return place.with_suffix(".part")


def _claim(place: Path, cells: Path, identity: Mapping[str, Any]) -> None:
    marker = place / "sweep.json"
    try:
        if marker.exists():
            others = _others(json.loads(marker.read_text(encoding="utf-8")), identity)
            if others:
                raise InvalidInput(f"{place}: holds another sweep, with other {', '.join(others)} (see {marker.name})\n"
                                   "    give another folder with --out, or delete it")
        else:
            if place.exists() and any(entry.name != _part(marker).name for entry in place.iterdir()):
                raise InvalidInput(f"{place}: holds files that are not a sweep's\n    give another folder with --out")
            place.mkdir(parents=True, exist_ok=True)
            _put(marker, json.dumps(identity, indent=1, sort_keys=True))
        cells.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{place}: cannot be written: {error.strerror}\n    give another folder with --out") from None
    except ValueError:
        raise InvalidInput(f"{marker}: cannot be read\n    give another folder with --out, or delete it") from None


def _others(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The parts of two sweeps' identities that are not the same; of their files by name."""
    first, second = ({**identity, **identity.get("files", {}), "files": None} for identity in (one, other))
    return [key for key in sorted({*first, *second}) if first.get(key) != second.get(key)]


def _read(place: Path) -> Cell:
    data = json.loads(place.read_text(encoding="utf-8"))
    return Cell(data["varied"], data["seed"], data["summary"])


def seeds_from(first: int, count: int) -> Iterator[int]:
    """*count* seeds, beginning with the scenario's own."""
    return iter(range(first, first + count))
