"""Everything that can be said about scenarios and fault plans before they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized

from sim.mistakes import Mistake
from sim.scenario.scenario import FaultPlan, Scenario

from .documents import Document, load_document, validated
from .flow import Flow
from .hints import absurd, doubtful
from .overrides import patched, variant_patches
from .problems import Collected, Problem, in_order
from .references import wrong_references

SCENARIO_KEYS = frozenset({"services", "workloads", "duration", "network", "checks", "steady_state", "variants"})


class Report:
    """What `mesocosm check` found: everything that is wrong or doubtful, and of each sound file what is in it."""

    def __init__(self) -> None:
        self.wrong = Collected()
        self.sound: list[str] = []

    @property
    def invalid(self) -> bool:
        """A file cannot be used."""
        return any(not problem.warning for problem in self.wrong.problems)

    def lines(self) -> Iterator[str]:
        """What to print."""
        for problem in in_order(self.wrong.problems):
            yield problem.render()
        yield from self.sound


def check_files(paths: Sequence[str]) -> Report:
    """Read all files; fault plans are checked against the scenario, if exactly one is among them."""
    report = Report()
    scenarios: list[Scenario] = []
    plans: list[Document] = []
    for path in paths:
        with report.wrong:
            document = load_document(path)
            if is_plan(document):
                plans.append(document)
            else:
                scenarios.append(_check_scenario(document, report))
    for plan in plans:
        with report.wrong:
            _check_plan(plan, scenarios[0] if len(scenarios) == 1 else None, report)
    return report


def is_plan(document: Document) -> bool:
    """A file with faults and nothing of a scenario is a fault plan."""
    keys = set(document.root.entries or {})
    return "faults" in keys and not keys & SCENARIO_KEYS


def _check_scenario(document: Document, report: Report) -> Scenario:
    scenario = validated(document, Scenario)
    problems = problems_of(scenario, document)
    for name in scenario.variants:
        with report.wrong:
            changed = patched(document, *variant_patches(document, name))
            problems += problems_of(validated(changed, Scenario), changed)
    report.wrong.problems += problems
    if not any(problem.path == document.path and not problem.warning for problem in report.wrong.problems):
        report.sound.append(f"{document.path}: a sound scenario: {_counts(scenario)}")
    return scenario


def _check_plan(document: Document, scenario: Scenario | None, report: Report) -> None:
    plan = validated(document, FaultPlan)
    against = f", its targets looked up in {scenario.name!r}" if scenario is not None else ""
    report.sound.append(f"{document.path}: a sound fault plan: {len(plan.faults)} faults{against}")


def problems_of(scenario: Scenario, document: Document) -> list[Problem]:
    """What a valid *scenario* says that cannot be, and what it can hardly mean (as warnings); *document* is where it is written."""
    wrong = list(wrong_references(scenario))
    if wrong:
        return _placed(wrong, document)
    flow = Flow(scenario)
    wrong = list(absurd(scenario, flow))
    if wrong:
        return _placed(wrong, document)
    return _placed(doubtful(scenario, flow), document, warning=True)


def _placed(mistakes: Iterable[Mistake], document: Document, warning: bool = False) -> list[Problem]:
    return [document.problem(mistake, warning) for mistake in mistakes]


def _counts(scenario: Scenario) -> str:
    parts: dict[str, Sized] = {name: getattr(scenario, name) for name in ("services", "workloads", "checks", "faults", "variants")}
    return ", ".join(f"{len(part)} {name if len(part) != 1 else name.removesuffix('s')}" for name, part in parts.items() if part)
