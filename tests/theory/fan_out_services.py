"""Services of the fan-out tests: a node that passes on what is new to it, and a replica that takes part in tied requests."""

from __future__ import annotations

import asyncio

from sim import Request, Response, Service, route


class Gossip(Service):
    """Flooding: what is new goes to all neighbours except the one that it came from; nothing is told twice by the same node."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    @route("POST", "/tell")
    async def tell(self, request: Request) -> Response:
        word = request.json["word"]
        if word not in self.heard:
            self.heard.add(word)
            self.log.info("heard")
            for neighbour in self.config["neighbours"]:
                if neighbour != request.json["by"]:
                    self.spawn(self.call(neighbour, "POST", "/tell", json={"word": word, "by": self.name}))
        return Response(202)


class Replica(Service):
    """One thing at a time. As it begins with a request it tells the other replica, which then forgets its copy.

    Source: Dean and Barroso, The Tail at Scale.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.taken: set[str] = set()

    @route("POST", "/read")
    async def read(self, request: Request) -> Response:
        work = self.times({"exponential": "30ms"})
        async with self.turn:
            tied = request.json["id"]
            if tied in self.taken:
                return Response(409)  # the other one does it
            if self.config["ties"]:
                self.spawn(self.call(self.config["other"], "POST", "/taken", json={"id": tied}))
            self.metric("executed").add(1)
            await self.work(work())
        return Response(200)

    @route("POST", "/taken")
    async def other_begins(self, request: Request) -> Response:
        self.taken.add(request.json["id"])
        return Response(204)


class Front(Service):
    """Sends each request to both replicas, the second copy a little later; the first answer that is one counts."""

    @route("POST", "/")
    async def ask(self, request: Request) -> Response:
        self.number = getattr(self, "number", 0) + 1
        body = {"id": f"{self.instance_name}-{self.number}"}
        replicas = ["left", "right"] if self.rng.random() < 0.5 else ["right", "left"]

        async def copy(name: str, after: float) -> Response:
            await asyncio.sleep(after)
            return await self.call(name, "POST", "/read", json=body)

        copies = [asyncio.ensure_future(copy(name, number * self.config["delay"])) for number, name in enumerate(replicas)]
        for done in asyncio.as_completed(copies):
            response = await done
            if response.status == 200:
                for other in copies:
                    other.cancel()
                return response
        return Response(500)
