"""The simulated consumer of the scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sim import Delivery, Response, Service, subscribe
from tests.conformance.broker_scripts import PART


class Consumer(Service):
    """Does with each delivery what the script says: `config["act"](message, number)`."""

    @subscribe("work")
    async def handle(self, message: Delivery) -> Response:
        act: Callable[[int, int], str] = self.config["act"]
        word = act(message.json["index"], message.number)
        for _ in range({"say": 1, "long": 2}.get(word, 0)):
            await asyncio.sleep(PART)
            message.in_progress()
        await asyncio.sleep({"hush": 3600, "say": 3600, "long": PART}.get(word, 0))
        return Response({"ack": 200, "long": 200, "nak": 500, "term": 422}[word])
