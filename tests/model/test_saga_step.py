"""Sagas as steps: done in order, undone in reverse, forward only after the pivot, and counted."""

import pytest

from sim import loads, run
from sim.scenario.problems import InvalidFile
from sim.telemetry.codes import SpanKind

SHOP = """
name: sagas
duration: 60s
services:
  orders:
    workers: 200
    uses: {payments: {policies: [{timeout: 200ms}]}}
    endpoints:
      POST /orders:
        - saga:
            name: place-order
            steps:
              - {name: reserve, do: POST inventory/reservations, undo: DELETE inventory/reservations}
              - {name: charge, do: POST payments/charges, undo: POST payments/refunds}
              - {name: ship, do: POST shipping/parcels, kind: pivot}
              - {name: confirm, do: {query: orders-db}, kind: retriable}
  inventory: {endpoints: {POST /reservations: [{work: 2ms}], DELETE /reservations: [{work: 1ms}]}}
  payments: {workers: 500, endpoints: {POST /charges: [CHARGE], POST /refunds: [REFUND]}}
  shipping: {endpoints: {POST /parcels: [SHIP]}}
  orders-db: {kind: database}
workloads:
  users: {executor: constant-arrival-rate, rate: 20/s, arrivals: uniform, to: orders, mix: [{send: POST /orders}]}
"""


def shop(charge="{work: 2ms}", refund="{work: 2ms}", ship="{work: 2ms}"):
    """The shop with these steps in it."""
    return SHOP.replace("CHARGE", charge).replace("REFUND", refund).replace("SHIP", ship)


def served(result, service):
    """How often each operation of a service was served."""
    spans = result.spans.of(SpanKind.SERVER)
    mine = spans[spans.node == result.names.nodes.index(service)]
    names = [result.names.operations[index] for index in mine.operation.tolist()]
    return {name: names.count(name) for name in sorted(set(names))}


def test_all_parts_done_is_completed():
    """Nothing is undone, and the endpoint goes on."""
    result = run(loads(shop()))
    figures = result.summary["sagas"]["place-order"]
    assert figures["completed"] == figures["started"] > 1000 and figures["compensated"] == figures["stuck"] == 0
    assert set(served(result, "inventory")) == {"POST /reservations"}


def test_what_was_done_is_undone_when_a_later_part_fails():
    """A tenth of the charges fail: as many sagas release their reservation, nobody is refunded, and users see why."""
    result = run(loads(shop(charge="{fail: {share: 10%}}")))
    figures = result.summary["sagas"]["place-order"]
    assert figures["compensated"] == pytest.approx(0.1 * figures["started"], rel=0.2) and figures["stuck"] == 0
    assert served(result, "inventory")["DELETE /reservations"] == figures["compensated"]
    assert "POST /refunds" not in served(result, "payments")
    assert result.summary["workloads"]["users"]["by_status"]["502"] == figures["compensated"]


def test_a_part_whose_outcome_is_unknown_is_undone_too():
    """A charge that took too long may have happened: it is refunded, and the reservation released."""
    result = run(loads(shop(charge="{sleep: 1s}")))
    figures = result.summary["sagas"]["place-order"]
    assert figures["compensated"] > 1000 and served(result, "payments")["POST /refunds"] >= figures["compensated"]


def test_undoing_is_tried_again_and_ends_stuck_where_it_never_succeeds():
    """Refunds that always fail leave the saga stuck, after five attempts, and the reservation is released all the same."""
    result = run(loads(shop(refund="{fail: {status: 500}}", ship="{fail: {share: 5%}}")))
    figures = result.summary["sagas"]["place-order"]
    refunds = served(result, "payments")["POST /refunds"]
    assert figures["stuck"] > 20 and figures["compensated"] == 0 and refunds >= 5 * figures["stuck"]
    assert served(result, "inventory")["DELETE /reservations"] >= figures["stuck"]


def test_parts_in_an_order_that_cannot_be_are_refused():
    """What may fail after the pivot cannot be undone: told with its place."""
    wrong = shop().replace("kind: retriable", "kind: compensatable")
    with pytest.raises(InvalidFile, match="after the pivot"):
        loads(wrong)


def test_sagas_repeat_to_the_byte():
    """Their retries draw from a stream of their own."""
    text = shop(refund="{fail: {share: 50%}}", charge="{sleep: 1s}")
    assert run(loads(text), seed=4).digest == run(loads(text), seed=4).digest
