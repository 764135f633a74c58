"""Breakers, attempts, budgets, phase portrait: what retries and refusals did."""

import numpy as np
import pytest

from reports.charts import figure
from reports.charts.attempts import attempts, by_try
from reports.charts.breakers import calls_over
from reports.charts.budget import most_refused, refused, share_allowed
from reports.charts.phase import mean_level, orbit, retrying_calls
from reports.charts.states import breakers, downtimes, seconds_in
from reports.charts.style import NotApplicable
from sim.telemetry.codes import Outcome

from .hand_made import attempt, client, gauge, run_of


def transition(at, source, target, caller="orders-0"):
    """A breaker's event as the recorder writes it."""
    return {"at": at, "kind": "circuit_breaker.state_transition", "edge": "orders->payments", "caller": caller, "source": source,
            "target": target}


def test_a_breaker_is_always_in_one_state():
    """From the start to the end of the run, without gaps; it was closed before its first event."""
    run = run_of(events=[transition(2.0, "CLOSED", "OPEN"), transition(5.0, "OPEN", "HALF_OPEN"), transition(5.0, "HALF_OPEN", "OPEN"),
                         transition(8.0, "OPEN", "HALF_OPEN"), transition(8.5, "HALF_OPEN", "CLOSED")])
    stays = breakers(run)["orders->payments", "orders-0"]
    assert [(stay.state, stay.start, stay.until) for stay in stays] == [
        ("closed", 0.0, 2.0), ("open", 2.0, 5.0), ("open", 5.0, 8.0), ("half_open", 8.0, 8.5), ("closed", 8.5, 10.0)]
    assert seconds_in(stays, "open") == 6.0


def test_ribbons_stand_under_the_calls_of_their_edge_alone():
    """Calls on other edges are not counted; each instance has a ribbon of the run's length."""
    run = run_of(spans=[client(1, 0, "orders", "payments", 1, 2), client(2, 0, "orders", "orders-db", 1, 2)],
                 events=[transition(3.0, "CLOSED", "OPEN"), transition(4.0, "CLOSED", "OPEN", "orders-1")])
    assert len(calls_over(run, ["orders->payments"])) == 1
    ribbons = figure(run, "breakers").axes[0].child_axes[1]
    lengths = {}
    for patch in ribbons.patches:
        if patch.get_height() == pytest.approx(0.7):
            lengths[round(patch.get_y(), 2)] = lengths.get(round(patch.get_y(), 2), 0) + patch.get_width()
    assert list(lengths.values()) == [10.0, 10.0]


def test_an_instance_is_down_until_it_is_up_or_the_run_ends():
    """Two falls of one, one of another that never came back."""
    events = [{"at": at, "kind": f"instance.{kind}", "node": "orders", "instance": name} for at, kind, name in
              ((1.0, "down", "a"), (2.0, "up", "a"), (3.0, "down", "b"), (4.0, "down", "a"), (6.0, "up", "a"))]
    found = downtimes(run_of(events=events))
    assert [(stay.start, stay.until) for stay in found["a"]] == [(1.0, 2.0), (4.0, 6.0)]
    assert [(stay.start, stay.until) for stay in found["b"]] == [(3.0, 10.0)]


@pytest.fixture
def retried():
    """Ten calls, of which the last five made two attempts, and one of them four."""
    spans = []
    for i in range(10):
        tries = 4 if i == 9 else 2 if i >= 5 else 1
        for number in range(1, tries + 1):
            ok = number == tries
            spans.append(attempt(100 + 10 * i + number, 10 + i, "orders", "payments", i + 0.1 * number, i + 0.1 * number + 0.05, number,
                                 outcome=Outcome.OK if ok else Outcome.FAILED))
        spans.append(client(10 + i, 0, "orders", "payments", i + 0.1, i + 0.1 * tries + 0.05, attempt=tries))
    events = [{"at": 7.0, "kind": "retry.retry_gave_up", "edge": "orders->payments", "reason": "budget", "attempts": 1},
              {"at": 8.0, "kind": "retry.retry_gave_up", "edge": "orders->payments", "reason": "max_attempts", "attempts": 3}]
    scenario = {"services": {"orders": {"uses": {"payments": {"policies": [{"timeout": "1s"}, {"retry": {"budget": {"share": "10%"}}}]}}}}}
    queue = gauge("payments", "", "queue", [(i, i - 1.0, i) for i in range(1, 11)])
    return run_of(spans=spans, events=events, scenario=scenario, gauges=[queue])


def test_attempts_of_every_number_add_up(retried):
    """Ten first tries, five second, one third, one later; together all attempts."""
    edges = np.linspace(0, 10, 21)
    totals = [float((rate * np.diff(edges)).sum()) for rate in by_try(attempts(retried, "orders->payments"), edges)]
    assert totals == pytest.approx([10, 5, 1, 1])


def test_a_budget_is_read_from_the_scenario_and_its_refusals_from_events(retried):
    """Only what was given up for lack of budget counts."""
    assert share_allowed(retried, "orders->payments") == 0.1
    assert share_allowed(retried, "gateway->orders") is None
    assert refused(retried, "orders->payments") == [7.0]
    assert most_refused(retried) == "orders->payments"
    figure(retried, "budget")
    with pytest.raises(NotApplicable, match="has no budget"):
        figure(run_of(spans=[attempt(1, 2, "orders", "payments", 0, 1, 1)]), "budget", edge="orders->payments")


def test_a_level_is_the_time_weighted_mean_of_what_covers_a_bin():
    """One interval over half a bin and one over all of it make 1.5."""
    level = mean_level(np.array([0.5, 0.0]), np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0, 4.0]))
    assert level.tolist() == pytest.approx([1.5, 1.0, 0.5])


def test_a_call_retries_from_the_end_of_its_first_attempt(retried):
    """Five calls retried, each from 0.15 s after its second; the orbit holds their mean number, the queue is the gauge."""
    starts, ends = retrying_calls(retried)
    assert starts.tolist() == pytest.approx([5.15, 6.15, 7.15, 8.15, 9.15])
    assert ends.tolist() == pytest.approx([5.25, 6.25, 7.25, 8.25, 9.45])
    times, waiting, retrying = orbit(retried, "payments")
    assert float(retrying.sum() * (times[1] - times[0])) == pytest.approx(float((ends - starts).sum()))
    assert waiting.tolist() == pytest.approx(list(range(10)))


def test_charts_of_policies_say_what_is_missing():
    """No breaker, no retry: a reason each, and no empty picture."""
    with pytest.raises(NotApplicable, match="no circuit breaker changed its state"):
        figure(run_of(), "breakers")
    with pytest.raises(NotApplicable, match="no policy could make more than one attempt"):
        figure(run_of(), "attempts")
    with pytest.raises(NotApplicable, match="no call edge 'nowhere'; write CALLER->CALLEE"):
        figure(run_of(), "attempts", edge="nowhere")
