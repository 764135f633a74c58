"""A service that answers what its configuration says."""

from sim import Request, Response, Service, route


class Priced(Service):
    """One price."""

    @route("GET", "/price")
    async def price(self, request: Request) -> Response:
        return Response(200, json=self.config["price"])
