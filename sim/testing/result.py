"""What a test asserts on: a finished run, and measures of it in the words of a scenario's checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from sim.errors import InvalidInput
from sim.lab.experiment import Judge
from sim.lab.measuring import Evidence
from sim.mistakes import Mistake, mistakes
from sim.scenario.measures import NUMBER, Check, find_measure, told
from sim.scenario.scenario import Scenario
from sim.scenario.trial import check_measures
from sim.telemetry.result import RunResult
from sim.units import format_duration


@dataclass(frozen=True, repr=False)
class LabResult(RunResult):
    """A RunResult (`summary`, `requests`, `spans`, `events`, `logs`, `faults`, `digest` ...) that can be asked for measures.

    `of` may be left out where a single workload is all that it can mean; times are simulated seconds, or a text with its unit.
    """

    experiment: Scenario = field(kw_only=True, repr=False)

    def measure(self, measure: str, of: str | None = None, *, from_: float | str | None = None, until: float | str | None = None,
                status: str | int | None = None) -> float:
        """One of a scenario's measures over a window, as a plain number (shares 0..1, times in seconds); NaN: nothing was measured."""
        found = find_measure(measure)
        bound = 0 if found is None or found.unit is NUMBER else found.unit.example
        (entry,) = self._judged({"measure": measure, "of": of, "from": from_, "until": until, "status": status, "at_least": bound})
        return float("nan") if entry["measured"] is None else float(entry["measured"])

    def expect(self, measure: str, of: str | None = None, *, at_least: Any = None, at_most: Any = None, from_: float | str | None = None,
               until: float | str | None = None, status: str | int | None = None) -> None:
        """Raise AssertionError where a measure does not keep its bounds, which are written as in a scenario: `at_least="99%"`."""
        __tracebackhide__ = True
        asked = {"measure": measure, "of": of, "from": from_, "until": until, "status": status, "at_least": at_least, "at_most": at_most}
        for entry in self._judged(asked):
            if not entry["passed"]:
                value, bound = entry["measured"], entry["bound"]
                measured = "nothing was measured" if value is None else f"it is {told(value, measure, bound)}"
                window = f"{entry['from_s']:g} s to {entry['until_s']:g} s"
                wanted = f"{entry['op'].replace('_', ' ')} {told(bound, measure)}"
                raise AssertionError(f"{entry['name']}, {window}: expected {wanted}, and {measured}")

    def events_of(self, kind: str) -> list[Mapping[str, Any]]:
        """The recorded events of one kind, in order: `fault.on`, `instance.down`, `handler.error` ..."""
        return [event for event in self.events if event["kind"] == kind]

    def _judged(self, asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        given = {key: value for key, value in asked.items() if value is not None}
        for key in ("from", "until"):
            if isinstance(given.get(key), int | float):
                given[key] = format_duration(float(given[key]))
        found = find_measure(asked["measure"])
        if "of" not in given and found is not None and "workload" in found.of and len(self.names.workloads) == 1:
            given["of"] = self.names.workloads[0]
        entries = Judge(self._asking(given), self._evidence, self.faults, self.duration, self.summary).checks()
        return [entry for entry in entries if entry["phase"] == "window"]

    def _asking(self, asked: Mapping[str, Any]) -> Scenario:
        """The scenario with this as its only check; raise InvalidInput where it makes no sense."""
        try:
            check = Check.model_validate(asked)
        except ValidationError as error:
            raise InvalidInput(_told(mistakes(error, cls=Check))) from None
        scenario = self.experiment.model_copy(update={"checks": [check]})
        wrong = check_measures(scenario)
        if wrong:
            raise InvalidInput(_told(wrong))
        return scenario

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence(self.names, self.requests.rows, self.spans.rows, self.samples, self.events)


def lab_result(run: RunResult, experiment: Scenario) -> LabResult:
    """*run*, with its scenario."""
    return LabResult(**{one.name: getattr(run, one.name) for one in fields(RunResult)}, experiment=experiment)


def _told(wrong: Sequence[Mistake]) -> str:
    return "\n".join(": ".join(filter(None, (one.what, one.cure))) for one in wrong)
