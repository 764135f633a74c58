"""The first things that the page says: how the run ended, its checks, and what users saw before, during and after the faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reports.export.answered import answered
from reports.texts import Texts, Words, unparted
from sim.telemetry.codes import Outcome

if TYPE_CHECKING:
    from sim.telemetry.result import Requests, RunResult

PHASES = ("before", "during", "after")
GOOD = (Outcome.OK, Outcome.DEGRADED)


@dataclass(frozen=True)
class Check:
    """One judgement, ready to be read."""

    name: str
    about: str  # `latency.p99 of shoppers`
    passed: bool
    measured: str
    bound: str
    window: str
    phase: str = ""


@dataclass(frozen=True)
class Steady:
    """One condition of the steady state, with its judgement in each phase."""

    name: str
    about: str
    bound: str
    phases: Mapping[str, Check] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What users saw in one phase of the run."""

    phase: str
    window: str
    figures: Sequence[str]
    share_good: float  # 0..1, for a bar
    share_degraded: float
    any: bool  # whether there were requests of which to show shares


def checks(summary: Mapping[str, Any], words: Words) -> tuple[list[Steady], list[Check]]:
    """The steady state by condition and phase, and the checks that are judged once."""
    steady: dict[tuple[str, str], Steady] = {}
    alone: list[Check] = []
    for entry in summary.get("checks") or []:
        phase, title = str(entry.get("phase", "")), str(entry["title"])
        mark = f" {phase} the faults"
        check = _check(entry, words)
        if phase in PHASES and mark in title:
            title = title.replace(mark, "", 1)
            steady.setdefault((title, check.bound), Steady(title, check.about, check.bound, {}))
            steady[title, check.bound] = Steady(title, check.about, check.bound, {**steady[title, check.bound].phases, phase: check})
        else:
            alone.append(check)
    return list(steady.values()), alone


def _check(entry: Mapping[str, Any], words: Words) -> Check:
    measure, of = str(entry.get("measure", "")), str(entry.get("of") or "").replace("->", "→")
    until = entry.get("until_s")
    window = f"{words.moment(entry['from_s'])} – {words('to the end') if until is None else words.moment(until)}"
    about = " · ".join(part for part in (measure, of) if part)
    passed, value, bound = bool(entry["passed"]), entry["measured"], entry["bound"]
    measured = words.measure(measure, value) if passed else words.missed(measure, value, bound)
    return Check(str(entry["title"]), about, passed, measured,
                 words(str(entry["op"]), bound=words.measure(measure, bound)), window, str(entry.get("phase", "")))


def seen_by_users(result: RunResult, words: Words) -> list[Seen]:
    """Before, during and after the faults (all after the warm-up, where there are none): rates, shares and latencies."""
    return [_seen(phase, result.requests, start, until, words) for phase, start, until in _phases(result)]


def _phases(result: RunResult) -> Iterator[tuple[str, float, float]]:
    if not result.faults:
        yield "all", result.warmup, result.duration
        return
    first = max(min(fault.start for fault in result.faults), result.warmup)
    last = max(result.duration if fault.until is None else fault.until for fault in result.faults)
    for phase, start, until in (("before", result.warmup, first), ("during", first, last), ("after", last, result.duration)):
        if until > start:
            yield phase, start, until


def _seen(phase: str, requests: Requests, start: float, until: float, words: Words) -> Seen:
    import numpy as np

    mine = requests[(requests.intended >= start) & (requests.intended < until)]
    done, total = answered(mine), len(mine.finished)
    latency = np.sort(done.latency)
    good, degraded = (int((mine.outcome == outcome).sum()) / total if total else 0.0 for outcome in GOOD)
    shares = (good, degraded, max(0.0, 1 - good - degraded))
    figures = [f"{words.short(len(mine) / (until - start))}/s", *(words.percent(share) if total else "–" for share in shares)]
    figures += [words.seconds(float(np.quantile(latency, share))) if len(latency) else "–" for share in (0.5, 0.9, 0.99)]
    return Seen(phase, f"{words.moment(start)} – {words.moment(until)}", figures, good, degraded, total > 0)


def in_one_sentence(result: RunResult, texts: Texts) -> str:
    """`37,800 requests; 93.1 % answered as asked, 6.6 % degraded, 0.3 % failed.` Counted over the whole run."""
    counts, words = result.summary.get("requests") or {}, texts.words
    total = counts.get("started") or 0
    shares = [f"{words.percent(counts[outcome.name.lower()] / total)} {texts(f'outcome {outcome.name.lower()}')}"
              for outcome in Outcome if counts.get(outcome.name.lower())] if total else []
    return unparted(texts("requests in all" if total else "no requests", total=words.number(total), shares=", ".join(shares)))
