"""The simulated consumer of the scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sim import Delivery, Response, Service, subscribe


class Consumer(Service):
    """Does with each delivery what the script says: `config["act"](message, number)`."""

    @subscribe("work")
    async def handle(self, message: Delivery) -> Response:
        act: Callable[[int, int], str] = self.config["act"]
        word = act(message.json["index"], message.number)
        if word == "hush":
            await asyncio.sleep(3600)
        return Response({"ack": 200, "nak": 500, "term": 422}[word])
