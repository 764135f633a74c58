"""A service that keeps notes in a database with replicas."""

from sim import Request, Response, Service, route


class Notes(Service):
    """Notes by number."""

    @route("PUT", "/notes/{number}")
    async def put(self, request: Request, number: str) -> Response:
        text = request.json["text"]

        def write(tables):
            tables["notes"][number] = text

        await self.query("db", write, write=True)
        return Response(200)

    @route("GET", "/notes/{number}")
    async def get(self, request: Request, number: str) -> Response:
        return Response(200, json=await self.query("db", lambda tables: tables["notes"].get(number)))

    @route("GET", "/notes/{number}/fresh")
    async def get_fresh(self, request: Request, number: str) -> Response:
        return Response(200, json=await self.query("db", lambda tables: tables["notes"].get(number), fresh=True))

    @route("POST", "/notes/{number}/careless")
    async def careless(self, request: Request, number: str) -> Response:
        await self.query("db", lambda tables: tables["notes"].setdefault(number, "mine"))
        return Response(200)
