"""The measure `stuck_sagas`: those that could be neither completed nor undone, counted in the window in which they got stuck."""

import pytest

from sim import loads, run

FROM, LENGTH = 20, 15  # seconds
# A parcel in ten cannot be sent, and the charge is given back. While refunds fail, giving back fails for ever: five attempts, then stuck.
SHOP = """
name: refunds
duration: 60s
services:
  orders:
    workers: 200
    endpoints:
      POST /orders:
        - saga:
            name: place-order
            steps:
              - {name: charge, do: POST payments/charges, undo: POST payments/refunds}
              - {name: ship, do: POST shipping/parcels}
  payments: {endpoints: {POST /charges: [{work: 2ms}], POST /refunds: [{work: 2ms}]}}
  shipping: {endpoints: {POST /parcels: [{fail: {share: 10%}}]}}
workloads:
  users: {executor: constant-arrival-rate, rate: 20/s, to: orders, mix: [{send: POST /orders}]}
steady_state:
  - {name: all settled, measure: stuck_sagas, at_most: 0, grace: 5s}
checks:
  - {name: some stuck, measure: stuck_sagas, at_least: 1, from: 20s, until: 40s}
  - {name: none later, measure: stuck_sagas, at_most: 0, from: 40s}
"""
NO_REFUNDS = f"""
faults:
  - kind: http.abort
    target: {{service: payments, match: {{path: /refunds}}}}
    schedule: {{at: {FROM}s, for: {LENGTH}s}}
    probability: 100%
"""


@pytest.fixture(scope="module")
def broken():
    return run(loads(SHOP + NO_REFUNDS))


def stuck_between(result, start, until):
    """The sagas that got stuck then, from the events."""
    return sum(event["kind"] == "saga.stuck" and start <= event["at"] < until for event in result.events)


def test_what_cannot_be_undone_breaks_the_steady_state_while_it_lasts(broken):
    """Nothing is stuck before refunds fail; while they do, every saga that got stuck after the grace is counted; afterwards none is."""
    before, during, after = (check for check in broken.summary["checks"] if check["phase"] != "window")
    assert (before["passed"], during["passed"], after["passed"]) == (True, False, True)
    assert during["measured"] == stuck_between(broken, FROM + 5, FROM + LENGTH) > 5
    assert before["measured"] == after["measured"] == 0 and broken.summary["verdict"] == "fail"


def test_a_check_counts_in_its_own_window(broken):
    """All that got stuck did so in the window of the first check, where some were asked for, and none in that of the second."""
    some, none = (check for check in broken.summary["checks"] if check["phase"] == "window")
    assert some["passed"] and none["passed"] and none["measured"] == 0
    assert some["measured"] == broken.summary["sagas"]["place-order"]["stuck"] == stuck_between(broken, 0, 60)


def test_where_undoing_succeeds_nothing_is_stuck():
    """The same shop without the fault: sagas are undone, and the steady state holds; only the check that wants stuck ones does not."""
    result = run(loads(SHOP))
    figures = result.summary["sagas"]["place-order"]
    failed = [check["name"] for check in result.summary["checks"] if not check["passed"]]
    assert figures["compensated"] > 50 and figures["stuck"] == 0 and failed == ["some stuck"]


def test_the_first_stuck_saga_can_end_the_run():
    """abort_if sees it in the sampling step in which it got stuck."""
    result = run(loads(SHOP + "abort_if: [{measure: stuck_sagas, at_least: 1}]" + NO_REFUNDS))
    first = next(event["at"] for event in result.events if event["kind"] == "saga.stuck")
    assert result.summary["verdict"] == "aborted" and first <= result.duration <= first + 60 / 600 + 1e-9
