"""Everything that can be said about scenarios and fault plans before they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace

from sim.faults.fault import Fault
from sim.faults.system import check_fault_plan
from sim.mistakes import Mistake
from sim.scenario.scenario import FaultPlan, Scenario

from .documents import Document, load_document, piped_document, validated
from .flow import Flow
from .hints import absurd, doubtful
from .never import never
from .overrides import LeadsNowhere, patched, variant_names, variant_patches
from .problems import Collected, InvalidFile, Problem, in_order, refuse_any
from .references import wrong_references
from .salvage import salvaged
from .surges import too_many_surged
from .trial import check_measures, system_of

Plan = tuple[Document, Sequence[Fault]]  # faults, and where they are written
SCENARIO_KEYS = frozenset({"services", "workloads", "duration", "network", "checks", "steady_state", "variants"})


class Report:
    """What `mesocosm check` found: everything that is wrong or doubtful, and of each sound file what is in it."""

    def __init__(self) -> None:
        self.wrong = Collected()
        self.sound: list[str] = []

    @property
    def problems(self) -> list[Problem]:
        """In the order of the files."""
        return in_order(self.wrong.problems)

    @property
    def invalid(self) -> bool:
        """A file cannot be used."""
        return any(not problem.warning for problem in self.problems)

    def lines(self) -> Iterator[str]:
        """What to print."""
        yield from (problem.render() for problem in self.problems)
        yield from self.sound


def check_files(paths: Sequence[str]) -> Report:
    """Read all files (`-` is what comes through a pipe); fault plans are checked against the scenario, if exactly one is among them."""
    report = Report()
    scenarios: list[tuple[Document, Scenario]] = []
    plans: list[Document] = []
    for path in paths:
        with report.wrong:
            document = piped_document() if path == "-" else load_document(path)
            if is_plan(document):
                plans.append(document)
            else:
                scenarios += _check_scenario(document, report)
    _check_plans(plans, scenarios, report)
    return report


def is_plan(document: Document) -> bool:
    """A file with faults and nothing of a scenario is a fault plan."""
    keys = set(document.root.entries or {})
    return "faults" in keys and not keys & SCENARIO_KEYS


def is_scenario(document: Document) -> bool:
    """A file with something that only a scenario has is one."""
    return bool(set(document.root.entries or {}) & SCENARIO_KEYS)


def _check_scenario(document: Document, report: Report) -> list[tuple[Document, Scenario]]:
    """*document* and the scenario in it, if its values are right; its variants are checked in any case."""
    found: list[Scenario] = []
    here: list[Problem] = []
    with report.wrong:
        found.append(sound(document))
        here += problems_of(found[0], document)
        report.wrong.problems += here
    for name in variant_names(document):
        with report.wrong:
            changed = _changed(document, name, misread=not found)
            of_variant = [problem for problem in problems_of(sound(changed), changed) if problem not in here]
            report.wrong.problems += [replace(problem, what=f"variant {name!r}: {problem.what}") for problem in of_variant]
    if found and not any(problem.path == document.path and not problem.warning for problem in report.wrong.problems):
        report.sound.append(f"{document.path}: a sound scenario: {_contents(found[0])}")
    return [(document, scenario) for scenario in found]


def _changed(document: Document, variant: str, misread: bool) -> Document:
    """*document* with its *variant* applied. Where that is *misread*, a path into a part that is missing is no mistake of its own."""
    try:
        return patched(document, *variant_patches(document, variant))
    except LeadsNowhere:
        if misread:
            return document
        raise


def _check_plans(documents: Sequence[Document], scenarios: Sequence[tuple[Document, Scenario]], report: Report) -> None:
    """Each plan with the scenario alone, since two may be meant to be run one or the other; but a fault may come after one of any of these
    files."""
    plans: list[Plan] = []
    for document in documents:
        with report.wrong:
            plans.append((document, validated(document, FaultPlan).faults))
    lists = [*(faults for _, faults in plans), *(scenario.faults for _, scenario in scenarios)]
    everything = [fault for faults in lists for fault in faults]
    for document, faults in plans:
        with report.wrong:
            against = ""
            if len(scenarios) == 1:
                of_scenario, scenario = scenarios[0]
                together = [(of_scenario, scenario.faults), (document, faults)]
                refuse_any(_of(document, fault_problems(scenario, together, beside=everything)))
                if not report.invalid:
                    refuse_any(surge_problems(scenario, together, Flow(scenario)))
                    report.wrong.problems += _of(document, late_problems(scenario, together))
                against = f", its targets found in {scenario.name!r}"
            report.sound.append(f"{document.path}: a sound fault plan: {counted(faults, 'faults')}{against}")


def _of(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.path == document.path]


def sound(document: Document) -> Scenario:
    """The scenario in *document*; raise InvalidFile with its wrong values and, as far as they leave it readable, its wrong names."""
    try:
        return validated(document, Scenario)
    except InvalidFile as invalid:
        rest = salvaged(document, Scenario)
        raise InvalidFile([*invalid.problems, *(_names_in(*rest) if rest is not None else [])]) from None


def _names_in(scenario: Scenario, document: Document) -> list[Problem]:
    wrong = [*wrong_references(scenario, complete=False), *check_measures(scenario)]
    return [*_placed(wrong, document), *fault_problems(scenario, [(document, scenario.faults)])]


def problems_of(scenario: Scenario, document: Document, plans: Sequence[Plan] = ()) -> list[Problem]:
    """What a valid *scenario* and fault *plans* for it say that cannot be, and what they can hardly mean (as warnings)."""
    wrong = [*wrong_references(scenario), *check_measures(scenario)]
    plans = [(document, scenario.faults), *plans]
    problems = [*_placed(wrong, document), *fault_problems(scenario, plans)]
    if problems:
        return problems
    flow = Flow(scenario)
    return (_placed(absurd(scenario, flow), document) or surge_problems(scenario, plans, flow)
            or [*_placed(doubtful(scenario, flow), document, warning=True), *late_problems(scenario, plans)])


def surge_problems(scenario: Scenario, plans: Sequence[Plan], flow: Flow) -> list[Problem]:
    """More load than can be run, where the faults of several files make it of a load that can be."""
    return _in_plans(plans, lambda faults: too_many_surged(scenario, flow, faults))


def late_problems(scenario: Scenario, plans: Sequence[Plan]) -> list[Problem]:
    """Faults that would begin when the run is over, as warnings."""
    return _in_plans(plans, lambda faults: never(faults, scenario.duration), warning=True)


def fault_problems(scenario: Scenario, plans: Sequence[Plan], beside: Iterable[Fault] = ()) -> list[Problem]:
    """What in the faults of several files does not fit *scenario*, or each other; they may come after others *beside* them."""
    system = system_of(scenario, [*(fault for _, faults in plans for fault in faults), *beside])
    return _in_plans(plans, lambda faults: check_fault_plan(faults, system))


def _in_plans(plans: Sequence[Plan], found: Callable[[list[Fault]], Iterable[Mistake]], warning: bool = False) -> list[Problem]:
    """What is *found* in the faults of several files together, whose places begin with the number of the fault, each in its own file."""
    faults = [(document, index, fault) for document, faults in plans for index, fault in enumerate(faults)]
    problems = []
    for mistake in found([fault for _, _, fault in faults]):
        document, index, _ = faults[int(mistake.loc[0])]
        problems.append(document.problem(replace(mistake, loc=("faults", index, *mistake.loc[1:])), warning))
    return problems


def _placed(mistakes: Iterable[Mistake], document: Document, warning: bool = False) -> list[Problem]:
    return [document.problem(mistake, warning) for mistake in mistakes]


def counted(part: Sized, name: str) -> str:
    """`1 fault`, `3 faults`."""
    return f"{len(part)} {name if len(part) != 1 else name.removesuffix('s')}"


def _contents(scenario: Scenario) -> str:
    names = ("services", "workloads", "checks", "faults", "variants")
    return ", ".join(counted(getattr(scenario, name), name) for name in names if getattr(scenario, name))
