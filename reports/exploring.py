"""What `mesocosm explore` does around the search: load, tell on stderr how it goes, write the plan, say what was found."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import InvalidInput
from sim.lab.explore import Exploration, explore
from sim.lab.explore.trials import Trial
from sim.scenario.load import load_scenario


@dataclass(frozen=True)
class Found:
    """What to print, and how it ended."""

    text: str
    data: Mapping[str, Any]
    broken: bool
    well: bool


def explored(path: str, runs: int, jobs: int, seed: int | None, duration: str | None, overrides: Sequence[str], variant: str | None,
             out: str | None, at_random: bool) -> Found:
    """Search, and write the plan that was found; raise InvalidFile or InvalidInput."""
    options = {"duration": duration} if duration is not None else {}
    given = load_scenario(path, variant=variant, overrides=overrides, options=options).scenario
    scenario = given.model_copy(update={"faults": []})
    # neither the scenario's own faults nor what would end a run early are part of the search, and so not of the replay
    overrides = [*overrides, *(f"{part}=[]" for part in ("faults", "abort_if") if getattr(given, part))]
    found = explore(scenario, seed, runs=runs, jobs=jobs, at_random=at_random, on_trial=_tell)
    place = Path(out) if out is not None else Path("out") / f"explore-{scenario.name}.yaml"
    replay = _command(path, place, found.seed, duration, overrides, variant)
    if found.plan:
        _write(place, found, replay)
    data = {"schema": "mesocosm/exploration/1", "scenario": found.scenario, "seed": found.seed, "plan": list(found.plan),
            "runs_to_find": found.runs_to_find, "runs": found.runs, "what_happened": list(found.lines),
            "digest": found.digest or None, "file": str(place) if found.plan else None}
    return Found("\n".join(_lines(found, place, replay)), data, bool(found.plan), found.well)


def _tell(number: int, plan: str, trial: Trial) -> None:
    outcome = f"breaks {trial.broken[0]}" if trial.broken else f"holds, {trial.margin:.0%} from a bound"
    print(f"{number:>4}  {plan}: {outcome}", file=sys.stderr)


def _lines(found: Exploration, place: Path, replay: str) -> list[str]:
    if not found.well:
        return ["the system is not well by itself; nothing was searched", *(f"  {line}" for line in found.lines)]
    if not found.plan:
        return [f"nothing broke the steady state in {found.runs} runs"]
    return [
        f"broken in run {found.runs_to_find}; the smallest such plan, after {found.runs} runs:",
        *("  " + line for line in _yaml(found).splitlines()),
        "what happened:",
        *(f"  {line}" for line in found.lines),
        f"written to {place}; replay it with",
        f"  {replay}",
    ]


def _yaml(found: Exploration) -> str:
    import yaml

    plan = {"name": f"breaks-{found.scenario}", "faults": list(found.plan)}
    return str(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True, width=140))


def _command(path: str, place: Path, seed: int, duration: str | None, overrides: Sequence[str], variant: str | None) -> str:
    more = ["--seed", str(seed)]
    more += ["--duration", duration] if duration is not None else []
    more += ["--variant", variant] if variant is not None else []
    more += [word for override in overrides for word in ("--set", override)]
    return shlex.join(["mesocosm", "run", path, "--faults", str(place), *more])


def _write(place: Path, found: Exploration, replay: str) -> None:
    head = [f"# Found by searching: the smallest plan that breaks {found.scenario}, with seed {found.seed}.", f"#   {replay}",
            f"# Every such run has the digest {found.digest}", *(f"# {line}" for line in found.lines)]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join([*head, "", _yaml(found)]), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{place}: cannot be written: {error.strerror}\n    name another file with --out") from None
