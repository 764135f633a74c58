"""What must be true of the shop's data whatever went wrong, checked against the data itself at the end of a run.

The provider's ledger is the truth about money, the events are the truth about orders. An order that is still under way (its saga is
open, its payment is deferred) is only held to what must be true at every moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scenarios.ecommerce.order import NO_ORDER, Order, evolve

if TYPE_CHECKING:
    from sim.model.tables import Tables
    from sim.model.world import World


class Books:
    """The data of all contexts."""

    def __init__(self, world: World) -> None:
        databases: dict[str, Tables] = {name: node.tables for name, node in world.nodes.items() if hasattr(node, "tables")}

        def database(name: str) -> Tables:
            return databases.get(name) or databases["shop-db"]  # a monolith keeps everything in one

        self.orders_db, self.users_db, self.inventory_db = database("order-db"), database("user-db"), database("inventory-db")
        self.payments_db, self.notifications_db = database("payment-db"), database("notification-db")
        self.ledger = databases["provider-ledger"]
        self.orders = self._orders()

    def _orders(self) -> dict[str, Order]:
        """Every order, from its events alone."""
        orders = {}
        for events in self.orders_db["events"].values():
            order = NO_ORDER
            for event in events:
                order = evolve(order, event)
            orders[order.id] = order
        return orders

    @property
    def unsettled(self) -> set[str]:
        """Orders under way, and those whose saga is stuck: somebody has to look at them."""
        return {*self.orders_db["open-sagas"], *self.orders_db["deferred-payments"], *self.stuck}

    @property
    def stuck(self) -> set[str]:
        """Orders whose saga could neither be completed nor undone."""
        last = {saga_id: saga["entries"][-1] for saga_id, saga in self.orders_db["sagas"].items() if saga["entries"]}
        return {saga_id for saga_id, entry in last.items() if entry.get("status") == "stuck"}


def violations(world: World) -> list[str]:
    """Everything that is wrong, in words; empty if all invariants hold."""
    books = Books(world)
    return [*_money(books), *_stock(books), *_events(books), *_sagas(books)]


def _money(books: Books) -> Iterator[str]:
    """No order both charged and cancelled, none confirmed and not paid, and what came in less what went out is what orders cost."""
    charges: dict[str, Any] = dict(books.ledger["charges"])
    for order in books.orders.values():
        if order.id in books.unsettled:
            continue
        charge = charges.get(order.id, {"status": "none", "amount": 0})
        if order.status.value == "cancelled" and charge["status"] == "succeeded":
            yield f"{order.id} is cancelled ({order.reason}), and its customer has paid {charge['amount']} cents"
        if order.status.value == "confirmed" and (charge["status"], charge["amount"]) != ("succeeded", order.total.cents):
            yield f"{order.id} is confirmed for {order.total.cents} cents, and the ledger says {charge['status']} {charge['amount']}"
    for key in charges:
        if key not in books.orders:
            yield f"somebody was charged for {key}, which is no order"
    taken = sum(charge["amount"] for charge in charges.values() if charge["status"] in ("succeeded", "refunded"))
    kept = taken - sum(books.ledger["refunds"].values())
    owed = sum(order.total.cents for order in books.orders.values() if order.status.value == "confirmed")
    pending = sum(charges[key]["amount"] for key in books.unsettled if charges.get(key, {}).get("status") == "succeeded"
                  and books.orders[key].status.value != "confirmed")
    if kept != owed + pending:
        yield f"{kept} cents are in the till, and orders come to {owed} and {pending} under way"


def _stock(books: Books) -> Iterator[str]:
    """No stock below zero, no reservation without an order, and what is reserved is what orders have reserved."""
    reserved: Counter[str] = Counter()
    for reservation in books.inventory_db["reservations"].values():
        order = books.orders.get(reservation.order_id)
        if order is None:
            yield f"{reservation.order_id} has a reservation and is no order"
            continue
        if reservation.status == "reserved":
            reserved.update(reservation.items)
            if order.status.value == "cancelled" and order.id not in books.unsettled:
                yield f"{order.id} is cancelled and still holds {reservation.items}"
    for stock in books.inventory_db["stock"].values():
        if stock.reserved < 0 or stock.available < 0:
            yield f"{stock.sku}: {stock.on_hand} on hand, {stock.reserved} reserved"
        if stock.reserved != reserved[stock.sku]:
            yield f"{stock.sku}: {stock.reserved} reserved, and reservations come to {reserved[stock.sku]}"
    for order in books.orders.values():
        reservation = books.inventory_db["reservations"].get(order.id)
        if order.status.value == "confirmed" and (reservation is None or reservation.status != "reserved"):
            yield f"{order.id} is confirmed and has no goods"


def _events(books: Books) -> Iterator[str]:
    """What happened was told, and what was told was handled (or has been put aside as a dead letter)."""
    told = {"placed": "order.created", "confirmed": "order.completed", "cancelled": "order.cancelled"}
    on_the_way = {*books.orders_db["outbox"], *books.users_db["outbox"]}
    published = {*books.orders_db["published"], *books.users_db["published"]}
    for order in books.orders.values():
        for status in {"placed", order.status.value} & told.keys():
            if (event := f"{told[status]}/{order.id}") not in on_the_way | published:
                yield f"{event} was never told"
    handled = books.notifications_db["handled"]
    for event in published:
        if event not in handled:
            yield f"{event} was published and never handled"


def _sagas(books: Books) -> Iterator[str]:
    """A saga that has ended leaves its order settled."""
    for order in books.orders.values():
        if order.id not in books.unsettled and order.status.value not in ("confirmed", "cancelled"):
            yield f"{order.id} is {order.status.value}, and nobody works on it"
