"""A small world for tests of service code: nodes from plain data, requests sent by hand."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from sim.kernel import SimLoop
from sim.model.client import Client, Source, UseSpec
from sim.model.messages import Request, Response
from sim.model.network import NetworkSpec
from sim.model.services import AnyService
from sim.model.world import World
from sim.telemetry.codes import SpanKind
from sim.telemetry.result import Spans

SERVICES = "tests.model.sample_services"


class SmallWorld:
    """Nodes by name, written as in a scenario; *code* alone stands for `{code: tests.model.sample_services:Name}`."""

    def __init__(self, loop: SimLoop, services: dict[str, Any], latency: str = "1ms") -> None:
        written = {name: {"code": f"{SERVICES}:{spec}"} if isinstance(spec, str) else spec for name, spec in services.items()}
        network = NetworkSpec.model_validate({"default": {"latency": latency}})
        self.loop = loop
        self._clients: dict[str, Client] = {}
        self.world = World(loop, 1, {name: TypeAdapter(AnyService).validate_python(spec) for name, spec in written.items()}, network)

    def send(self, to: str, method: str, path: str, **options: Any) -> Response:
        """The answer to one request from outside, in a trace of its own."""
        return self.loop.run_until_complete(self.sending(to, method, path, **options))

    async def sending(self, to: str, method: str, path: str, json: Any = None, headers: dict[str, str] | None = None,
                      policies: list[Any] | None = None) -> Response:
        """As `send`, for a test's own tasks."""
        who = to if policies is None else f"{to} {policies}"
        if who not in self._clients:
            self._clients[who] = self.world.client("user", Source("user"), to, UseSpec.model_validate({"policies": policies or []}))
        client = self._clients[who]
        trace = self.world.recorder.next_request()
        request = Request(method, path, trace, 0, self.world.recorder.operation(f"{method} {path}"), headers or {}, body=json)
        return await client.call(request)

    def process(self, name: str, number: int = 0) -> Any:
        """The object of the user's class that stands for a process."""
        node = self.world.node(name)
        return node.processes[node.instances[number]]  # type: ignore[attr-defined]

    def spans(self, kind: SpanKind) -> list[dict[str, Any]]:
        """Recorded spans of one kind, with names for indices and the attributes that code has set."""
        names = self.world.recorder.names()
        return [{"name": names.operations[row["operation"]], "node": names.nodes[row["node"]], "status": int(row["status"]),
                 "start": float(row["start"]), "end": float(row["end"]),
                 "id": int(row["id"]), "parent": int(row["parent"]), "trace": int(row["trace"]),
                 **self.world.recorder.attributes.get(int(row["id"]), {})}
                for row in Spans(self.world.recorder.spans.array()).of(kind).rows]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was recorded under that name."""
        return [event for event in self.world.recorder.events if event["kind"] == kind]
