"""The order as an event-sourced aggregate: what may happen to it, and snapshots that change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.ecommerce.order import NO_ORDER, InvalidOrder, Item, Money, Status, cancel, confirm, defer, evolve, place
from scenarios.ecommerce.order_store import decide, load, show
from sim.model import event_store
from sim.model.event_store import VersionConflict
from sim.model.tables import Tables

ITEMS = (Item("p-1", 2, Money(500)), Item("p-2", 1, Money(199)))


def placed(tables, order_id="o-1"):
    return decide(tables, order_id, lambda order: [place(order_id, "u-1", ITEMS)] if order.status is Status.NEW else [])


def test_an_order_adds_up_what_was_agreed():
    """Two at 5.00 and one at 1.99; currencies do not mix."""
    order = evolve(NO_ORDER, place("o-1", "u-1", ITEMS))
    assert order.total == Money(1199) and order.items == ITEMS and order.customer_id == "u-1"
    with pytest.raises(ValueError, match="EUR and USD do not add up"):
        Money(1) + Money(1, "USD")
    with pytest.raises(InvalidOrder, match="needs an item"):
        place("o-1", "u-1", ())


def test_a_confirmed_order_is_not_cancelled_and_a_cancelled_one_not_confirmed():
    """Whoever comes second is told."""
    tables = Tables()
    placed(tables, "o-1"), placed(tables, "o-2")
    decide(tables, "o-1", confirm)
    decide(tables, "o-2", lambda order: cancel(order, "out of stock"))
    with pytest.raises(InvalidOrder, match="is confirmed"):
        decide(tables, "o-1", lambda order: cancel(order, "changed their mind"))
    with pytest.raises(InvalidOrder, match="is cancelled"):
        decide(tables, "o-2", confirm)


def test_every_event_that_others_care_about_is_in_the_outbox_once():
    """Also when a decision is made twice; a deferred payment is nobody else's business."""
    tables = Tables()
    for decision in (defer, confirm, confirm):
        placed(tables)
        decide(tables, "o-1", decision)
    assert list(tables["outbox"]) == ["order.created/o-1", "order.completed/o-1"]


@given(st.lists(st.sampled_from(["defer", "confirm", "cancel"]), max_size=8))
def test_snapshots_change_nothing(wishes):
    """Whatever is decided, the state from the last snapshot on is that of all events, and the projection comes to the same."""
    tables = Tables()
    placed(tables)
    for wish in wishes:
        decision = {"defer": defer, "confirm": confirm, "cancel": lambda order: cancel(order, "a reason")}[wish]
        try:
            tables.execute(lambda tables, decision=decision: decide(tables, "o-1", decision))
        except InvalidOrder:
            continue
    state = NO_ORDER
    for event in tables["events"]["order-o-1"]:
        state = evolve(state, event)
    assert load(tables, "o-1") == (len(tables["events"]["order-o-1"]), state)
    while event_store.advance(tables, "views", show, batch=2):
        assert event_store.lag(tables, "views") < len(tables["log"])
    assert tables["order-views"]["o-1"] == state and event_store.lag(tables, "views") == 0


def test_who_appends_to_an_old_version_is_told():
    """Two have read version 1; the second one's events are refused."""
    tables = Tables()
    event_store.append(tables, "s", [{"type": "a"}], expected_version=0)
    event_store.append(tables, "s", [{"type": "b"}], expected_version=1)
    with pytest.raises(VersionConflict, match="at version 2, not 1"):
        event_store.append(tables, "s", [{"type": "c"}], expected_version=1)
