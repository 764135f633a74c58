"""Judges a run: the steady state before, during and after the faults, the checks, and what must stop it at once.

    warm-up ─▶ before ─▶ first fault ─ grace ─▶ during ─▶ last fault ends ─ grace ─▶ after ─▶ end
                │ fails: verdict `baseline`       └─────── fails: verdict `fail` ───────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sim.lab.measuring import Evidence, measured
from sim.lab.recovery import metastable, recovery_time
from sim.scenario.measures import AbortIf, Asked, Check, within
from sim.scenario.scenario import Scenario
from sim.telemetry.recorder import Recorder
from sim.telemetry.result import FaultInterval

LEAST_LOOK = 1.0  # seconds: in less, before the faults, only many requests are a verdict; abort_if looks back so far at least
LEAST_REQUESTS = 100  # that are many
LOSSES = ("lost", "dropped", "given_up", "expired")  # what becomes of a message that is neither handled nor kept
ENDS = ("success_ratio", "error_share", "amplification")  # like latencies these are of how calls end
BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(frozen=True)
class Phase:
    """A part of the run in which the steady state is judged."""

    name: str
    start: float
    until: float


def phases(intervals: Sequence[FaultInterval], warmup: float, end: float, grace: float) -> list[Phase]:
    """Before, during and after the faults; without those whose time is up before it begins. With no faults all of it is `before`."""
    if not intervals:
        return [Phase(BEFORE, warmup, end)]
    first = min(interval.start for interval in intervals)
    last = max(end if interval.until is None else interval.until for interval in intervals)
    three = [
        Phase(BEFORE, warmup, first),
        Phase(DURING, max(first, warmup) + grace, last),
        Phase(AFTER, max(last, warmup) + grace, end),
    ]
    return [phase for phase in three if phase.until > phase.start]


class Judge:
    """What a finished run comes to. *end* is when it ended, in seconds; *figures* are those of the summary."""

    def __init__(self, scenario: Scenario, evidence: Evidence, intervals: Sequence[FaultInterval], end: float,
                 figures: Mapping[str, Any]) -> None:
        self.scenario, self.evidence, self.intervals, self.end, self.figures = scenario, evidence, intervals, end, figures

    def checks(self) -> list[dict[str, Any]]:
        """The entries of summary.json's `checks`: the steady state, phase by phase, and then the checks."""
        return [*self._steady(), *self._windows()]

    def _steady(self) -> Iterator[dict[str, Any]]:
        for asked in self.scenario.steady_state:
            for phase in phases(self.intervals, self.scenario.warmup, self.end, asked.grace):
                title = f"{asked.title} {phase.name} the faults" if self.intervals else asked.title
                evidence = self._untouched(asked, phase) if phase.name == BEFORE and self.intervals else self.evidence
                if evidence is not None:  # else the first fault left no time to tell: nobody can say that the system was ill
                    yield from self._entries(asked, title, measured(evidence, asked, phase.start, phase.until), phase)

    def _untouched(self, asked: Asked, before: Phase) -> Evidence | None:
        """What the first fault has not changed: how calls end that it met under way says nothing of the time before. None if it met all
        of them, or if too few began in too short a time: what one of them does, or chance, would decide."""
        began = len(self.evidence.calls(asked.of or "").window(before.start, before.until).at)
        if before.until - before.start < LEAST_LOOK and began < LEAST_REQUESTS:
            return None
        if asked.measure not in ENDS and not asked.measure.startswith("latency."):
            return self.evidence
        ended = len(self._ended.calls(asked.of or "").window(before.start, before.until).at)
        return None if began and not ended else self._ended

    @cached_property
    def _ended(self) -> Evidence:
        """Without what the first fault met under way, and maybe ended in the same instant."""
        return self.evidence.ended_before(min(interval.start for interval in self.intervals))

    def _windows(self) -> Iterator[dict[str, Any]]:
        for check in self.scenario.checks:
            start = self.scenario.warmup if check.from_ is None else check.from_
            until = self.end if check.until is None else min(check.until, self.end)
            if start >= self.end and self.end < self.scenario.duration:  # the run ended before its window began: nothing to judge
                continue
            window = Phase("window", start, max(start, until))
            yield from self._entries(check, check.title, self._measured(check, window), window)

    def _measured(self, check: Check, window: Phase) -> float | None:
        if check.measure == "recovery_time":
            return recovery_time(self.evidence, self.scenario.steady_state, self.intervals, self.end)
        if check.measure == "metastable":
            return metastable(self.evidence, list(self.scenario.workloads), self.intervals, self.scenario.warmup, self.end)
        if check.measure == "lost_messages":
            return lost_messages(self.figures["brokers"][check.of])
        if check.measure == "lost_writes":
            return float(self.figures["databases"][check.of]["lost_writes"])
        return measured(self.evidence, check, window.start, window.until)

    @staticmethod
    def _entries(asked: Asked, title: str, value: float | None, window: Phase) -> Iterator[dict[str, Any]]:
        """One entry for each bound; what could not be measured has not held. *name* is the scenario's word for it, *title* tells it from
        the same condition in another phase, or with another bound."""
        bounds = list(asked.bounds())
        for key, bound in bounds:
            yield {
                "name": asked.title, "title": title if len(bounds) == 1 else f"{title} ({key.replace('_', ' ')})",
                "passed": value is not None and within(value, key, bound), "measured": value, "op": key, "bound": bound,
                "from_s": window.start, "until_s": window.until, "measure": asked.measure, "of": asked.of, "phase": window.name,
            }


def lost_messages(broker: Mapping[str, Any]) -> float:
    """Of a broker's figures: what never reached it although nobody was told, and what its consumers will never handle. Dead letters
    are kept, and not lost."""
    unheard_of = max(0, broker["published"] - broker["received"]) if broker["delivery"] == "at_most_once" else 0  # some may come twice
    return float(unheard_of + sum(group.get(word, 0) for group in broker["groups"].values() for word in LOSSES))


def verdict_of(checks: Sequence[Mapping[str, Any]]) -> str:
    """`pass`, `baseline` if the system was not well before anything happened, or `fail`."""
    failed = [check for check in checks if not check["passed"]]
    if any(check["phase"] == BEFORE for check in failed):
        return "baseline"
    return "fail" if failed else "pass"


class Watch:
    """Judges `abort_if` at each sampling step of a run."""

    def __init__(self, conditions: Sequence[AbortIf], recorder: Recorder, warmup: float, step: float) -> None:
        self._warmup = warmup
        self._conditions = list(conditions)
        self._look = {id(one): max(step, LEAST_LOOK if one.over is None else one.over) for one in conditions}
        self._since: dict[int, float] = {}  # since when a condition has held
        self._recent = Recent(recorder, max(self._look.values(), default=0.0))

    def step(self, now: float) -> dict[str, Any] | None:
        """Call after each sample; what stops the run, or None."""
        if not self._conditions:
            return None
        evidence = self._recent.evidence(now)
        if now <= self._warmup:
            return None
        for number, condition in enumerate(self._conditions):
            value = measured(evidence, condition, max(now - self._look[id(condition)], self._warmup), now)
            if value is None:  # nothing ended: that changes nothing
                continue
            if not all(within(value, key, bound) for key, bound in condition.bounds()):
                self._since.pop(number, None)
            elif now - self._since.setdefault(number, now) >= condition.for_:
                return {"name": condition.title, "measure": condition.measure, "of": condition.of, "measured": value, "at_s": now}
        return None


class Recent:
    """The rows of the last *keep* seconds of a run that goes on."""

    def __init__(self, recorder: Recorder, keep: float) -> None:
        self._recorder, self._keep = recorder, keep
        self._seen = {"requests": 0, "spans": 0, "samples": 0}
        self._chunks: dict[str, list[tuple[float, Any]]] = {name: [] for name in self._seen}

    def evidence(self, now: float) -> Evidence:
        """What can be measured now."""
        requests, spans, samples = (self._rows(name, now) for name in self._seen)
        return Evidence(self._recorder.names(), requests, spans, samples, self._recorder.events, by_end=True)

    def _rows(self, name: str, now: float) -> Any:
        import numpy as np

        table, chunks = getattr(self._recorder, name), self._chunks[name]
        chunks.append((now, table.since(self._seen[name])))
        self._seen[name] = len(table)
        while chunks[0][0] < now - self._keep:
            chunks.pop(0)
        joined = b"".join([rows.tobytes() for _, rows in chunks])  # np.concatenate looks at each field of each array
        return np.frombuffer(joined, dtype=chunks[-1][1].dtype) if joined else chunks[-1][1]
