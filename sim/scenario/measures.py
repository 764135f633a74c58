"""What is measured, and what is asked of it: `steady_state`, `checks` and `abort_if`.

    {name: fast, measure: latency.p99, of: shoppers, at_most: 400ms}

`of` names a workload, a service (or database, cache, broker ...) or a call edge `orders->payments`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from sim.mistakes import Mistake, did_you_mean, invalid, shown
from sim.spec import Spec
from sim.telemetry.codes import Reason
from sim.units import Duration, parse_duration, parse_rate, parse_share

WORKLOAD, SERVICE, EDGE, BROKER = "workload", "service", "call edge", "broker"
STORES = (BROKER, "database")
ANY = (WORKLOAD, SERVICE, EDGE)
_STATUS = re.compile(r"[1-5]xx|[1-5][0-9][0-9]")
_PERCENTILE = re.compile(r"latency\.p(\d{1,2}(?:\.\d+)?|999)")


def _number(text: str) -> float:
    raise ValueError(f"{text!r} is no number: remove the quotes")


def _short(number: float, digits: int) -> str:
    """With so many digits, but those before the point are all there."""
    return f"{number:.{digits}g}" if abs(number) < 10.0**digits else f"{number:.0f}"


@dataclass(frozen=True)
class Unit:
    """How a bound is written."""

    word: str
    example: str
    parse: Callable[[str], float]
    write: Callable[[float, int], str]  # in so many digits


SHARE = Unit("share", "99%", parse_share, lambda share, digits: f"{_short(100 * share, digits)}%")
TIME = Unit("duration", "400ms", parse_duration,
            lambda time, digits: f"{_short(1000 * time, digits)}ms" if time < 1 else f"{_short(time, digits)}s")
RATE = Unit("rate", "190/s", parse_rate, lambda rate, digits: f"{_short(rate, digits)}/s")
NUMBER = Unit("number", "1.5", _number, _short)
DIGITS = (4, 6, 9, 17)  # as few as tell a number from its bound


@dataclass(frozen=True)
class Measure:
    """One thing that can be measured, *of* which parts (nothing: of the whole run), and in which *unit*."""

    text: str
    unit: Unit
    of: tuple[str, ...] = ()


MEASURES: dict[str, Measure] = {
    "success_ratio": Measure("answered as asked, degraded or not, of those that came to an end; what its caller has called off is left out",
                             SHARE, ANY),
    "goodput": Measure("answered as asked a second, degraded answers left out", RATE, ANY),
    "throughput": Measure("served a second, well or badly; what was refused is left out", RATE, ANY),
    "offered": Measure("begun a second", RATE, ANY),
    "error_share": Measure("failed or refused, of those that success_ratio is of; with `status` those of that status alone", SHARE, ANY),
    "latency.mean": Measure("mean time of those that were answered, good or bad; a workload's counts from the intended start", TIME, ANY),
    "latency.max": Measure("longest time", TIME, ANY),
    "latency.p99": Measure("percentile of the times; any number after the p, as p50, p99.9", TIME, ANY),
    "attempts": Measure("attempts a second, retries and hedges included", RATE, (EDGE,)),
    "amplification": Measure("attempts for each call", NUMBER, (EDGE,)),
    "breaker_open_share": Measure("share of the time that the callers' breakers were open, averaged over the callers", SHARE, (EDGE,)),
    "queue": Measure("requests waiting for a worker, all instances together, averaged over time", NUMBER, (SERVICE,)),
    "queue.max": Measure("most requests that waited at a time", NUMBER, (SERVICE,)),
    "utilisation": Measure("share of the workers that were busy", SHARE, (SERVICE,)),
    "in_flight": Measure("requests under way, averaged over time", NUMBER, (WORKLOAD,)),
    "lag": Measure("messages that no consumer has settled, or events that a projection has not seen, averaged over time", NUMBER, STORES),
    "lag.max": Measure("most of them at a time", NUMBER, STORES),
    "lost_writes": Measure("writes that were answered and that a failover has lost, in the whole run", NUMBER, ("database",)),
    "lost_messages": Measure("messages that were published and that nobody will ever handle, in the whole run", NUMBER, (BROKER,)),
    "stuck_sagas": Measure("sagas that could be neither completed nor undone", NUMBER),
    "recovery_time": Measure("from the end of the last fault until the steady state holds again", TIME),
    "metastable": Measure("1 if the goodput stays lost although the faults are over and nothing drains, else 0", NUMBER),
}
OF_THE_RUN = frozenset({"recovery_time", "metastable", "lost_messages", "lost_writes"})  # not of a window


def percentile(measure: str) -> float | None:
    """0.99 of `latency.p99`, 0.999 of `latency.p999` and `latency.p99.9`; None of any other measure."""
    found = _PERCENTILE.fullmatch(measure)
    if found is None:
        return None
    return 0.999 if found[1] == "999" else float(found[1]) / 100


def find_measure(name: str) -> Measure | None:
    """The measure of that name."""
    return MEASURES["latency.p99"] if percentile(name) is not None else MEASURES.get(name)


class Asked(Spec):
    """A measure and its bounds; one of *at_least*, *at_most* or both, written in the measure's unit."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    measure: str
    of: str | None = None
    status: str | int | None = None  # of error_share: 503, 5xx, or a reason such as timeout
    at_least: Any = None
    at_most: Any = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Asked:
        measure = find_measure(self.measure)
        if measure is None:
            raise invalid(Mistake(("measure",), f"unknown measure {self.measure!r}", did_you_mean(self.measure, MEASURES)))
        if measure.of and self.of is None:
            raise invalid(Mistake((), f"{self.measure} of what?", f"add `of:` with the name of a {' or '.join(measure.of)}"))
        if not measure.of and self.of is not None:
            raise invalid(Mistake(("of",), f"{self.measure} is of the whole run", "remove `of`"))
        if self.at_least is None and self.at_most is None:
            raise invalid(Mistake((), "nothing is asked of the measure", f"add `at_least: {measure.unit.example}` or `at_most: ...`"))
        self._check_status()
        for key in ("at_least", "at_most"):
            self._check_bound(key, measure.unit)
        bounds = dict(self.bounds())
        if len(bounds) == 2 and bounds["at_least"] > bounds["at_most"]:
            raise invalid(Mistake(("at_least",), f"no value is at least {self.at_least} and at most {self.at_most}",
                                  "make it smaller than `at_most`, or take one of them out"))
        return self

    def _check_status(self) -> None:
        if self.status is None:
            return
        if self.measure != "error_share":
            raise invalid(Mistake(("status",), "`status` goes with error_share alone", "remove it, or write `measure: error_share`"))
        known = {reason.name.lower() for reason in Reason}
        if not _STATUS.fullmatch(str(self.status)) and self.status not in known:
            raise invalid(Mistake(("status",), f"{shown(self.status)} is no status",
                                  f"write 503, 5xx or one of {', '.join(sorted(known))}"))

    def _check_bound(self, key: str, unit: Unit) -> None:
        written = getattr(self, key)
        if written is None:
            return
        number = isinstance(written, int | float) and not isinstance(written, bool)
        if number != (unit is NUMBER) or not (number or isinstance(written, str)):
            raise invalid(Mistake((key,), f"should be a {unit.word}, not {shown(written)}", f"write it as in {unit.example}"))
        if not number:
            try:
                unit.parse(written)
            except ValueError as error:
                cause, _, cure = str(error).rpartition(": ")
                raise invalid(Mistake((key,), cause, cure)) from None

    def bounds(self) -> Iterator[tuple[str, float]]:
        """(`at_least` or `at_most`, the number)."""
        unit = self.found.unit
        for key in ("at_least", "at_most"):
            written = getattr(self, key)
            if written is not None:
                yield key, unit.parse(written) if isinstance(written, str) else float(written)

    @property
    def found(self) -> Measure:
        """The measure itself."""
        measure = find_measure(self.measure)
        assert measure is not None
        return measure

    @property
    def title(self) -> str:
        """The name, or what is measured."""
        status = f" {self.status}" if self.status is not None else ""
        return self.name or f"{self.measure}{status}" + (f" of {self.of}" if self.of else "")


def within(value: float, key: str, bound: float) -> bool:
    """Whether *value* keeps the bound called *key*; exactly on it does."""
    return value >= bound if key == "at_least" else value <= bound


def told(value: float | None, measure: str, bound: float | None = None) -> str:
    """*value* of a *measure*, written as in a scenario: `98.02%`, `412ms`; in more digits where it reads as a *bound* that it is not."""
    if value is None:
        return "nothing measured"
    found = find_measure(measure)
    unit = NUMBER if found is None else found.unit
    texts = [(unit.write(value, digits), None if bound is None or bound == value else unit.write(bound, digits)) for digits in DIGITS]
    return next((text for text, other in texts if text != other), texts[-1][0])


class SteadyState(Asked):
    """Must hold before, during and after the faults; for *grace* after the first fault begins and after the last one ends it need not."""

    grace: Duration = 0.0

    @model_validator(mode="after")
    def _of_a_window(self) -> SteadyState:
        if self.measure in OF_THE_RUN:
            raise invalid(Mistake(("measure",), f"{self.measure} is known only at the end", "ask for it under `checks`"))
        return self


class Check(Asked):
    """Judged once, over what began between *from* (default: the end of the warm-up) and *until* (default: the end)."""

    from_: Duration | None = Field(default=None, alias="from")
    until: Duration | None = None

    @model_validator(mode="after")
    def _forwards(self) -> Check:
        if self.from_ is not None and self.until is not None and self.until <= self.from_:
            raise invalid(Mistake(("until",), "the window ends before it begins", "let `until` be later than `from`"))
        return self


class AbortIf(Asked):
    """Stops the run when the measure has kept the bound for so long: at each sampling step, over what ended in the last *over*
    (default: the last second, or the last step where that is longer). Not judged during the warm-up."""

    for_: Duration = Field(default=0.0, alias="for")
    over: Duration | None = None

    @model_validator(mode="after")
    def _while_it_runs(self) -> AbortIf:
        if self.measure in OF_THE_RUN:
            raise invalid(Mistake(("measure",), f"{self.measure} is known only at the end", "ask for it under `checks`"))
        return self


def measure_mistakes(asked: Asked, parts: Mapping[str, tuple[str, ...]]) -> Iterator[Mistake]:
    """What does not fit a scenario with *parts* (by name what they are: workload, service, call edge ...); places count from *asked*."""
    wanted, of = asked.found.of, asked.of
    if of is None or set(parts.get(of, ())) & set(wanted):
        return
    known = [name for name, kinds in parts.items() if set(kinds) & set(wanted)]
    what = f"there is no {' or '.join(wanted)} {of!r}"
    if of in parts:
        what = f"{asked.measure} is of a {' or '.join(wanted)}, and {of!r} is a {parts[of][-1]}"
    yield Mistake(("of",), what, did_you_mean(of, known) or f"the scenario has no {' and no '.join(wanted)}")


JUDGEMENTS: dict[str, type[Asked]] = {"steady_state": SteadyState, "checks": Check, "abort_if": AbortIf}  # where a scenario asks
