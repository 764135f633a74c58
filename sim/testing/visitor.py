"""The test itself as a caller of its world: a workload whose requests are sent one at a time, by hand, and whose answers come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sim.model.client import Client, Source, UseSpec
from sim.model.messages import Request, Response
from sim.workload.load import Load
from sim.workload.traces import Trace

if TYPE_CHECKING:
    from sim.model.world import World

NAME = "the-test"  # as the workload is called in what is recorded


class Visitor(Load):
    """Made for the first request, to *to*; others may go elsewhere."""

    def __init__(self, world: World, to: str) -> None:
        super().__init__(NAME, Trace.model_validate({"to": to, "at": [], "mix": [{"send": "GET /"}]}), world)
        self._source = Source(NAME)
        self._clients: dict[tuple[str, str | None], Client] = {}

    async def visit(self, request: Request, to: str, timeout: str | None) -> Response:
        """Send *request* to a service, wait for the answer for as long as *timeout* says, and record both."""
        client = self._client(to, timeout)
        start = self.env._now
        task = asyncio.current_task()
        assert task is not None
        self._count(start)
        self.started += 1
        request.trace = self.recorder.next_request()
        request.operation = client.node.operation_of(request)
        self.open[request.trace] = (request, start, start, task)
        response = await client.call(request)
        if not self.recorder.sealed:
            self._ended(request, start, start, response)
        return response

    def _client(self, to: str, timeout: str | None) -> Client:
        if (to, timeout) not in self._clients:
            policies = [] if timeout is None else [{"timeout": timeout}]
            self._clients[to, timeout] = self.world.client(NAME, self._source, to, UseSpec.model_validate({"policies": policies}))
        return self._clients[to, timeout]
