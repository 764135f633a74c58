"""How long steps and nodes take by themselves, and how often a step inside another one runs; means, in seconds, unless it is said.

Kinds are told apart by their words, so that none is loaded that no file names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, takewhile
from typing import Any

from sim.mistakes import Loc
from sim.model.node import NodeSpec
from sim.model.paths import Target
from sim.model.queries import Query
from sim.model.steps import Choose, Parallel, Repeat, Sleep, Step, Work
from sim.sampling import Distribution

from .walk import word_of

Inner = Iterator[tuple[float, list[Step], Loc]]


def own_time(spec: NodeSpec) -> float | None:
    """How long a node takes that calls nobody; None for one whose time is that of its steps."""
    law = own_law(spec)
    return law.expectation() if law is not None else None


def own_law(spec: NodeSpec) -> Distribution | None:
    """The distribution of that time."""
    law = _OWN_LAWS.get(spec.word)
    return law(spec) if law is not None else None


_OWN_LAWS: Mapping[str, Callable[[Any], Distribution]] = {
    "broker": lambda spec: spec.latency,
    "database": lambda spec: spec.query,
    "cache": lambda spec: spec.latency,
    "external": lambda spec: spec.latency,
}


def query_time(step: Step) -> float | None:
    """How long a query takes that says so itself."""
    return step.time.expectation() if isinstance(step, Query) and step.time is not None else None


def transaction(step: Step) -> list[Step]:
    """The steps of a transaction."""
    return (step.transaction or []) if isinstance(step, Query) else []


def statements(step: Step) -> Iterator[Step]:
    """The statements in a transaction, which are asked over the connection that it has."""
    for _, inner, _ in steps_of(transaction(step), (), 1.0):
        if isinstance(inner, Query) and isinstance(step, Query) and inner.database == step.database:
            yield inner


def sure_calls(step: Step) -> Iterator[Target]:
    """The calls that a step makes each time: of a look-up's two, the second stores what it missed."""
    return islice(step.targets(), 1 if word_of(step) == "cache" else None)


def steps_time(steps: list[Step], call_time: Callable[[Step], float]) -> float:
    """How long a list of steps takes; *call_time* is what a step spends on its own calls."""
    total, going_on = 0.0, 1.0
    for step in _before_answer(steps):
        total += going_on * _step_time(step, call_time)
        going_on *= 1 - answers(step)
    return total


def _step_time(step: Step, call_time: Callable[[Step], float]) -> float:
    if isinstance(step, Work | Sleep):
        return step.time.expectation()
    if isinstance(step, Query):
        return call_time(step)  # a transaction is as long as its steps
    inside = [times * steps_time(inner, call_time) for times, inner, _ in inner_steps(step)]
    if isinstance(step, Parallel):
        return sorted(inside)[(step.quorum or len(inside)) - 1 if (step.quorum or 0) <= len(inside) else -1]
    return call_time(step) + sum(inside)


def moments(steps: list[Step]) -> tuple[float, float] | None:
    """First and second moment of the time that a list of steps takes, one independent of the other; None where one calls somebody."""
    mean = square = 0.0
    for step in reversed([*_before_answer(steps)]):
        own = _step_moments(step)
        if own is None:
            return None
        going_on = 1 - answers(step)
        mean, square = own[0] + going_on * mean, own[1] + going_on * (2 * own[0] * mean + square)
    return mean, square


def _step_moments(step: Step) -> tuple[float, float] | None:
    if isinstance(step, Work | Sleep):
        mean = step.time.expectation()
        return mean, mean**2 * (1 + step.time.scv())
    if word_of(step) in _ANSWERS:
        return 0.0, 0.0
    inside = [(times, moments(inner)) for times, inner, _ in inner_steps(step)]
    known = [(times, found[0], found[1]) for times, found in inside if found is not None]
    if len(known) < len(inside):
        return None
    if isinstance(step, Choose):
        return sum(share * mean for share, mean, _ in known), sum(share * square for share, _, square in known)
    if isinstance(step, Repeat):
        ((times, mean, square),) = known
        return times * mean, times * (square - mean**2) + (times * mean) ** 2
    return None


def _before_answer(steps: list[Step]) -> Iterator[Step]:
    """Those before the one that answers every request: what comes after it never happens, and its mean may be infinite."""
    return takewhile(lambda step: answers(step) < 1, steps)


def answers(step: Step) -> float:
    """The share of requests that a step answers, so that nothing after it happens."""
    return _ANSWERS.get(word_of(step), lambda step: 0.0)(step)


_ANSWERS: Mapping[str, Callable[[Any], float]] = {
    "fail": lambda step: step.share,
    "return": lambda step: 1.0,
}


def inner_steps(step: Step) -> Inner:
    """The lists of steps inside a step: how often each runs on average, and its place in the step."""
    return _INNER.get(word_of(step), _once)(step)


def _once(step: Step) -> Inner:
    return ((1.0, inner, ()) for inner in step.children())


def _ways(step: Choose) -> Inner:
    total = sum(way.weight for way in step.ways)
    return ((way.weight / total, way.do, ("ways", index, "do")) for index, way in enumerate(step.ways))


_INNER: Mapping[str, Callable[[Any], Inner]] = {
    "choose": _ways,
    "repeat": lambda step: iter([(float(step.times), step.do, ("do",))]),
    "parallel": lambda step: ((1.0, branch, ("branches", index)) for index, branch in enumerate(step.branches)),
    "cache": lambda step: iter(()),  # every look-up is taken for a hit
    "saga": lambda step: ((1.0, [part.do], ("steps", index, "do")) for index, part in enumerate(step.steps)),  # nothing is undone
}


def steps_of(steps: list[Step], loc: Loc, times: float) -> Iterator[tuple[float, Step, Loc]]:
    """Every step in *steps*, those inside others too, with how often it runs on average, and its place."""
    for index, step in enumerate(steps):
        place = (*loc, index, word_of(step))
        yield times, step, place
        for share, inner, inside in inner_steps(step):
            yield from steps_of(inner, (*place, *inside), times * share)
        times *= 1 - answers(step)
