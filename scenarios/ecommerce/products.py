"""The product context: what is sold, and for how much."""

from __future__ import annotations

from dataclasses import dataclass

from sim import Request, Response, Service, health_check, route
from sim.model.tables import Tables

DATABASE = "product-db"
PAGE = 20


@dataclass(frozen=True)
class Product:
    """One article; the price is in cents."""

    sku: str
    name: str
    price_cents: int
    currency: str = "EUR"


class Products(Service):
    """The catalogue."""

    async def start(self) -> None:
        articles = self.config.get("articles", 1000)
        await self.query(DATABASE, lambda tables: _seed(tables, articles), write=True)

    @route("GET", "/products")
    async def page(self, request: Request) -> Response:
        return Response(200, json=[vars(product) for product in await self._first(PAGE)], size=4096)

    @route("GET", "/products/top")
    async def top(self, request: Request) -> Response:
        return Response(200, json=[vars(product) for product in await self._first(5)])

    @route("GET", "/products/{sku}")
    async def get(self, request: Request, sku: str) -> Response:
        product = await self.query(DATABASE, lambda tables: tables["products"].get(sku))
        if product is None:
            return Response(404, json={"error": f"no product {sku}"})
        return Response(200, json=vars(product))

    @health_check("database")
    async def database_answers(self) -> str:
        await self.query(DATABASE)
        return f"{DATABASE} answers"

    async def _first(self, count: int) -> list[Product]:
        def read(tables: Tables) -> list[Product]:
            rows = iter(tables["products"].values())
            return [product for _, product in zip(range(count), rows, strict=False)]

        return await self.query(DATABASE, read)


def _seed(tables: Tables, articles: int) -> None:
    for number in range(len(tables["products"]) + 1, articles + 1):
        tables["products"][f"p-{number}"] = Product(f"p-{number}", f"Article {number}", 500 + 37 * number % 9000)
