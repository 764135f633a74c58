"""What a plan did, told along time: which measure broke, and along which edges it spread, compared with the good run of the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sim.telemetry.codes import Outcome, SpanKind
from sim.telemetry.result import RunResult

LOOKS = 120  # parts that the run is looked at in
NOTICEABLE = 0.05  # of an edge's calls fail more than in the good run
SLOWER = 2.0  # times the mean latency of the good run
LEAST = 0.005  # seconds; what is slower by less than that is not told
FEW = 5  # calls; of fewer in a part of the run nothing is said


@dataclass(frozen=True)
class Onset:
    """When an edge first differed from the good run, and how."""

    at: float
    edge: str
    what: str


def told(bad: RunResult, good: RunResult, since: float) -> list[str]:
    """Lines for people: what broke, then how it spread, in the order of time."""
    lines = [f"broken: {check['title']}: {_value(check['measured'])}, bound {check['op'].replace('_', ' ')} {_value(check['bound'])}"
             for check in bad.summary["checks"] if not check["passed"]]
    spread = sorted(onsets(bad, good, since), key=lambda onset: (onset.at, onset.edge))
    return lines + [f"t={onset.at:.1f}s  {onset.edge} {onset.what}" for onset in spread]


def onsets(bad: RunResult, good: RunResult, since: float) -> Iterator[Onset]:
    """For each edge that came to differ after *since* seconds, when and how."""
    import numpy as np

    width = bad.duration / LOOKS
    bins = np.arange(LOOKS + 1) * width
    usual = {edge: _profile(rows, bins) for edge, rows in _by_edge(good)}
    for edge, rows in _by_edge(bad):
        if edge not in usual:
            continue
        failed, latency = _profile(rows, bins)
        failed_before, latency_before = usual[edge]
        fails = failed > failed_before + NOTICEABLE
        slow = (latency > SLOWER * latency_before) & (latency > latency_before + LEAST)
        for look in np.flatnonzero((fails | slow) & (bins[:-1] >= since - width))[:1]:
            what = (f"fails {failed[look]:.0%} of its calls" if fails[look]
                    else f"takes {1000 * latency[look]:.0f} ms instead of {1000 * latency_before[look]:.0f} ms")
            yield Onset(float(max(bins[look], since)), edge, what)


def _by_edge(result: RunResult) -> Iterator[tuple[str, Any]]:
    import numpy as np

    calls = result.spans.of(SpanKind.CLIENT).rows
    keys = (calls["node"].astype(np.uint32) << 16) | calls["peer"]
    order = np.argsort(keys, kind="stable")
    names = result.names.nodes
    kinds, first = np.unique(keys[order], return_index=True)
    for key, rows in zip(kinds.tolist(), np.split(calls[order], first[1:]), strict=True):
        yield f"{names[key >> 16]}->{names[key & 0xFFFF]}", rows


def _profile(rows: Any, bins: Any) -> tuple[Any, Any]:
    """Share of failed calls and mean latency in each part of the run, by the start of the call; NaN where there was none."""
    import numpy as np

    look = np.clip(np.digitize(rows["start"], bins) - 1, 0, len(bins) - 2)
    many = np.bincount(look, minlength=len(bins) - 1).astype(float)
    many[many < FEW] = np.nan
    failed = np.bincount(look, weights=rows["outcome"] >= Outcome.FAILED, minlength=len(bins) - 1) / many
    latency = np.bincount(look, weights=rows["end"] - rows["start"], minlength=len(bins) - 1) / many
    return failed, latency


def _value(value: float | None) -> str:
    return "nothing measured" if value is None else f"{value:.4g}"
