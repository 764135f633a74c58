"""The inventory context: how much there is of each article, and what is set aside for whom.

A reservation is known by its order, so that asking twice reserves once, and releasing what was never reserved leaves a mark that
keeps a late request from reserving after all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables

DATABASE = "inventory-db"


@dataclass(frozen=True)
class Stock:
    """One article: *on_hand* counts what lies in the warehouse, *reserved* what of it is promised."""

    sku: str
    on_hand: int
    reserved: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True)
class Reservation:
    """What is set aside for an order: sku -> quantity."""

    order_id: str
    items: dict[str, int]
    status: Literal["reserved", "released"]


class OutOfStock(Exception):
    """There is not enough of *sku*."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"not enough of {sku}")
        self.sku = sku


class Released(Exception):
    """The order's reservation was given up before."""


def reserve(tables: Tables, order_id: str, items: dict[str, int], opening_stock: int) -> Reservation:
    """Set *items* aside, all of them or none; raise OutOfStock or Released."""
    known = tables["reservations"].get(order_id)
    if known is not None:
        if known.status == "released":
            raise Released(f"{order_id} was given up")
        return known  # type: ignore[no-any-return]
    for sku, quantity in items.items():
        stock = tables["stock"].get(sku) or Stock(sku, opening_stock)
        if stock.available < quantity:
            raise OutOfStock(sku)
        tables["stock"][sku] = replace(stock, reserved=stock.reserved + quantity)
    reservation = tables["reservations"][order_id] = Reservation(order_id, items, "reserved")
    return reservation


def release(tables: Tables, order_id: str) -> None:
    """Give back what was set aside, if it was."""
    known = tables["reservations"].get(order_id) or Reservation(order_id, {}, "released")
    if known.status == "reserved":
        for sku, quantity in known.items.items():
            stock = tables["stock"][sku]
            tables["stock"][sku] = replace(stock, reserved=stock.reserved - quantity)
    tables["reservations"][order_id] = replace(known, status="released")


class Inventory(Service):
    """Reserving and releasing."""

    @route("POST", "/reservations")
    async def create(self, request: Request) -> Response:
        order_id, items = request.json["order_id"], quantities(request.json["items"])
        opening_stock = self.config.get("opening_stock", 1_000_000)
        try:
            await self.query(DATABASE, lambda tables: reserve(tables, order_id, items, opening_stock), write=True)
        except (OutOfStock, Released) as error:
            return Response(409, json={"error": str(error)})
        return Response(201, json={"order_id": order_id, "items": items})

    @route("DELETE", "/reservations/{order_id}")
    async def delete(self, request: Request, order_id: str) -> Response:
        await self.query(DATABASE, lambda tables: release(tables, order_id), write=True)
        return Response(200)

    @route("GET", "/stock/{sku}")
    async def stock(self, request: Request, sku: str) -> Response:
        stock = await self.query(DATABASE, lambda tables: tables["stock"].get(sku))
        return Response(200, json={"sku": sku, "available": stock.available if stock else self.config.get("opening_stock", 1_000_000)})

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"


def quantities(items: list[dict[str, Any]]) -> dict[str, int]:
    """The items of an order as sku -> quantity."""
    quantities: dict[str, int] = {}
    for item in items:
        quantities[item["sku"]] = quantities.get(item["sku"], 0) + item["quantity"]
    return quantities
