"""Making a plan that breaks the system smaller while it still does: fewer faults, fewer instances, gradual means in the place of total
ones, less severe, shorter.

Each step halves its way down a ladder, on the assumption that what is worse breaks the system too; whatever is kept was run, and broke
it. The order is that of a reader's interest: first whether a fault is needed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim.lab.explore.strikes import LENGTHS, Strike

Breaks = Callable[[Sequence[Strike]], bool]


def shrunk(plan: list[Strike], breaks: Breaks, every: Sequence[Strike] = ()) -> list[Strike]:
    """The smallest plan that was found on the way down from *plan*; *breaks* runs one. *every*: what could be in the place of a strike."""
    plan = _fewer(plan, breaks)
    for index in range(len(plan)):
        plan = _narrower(plan, index, breaks)
        plan = _gradual(plan, index, breaks, every)
        plan = _milder(plan, index, breaks)
        plan = _shorter(plan, index, breaks)
    return plan


def _with(plan: list[Strike], index: int, strike: Strike) -> list[Strike]:
    return [*plan[:index], strike, *plan[index + 1 :]]


def _fewer(plan: list[Strike], breaks: Breaks) -> list[Strike]:
    for strike in list(plan):
        without = [other for other in plan if other is not strike]
        if without and breaks(without):
            plan = without
    return plan


def _narrower(plan: list[Strike], index: int, breaks: Breaks) -> list[Strike]:
    """One instance in the place of all."""
    strike = plan[index]
    target = dict(strike.target)
    if target.get("mode") != "all":
        return plan
    one = _with(plan, index, strike.changed(target=tuple({**target, "mode": "one"}.items())))
    return one if breaks(one) else plan


def _gradual(plan: list[Strike], index: int, breaks: Breaks, every: Sequence[Strike]) -> list[Strike]:
    """A fault of the same part that can be less severe, in the place of one that cannot."""
    strike = plan[index]
    if strike.means.field is not None:
        return plan
    for other in every:
        if other.part == strike.part and other.means.field is not None and _mode(other) == _mode(strike):
            instead = _with(plan, index, other.changed(at=strike.at, length=strike.length))
            if breaks(instead):
                return instead
    return plan


def _mode(strike: Strike) -> object:
    return dict(strike.target).get("mode")


def _milder(plan: list[Strike], index: int, breaks: Breaks) -> list[Strike]:
    return _least(plan, index, range(plan[index].rung + 1), lambda strike, rung: strike.changed(rung=rung), breaks)


def _shorter(plan: list[Strike], index: int, breaks: Breaks) -> list[Strike]:
    strike = plan[index]
    if strike.means.momentary:
        return plan
    lengths = [length for length in LENGTHS if length <= strike.length]
    return _least(plan, index, lengths, lambda strike, length: strike.changed(length=length), breaks)


def _least(plan: list[Strike], index: int, values: Sequence[int], change: Callable[[Strike, int], Strike], breaks: Breaks) -> list[Strike]:
    """With the least of *values* (in order, the last of which is known to break it) that still breaks it."""
    low, high = 0, len(values) - 1
    best = plan
    while low < high:
        middle = (low + high) // 2
        smaller = _with(plan, index, change(plan[index], values[middle]))
        if breaks(smaller):
            best, high = smaller, middle
        else:
            low = middle + 1
    return best
