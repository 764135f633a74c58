"""The life of the breakers of an edge in a few moments: opened, tried in vain, closed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reports.charts.states import TRANSITION

from .moments import Clock, Moment

if TYPE_CHECKING:
    from sim.telemetry.result import RunResult

MOST_EPISODES = 4  # of one edge; more are told in one sentence
OPEN = ("open", "forced_open")


@dataclass
class Episode:
    """From the first breaker of an edge that opened until all of them were closed; None if that never happened."""

    opened: dict[str, float] = field(default_factory=dict)  # by caller, when first
    failed_probes: list[float] = field(default_factory=list)
    end: float | None = None

    @property
    def start(self) -> float:
        """When the first one opened."""
        return min(self.opened.values())


def episodes(result: RunResult) -> dict[str, list[Episode]]:
    """By edge, in order."""
    found: dict[str, list[Episode]] = {}
    state: dict[tuple[str, str], str] = {}
    for event in result.events:
        if event["kind"] != TRANSITION:
            continue
        edge, caller, at = str(event["edge"]), str(event.get("caller", "")), float(event["at"])
        source, target = str(event["source"]).lower(), str(event["target"]).lower()
        mine = found.setdefault(edge, [])
        state[edge, caller] = target
        if target in OPEN:
            if not mine or mine[-1].end is not None:
                mine.append(Episode())
            mine[-1].opened.setdefault(caller, at)
            if source == "half_open":
                mine[-1].failed_probes.append(at)
        elif mine and mine[-1].end is None and all(now == "closed" for (where, _), now in state.items() if where == edge):
            mine[-1].end = at
    return found


def breaker_moments(result: RunResult, clock: Clock) -> Iterator[Moment]:
    """The moments of all edges with a breaker that ever opened."""
    for edge, found in episodes(result).items():
        if len(found) > MOST_EPISODES:
            last = found[-1].end or result.duration
            parts = clock.tell("breaker flaps", edge=_arrow(edge), count=clock.words.number(len(found)), until=clock.at(last))
            yield Moment(found[0].start, 3, parts, "bad", last, weight=6)
            continue
        for episode in found:
            yield from _episode(result, clock, edge, episode)


def _episode(result: RunResult, clock: Clock, edge: str, episode: Episode) -> Iterator[Moment]:
    words, start, end, name = clock.words, episode.start, episode.end, _arrow(edge)
    yield Moment(start, 3, _opening(clock, name, episode), "bad", end, weight=7)
    if episode.failed_probes:
        first, last, count = episode.failed_probes[0], episode.failed_probes[-1], words.number(len(episode.failed_probes))
        yield Moment(first, 4, clock.tell("probes failed", edge=name, count=count, until=clock.at(last)), "warn", last, weight=4)
    refused = sum(event["kind"] == "circuit_breaker.rejected" and event["edge"] == edge and start <= event["at"] <= (end or result.duration)
                  for event in result.events)
    count = words.number(refused)
    if end is None:
        yield Moment(result.duration, 5, clock.tell("breaker stayed open", edge=name, count=count), "bad", weight=6)
    else:
        parts = clock.tell("breaker closed", edge=name, seconds=clock.length(end - start), after=clock.after(end), count=count)
        yield Moment(end, 5, parts, "good", weight=6)


def _opening(clock: Clock, name: str, episode: Episode) -> list[tuple[str, bool]]:
    first, last = min(episode.opened, key=lambda caller: episode.opened[caller]), max(episode.opened.values())
    about = {"edge": name, "caller": first or name.split("→")[0], "after": clock.after(episode.start)}
    if len(episode.opened) == 1:
        return clock.tell("breaker opened", **about)
    return clock.tell("breakers opened", **about, count=len(episode.opened), seconds=clock.length(last - episode.start))


def _arrow(edge: str) -> str:
    return edge.replace("->", "→")
