"""What `mesocosm explore` does around the search: load, tell on stderr how it goes, write the plan, say what was found."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reports.texts import Texts, Words
from sim.errors import InvalidInput
from sim.lab.explore import Exploration, explore
from sim.lab.explore.explanation import Line
from sim.lab.explore.trials import Trial
from sim.scenario.load import load_scenario

TEXTS: dict[str, tuple[str, str]] = {  # key: English, Spanish
    "trial breaks": ("breaks {title}", "rompe {title}"),
    "trial holds": ("holds, {margin} from a bound", "aguanta, a {margin} de un límite"),
    "not well": ("the system is not well by itself; nothing was searched", "el sistema no está bien por sí solo; no se buscó nada"),
    "nothing": ("nothing broke the steady state in {runs} runs", "nada rompió el estado estable en {runs} ejecuciones"),
    "broken in": ("broken in run {number}; the smallest such plan, after {runs} runs:",
                  "roto en la ejecución {number}; el plan más pequeño así, tras {runs} ejecuciones:"),
    "what happened": ("what happened:", "qué pasó:"),
    "replay": ("written to {place}; replay it with", "escrito en {place}; se repite con"),
    "head": ("Found by searching: the smallest plan that breaks {scenario}, with seed {seed}.",
             "Hallado al buscar: el plan más pequeño que rompe {scenario}, con la semilla {seed}."),
    "digest": ("Every such run has the digest {digest}", "Toda ejecución así tiene el resumen {digest}"),
}
LINES: dict[str, str] = {  # what happened, in Spanish; in English a line is told by itself
    "unwell": "no se cumple ni sin fallos: {name}",
    "broken": "roto: {title}: {measured}, se pedía {wanted}",
    "struck": "{part} sufre {fault} ({kind})",
    "over": "{fault} termina",
    "fails": "{edge} falla: {failed} de las {among} llamadas empezadas hasta {until}",
    "slow": "{edge} va lenta: en lo peor tarda {worst} de media, {usual} en la ejecución buena; hasta {until}",
    "hangs": "{edge} se cuelga: {calls} de sus llamadas no han terminado cuando acaba la ejecución",
    "takes over": "{edge} toma el relevo: {calls} llamadas, ninguna en la ejecución buena",
}


@dataclass(frozen=True)
class Found:
    """What to print, and how it ended."""

    text: str
    data: Mapping[str, Any]
    broken: bool
    well: bool


def explored(path: str, runs: int, jobs: int, seed: int | None, duration: str | None, overrides: Sequence[str], variant: str | None,
             out: str | None, at_random: bool, lang: str = "en") -> Found:
    """Search, and write the plan that was found; raise InvalidFile or InvalidInput."""
    options = {"duration": duration} if duration is not None else {}
    texts = Texts(Words(lang), TEXTS)
    given = load_scenario(path, variant=variant, overrides=overrides, options=options).scenario
    scenario = given.model_copy(update={"faults": []})
    # neither the scenario's own faults nor what would end a run early are part of the search, and so not of the replay
    overrides = [*overrides, *(f"{part}=[]" for part in ("faults", "abort_if") if getattr(given, part))]
    found = explore(scenario, seed, runs=runs, jobs=jobs, at_random=at_random, on_trial=partial(_tell, texts))
    place = Path(out) if out is not None else Path("out") / f"explore-{scenario.name}.yaml"
    replay = _command(path, place, found.seed, duration, overrides, variant)
    if found.plan:
        _write(place, found, replay, texts)
    data = {"schema": "mesocosm/exploration/1", "scenario": found.scenario, "seed": found.seed, "plan": list(found.plan),
            "runs_to_find": found.runs_to_find, "runs": found.runs, "what_happened": list(found.lines),
            "digest": found.digest or None, "file": str(place) if found.plan else None}
    return Found("\n".join(_lines(found, place, replay, texts)), data, bool(found.plan), found.well)


def _tell(texts: Texts, number: int, plan: str, trial: Trial) -> None:
    margin = texts.words.percent(trial.margin, 0)
    outcome = texts("trial breaks", title=texts.words.title_of(trial.failed[0])) if trial.failed else texts("trial holds", margin=margin)
    print(f"{number:>4}  {plan}: {outcome}", file=sys.stderr)


def _lines(found: Exploration, place: Path, replay: str, texts: Texts) -> list[str]:
    told = [f"  {in_language(line, texts.words)}" for line in found.told]
    if not found.well:
        return [texts("not well"), *told]
    if not found.plan:
        return [texts("nothing", runs=found.runs)]
    return [
        texts("broken in", number=found.runs_to_find, runs=found.runs),
        *("  " + line for line in _yaml(found).splitlines()),
        texts("what happened"),
        *told,
        texts("replay", place=place),
        f"  {replay}",
    ]


def in_language(line: Line, words: Words) -> str:
    """What happened, in the language of *words*."""
    if words.lang == "en":
        return str(line)
    values = dict(line.values)
    if line.key == "broken":
        measure, bound = values["measure"], values["bound"]
        values |= {"title": words.title_of(values), "measured": words.missed(measure, values["measured"], bound),
                   "wanted": words(values["op"], bound=words.measure(measure, bound))}
    seconds = {key.removesuffix("_ms"): values[key] / (1000 if key.endswith("_ms") else 1) for key in ("worst_ms", "usual_ms", "until")
               if key in values}
    text = LINES[line.key].format(**values | {key: words.seconds(value) for key, value in seconds.items()})
    return text if line.at is None else f"t={words.number(line.at, 3)} s  {text}"


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


def _write(place: Path, found: Exploration, replay: str, texts: Texts) -> None:
    head = [f"# {texts('head', scenario=found.scenario, seed=found.seed)}", f"#   {replay}",
            f"# {texts('digest', digest=found.digest)}", *(f"# {in_language(line, texts.words)}" for line in found.told)]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join([*head, "", _yaml(found)]), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{place}: cannot be written: {error.strerror}\n    name another file with --out") from None
