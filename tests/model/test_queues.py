"""The line in front of the workers: its orders, and taking somebody out of it."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.model.messages import Exchange, Request
from sim.model.queues import QUEUES, Queue
from tests.model.small_runs import answers, at, ran


def exchange(priority: int = 0) -> Exchange:
    """A request that waits; of it only the priority counts here."""
    nobody = cast("Any", None)
    return Exchange(Request("GET", "/", priority=priority), cast("Future[Any]", nobody), nobody, nobody, 1, 0)


class Lines(RuleBasedStateMachine):
    """Any order of coming, going in and giving up, against a plain list. Subclasses say who is next."""

    kind = ""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue = QUEUES[self.kind]()
        self.model: list[Exchange] = []

    def next_in(self) -> Exchange:
        """Who goes in next, as the model has it."""
        raise NotImplementedError

    @rule(priority=st.integers(-2, 2))
    def come(self, priority: int) -> None:
        """At the end of the line."""
        one = exchange(priority)
        self.queue.push(one)
        self.model.append(one)

    @precondition(lambda self: self.model)
    @rule()
    def go_in(self) -> None:
        """Who is next."""
        one = self.next_in()
        assert self.queue.pop() is one
        self.model.remove(one)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """From anywhere in the line; once."""
        one = data.draw(st.sampled_from(self.model))
        self.model.remove(one)
        assert self.queue.remove(one) and not self.queue.remove(one)

    @rule()
    def all_leave(self) -> None:
        """Everybody is told, nobody is forgotten."""
        assert {id(one) for one in self.queue.drain()} == {id(one) for one in self.model}
        self.model.clear()

    @invariant()
    def as_long_as_it_should_be(self) -> None:
        """The length of the line."""
        assert len(self.queue) == len(self.model)


class FifoLine(Lines):
    """First come, first served."""

    kind = "fifo"

    def next_in(self) -> Exchange:
        return self.model[0]


class LifoLine(Lines):
    """Newest first."""

    kind = "lifo"

    def next_in(self) -> Exchange:
        return self.model[-1]


class PriorityLine(Lines):
    """Highest first, and among equals who came first."""

    kind = "priority"

    def next_in(self) -> Exchange:
        return max(self.model, key=lambda one: one.request.priority)  # the first of the highest


for _line in (FifoLine, LifoLine, PriorityLine):
    _line.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestFifo, TestLifo, TestPriority = FifoLine.TestCase, LifoLine.TestCase, PriorityLine.TestCase


def served(order: str, priorities: list[int]) -> Iterator[int]:
    """One worker is busy for 100 ms; meanwhile requests come, one each 10 ms. In which order are they served?"""
    mix = [{"send": "GET /"}]
    loads = {"first": at("0ms")} | {
        f"user{number}": at(f"{10 * (number + 1)}ms", mix=[{**mix[0], "priority": priority}]) for number, priority in enumerate(priorities)}
    api = {"workers": 1, "queue": {"limit": 10, "order": order}, "endpoints": {"GET /": [{"work": "100ms"}]}}
    result = ran({"api": api}, loads)
    rows = sorted(result.requests.rows, key=lambda row: row["end"])
    return (int(result.names.workloads[row["workload"]].removeprefix("user")) for row in rows[1:])


@pytest.mark.parametrize(("order", "expected"), [("fifo", [0, 1, 2, 3, 4]), ("lifo", [4, 3, 2, 1, 0]), ("priority", [1, 3, 0, 4, 2])])
def test_the_order_of_service(order, expected):
    """Five who wait, two of them with a priority of 5 and one with -1."""
    assert list(served(order, [0, 5, -1, 5, 0])) == expected


def test_a_call_keeps_the_priority_of_the_request_that_makes_it():
    """Unless the step says otherwise: what is urgent for the user is urgent behind the front as well."""
    back = {"workers": 1, "queue": {"order": "priority"}, "endpoints": {"GET /": [{"work": "100ms"}]}}
    urgent = at("20ms", to="front", mix=[{"send": "GET /", "priority": 1}])

    def orders(**call):
        front = {"endpoints": {"GET /": [{"call": {"to": "back GET /", **call}}]}}
        loads = {"first": at("0ms", to="front"), "late": at("10ms", to="front"), "urgent": urgent}
        result = ran({"front": front, "back": back}, loads)
        return [result.names.workloads[row["workload"]] for row in sorted(result.requests.rows, key=lambda row: row["end"])]

    assert orders() == ["first", "urgent", "late"] and orders(priority=0) == ["first", "late", "urgent"]


@pytest.mark.parametrize("order", ["fifo", "lifo", "priority"])
def test_who_has_waited_long_enough_leaves_the_line_with_503(order):
    """One worker takes 100 ms for each; who has waited for 150 ms goes, and who is served in time is never told to go."""
    api = {"workers": 1, "queue": {"order": order, "max_wait": "150ms"}, "endpoints": {"GET /": [{"work": "100ms"}]}}
    result = ran({"api": api}, {"users": at("0ms", "1ms", "2ms", "3ms")})
    assert sorted(answers(result, "users")) == [("200", 102.0), ("200", 199.0 if order == "lifo" else 201.0),
                                               *([("503", 152.0)] * 2)]
    assert result.summary["services"]["api"]["admission"] == {"max_wait": 2}
    assert result.summary["services"]["api"]["rejected"] == result.summary["requests"]["rejected"] == 2


def test_who_was_in_line_when_the_instance_died_is_not_told_to_go():
    """The line and its times end with the process; who comes to the next process has a time of its own."""
    api = {"workers": 1, "queue": {"max_wait": "150ms"}, "endpoints": {"GET /": [{"work": "100ms"}]}}
    kill = {"kind": "instance.kill", "target": {"service": "api"}, "schedule": {"at": "50ms", "for": "20ms"}}
    result = ran({"api": api}, {"users": at("0ms", "10ms", "20ms", "80ms", "90ms", "95ms")}, faults=[kill])
    assert [status for status, _ in answers(result, "users")] == ["reset", "reset", "reset", "200", "200", "503"]
