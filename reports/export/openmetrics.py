"""Metrics as OpenMetrics text with simulated timestamps: `promtool tsdb create-blocks-from openmetrics metrics.om DIR` loads it.

Timestamps are seconds (Prometheus' own older format has milliseconds), a counter's samples end in `_total`, a family with
a unit ends in it, all lines of one label set stand together in the order of time, and `# EOF` ends the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .counting import Grid, Histogram

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult


@dataclass(frozen=True)
class Family:
    """A metric: *name* without the suffixes of its samples, and its series as (labels, values at each scrape).

    Values are an array for a counter or a gauge, a `Histogram` for a histogram or a summary.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "summary"]
    help: str
    series: Iterable[tuple[str, Any]]
    unit: str = ""
    bounds: tuple[float, ...] = ()


def lines(result: RunResult) -> Iterator[str]:
    """The document, in pieces of a series each. A family without series is left out."""
    from .families import families

    grid = Grid(result.duration)
    for family in families(result, grid):
        opening = _opening(family)
        for labels, values in family.series:
            yield opening + _SAMPLES[family.kind](family, labels, values, grid.stamps)
            opening = ""
    yield "# EOF\n"


def labels_text(labels: Mapping[str, object]) -> str:
    """`a="b",c="d"`, without those that are empty: Prometheus takes an empty label for a missing one."""
    return ",".join([f'{name.replace(".", "_")}="{_escaped(str(value))}"' for name, value in labels.items() if value not in ("", None)])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _opening(family: Family) -> str:
    unit = f"# UNIT {family.name} {family.unit}\n" if family.unit else ""
    return f"# TYPE {family.name} {family.kind}\n{unit}# HELP {family.name} {_escaped(family.help)}\n"


def _counter(family: Family, labels: str, values: Any, stamps: list[str]) -> str:
    sample = f"{family.name}_total{_braces(labels)}"
    return "".join([f"{sample} {value} {stamp}\n" for value, stamp in zip(values.tolist(), stamps, strict=True)])


def _gauge(family: Family, labels: str, values: Any, stamps: list[str]) -> str:
    sample = f"{family.name}{_braces(labels)}"
    return "".join([f"{sample} {_number(value)} {stamp}\n" for value, stamp in zip(values.tolist(), stamps, strict=True)])


def _histogram(family: Family, labels: str, values: Histogram, stamps: list[str]) -> str:
    comma = "," if labels else ""
    bounds = [*(f"{bound!r}" for bound in family.bounds), "+Inf"]
    buckets = [f'{family.name}_bucket{{{labels}{comma}le="{bound}"}}' for bound in bounds]
    count, total = f"{family.name}_count{_braces(labels)}", f"{family.name}_sum{_braces(labels)}"
    pieces = []
    for below, sum_, stamp in zip(values.buckets.tolist(), values.sums.tolist(), stamps, strict=True):
        pieces += [f"{bucket} {number} {stamp}\n" for bucket, number in zip(buckets, below, strict=True)]
        pieces.append(f"{count} {below[-1]} {stamp}\n{total} {_number(sum_)} {stamp}\n")
    return "".join(pieces)


def _summary(family: Family, labels: str, values: Histogram, stamps: list[str]) -> str:
    count, total = f"{family.name}_count{_braces(labels)}", f"{family.name}_sum{_braces(labels)}"
    both = zip(values.buckets[:, -1].tolist(), values.sums.tolist(), stamps, strict=True)
    return "".join([f"{count} {number} {stamp}\n{total} {_number(sum_)} {stamp}\n" for number, sum_, stamp in both])


_SAMPLES = {"counter": _counter, "gauge": _gauge, "histogram": _histogram, "summary": _summary}


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    """At most nine digits: a sum of a million latencies needs no more, and the file is a third smaller."""
    return f"{value:.9g}" if value == value else "NaN"
