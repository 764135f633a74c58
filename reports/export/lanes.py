"""Slices that must nest, on as few threads as they need: the first free lane, or under the parent where it fits there."""

from __future__ import annotations

import heapq


class Lane:
    """A thread of the timeline; *open* are the slices that it is inside of, as (span id, end), outermost first."""

    __slots__ = ("number", "open", "tid")

    def __init__(self, number: int, tid: int) -> None:
        self.number, self.tid = number, tid
        self.open: list[tuple[int, int]] = []


class Lanes:
    """The threads of one instance. Slices come in the order of their starts."""

    def __init__(self) -> None:
        self.all: list[Lane] = []
        self.free: list[int] = []  # numbers of lanes without an open slice, a heap: the lowest is used first
        self.busy: list[tuple[int, int]] = []  # (end of the outermost slice, number), a heap
        self.inside: dict[int, Lane] = {}  # by the id of an open slice

    def place(self, span: int, parent: int, start: int, end: int) -> Lane | None:
        """The lane where the slice nests: under its parent, if that is the innermost there, or a free one; None: one more is needed."""
        while self.busy and self.busy[0][0] <= start:
            _, number = heapq.heappop(self.busy)
            self._leave(self.all[number], start)
            heapq.heappush(self.free, number)
        lane = self.inside.get(parent)
        if lane is not None:
            self._leave(lane, start)
            if lane.open and lane.open[-1][0] == parent and lane.open[-1][1] >= end:
                self._enter(lane, span, end)
                return lane
        return self.take(self.all[heapq.heappop(self.free)], span, end) if self.free else None

    def take(self, lane: Lane, span: int, end: int) -> Lane:
        """Make the slice the outermost one of *lane*."""
        heapq.heappush(self.busy, (end, lane.number))
        self._enter(lane, span, end)
        return lane

    def _enter(self, lane: Lane, span: int, end: int) -> None:
        lane.open.append((span, end))
        self.inside[span] = lane

    def _leave(self, lane: Lane, now: int) -> None:
        while lane.open and lane.open[-1][1] <= now:
            self.inside.pop(lane.open.pop()[0], None)
