"""A world for tests of what lies between the services: nodes, links and a registry from plain data, calls by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import TypeAdapter

from sim.kernel import SimLoop
from sim.model.client import Client, Source, UseSpec
from sim.model.instance import Instance
from sim.model.messages import Request, Response
from sim.model.network import NetworkSpec
from sim.model.registry_spec import RegistrySpec
from sim.model.services import AnyService
from sim.model.world import World
from sim.resilience.deadline import deadline_at


class Platform:
    """Every link takes *latency* each way."""

    def __init__(self, loop: SimLoop, services: dict[str, Any], latency: str = "10ms",
                 registry: dict[str, Any] | None = None) -> None:
        self.loop = loop
        network = NetworkSpec.model_validate({"default": {"latency": latency}})
        found = RegistrySpec.model_validate(registry) if registry is not None else None
        nodes = {name: TypeAdapter(AnyService).validate_python(spec) for name, spec in services.items()}
        self.world = World(loop, 1, nodes, network, found)

    def client(self, to: str, who: str = "user", **use: Any) -> Client:
        """A caller's way to a node, as `uses` has it; the caller is no instance."""
        return self.world.client(who, Source(who), to, UseSpec.model_validate(use))

    async def call(self, client: Client, method: str = "GET", path: str = "/", deadline: float | None = None, **more: Any) -> Response:
        """One call; *deadline* in seconds from now."""
        request = Request(method, path, self.world.recorder.next_request(), 0, self.world.recorder.operation(f"{method} {path}"), **more)
        if deadline is None:
            return await client.call(request)
        with deadline_at(self.loop.time() + deadline):
            return await client.call(request)

    def ask(self, client: Client, method: str = "GET", path: str = "/", **more: Any) -> Response:
        """One call and its answer, with nothing else going on."""
        return self.loop.run_until_complete(self.call(client, method, path, **more))

    def timed(self, client: Client, **more: Any) -> tuple[int, float]:
        """The status of one call, and how long it took (seconds)."""
        start = self.loop.time()
        status = self.ask(client, **more).status
        return status, round(self.loop.time() - start, 9)

    def together(self, client: Client, number: int, **more: Any) -> list[tuple[int, float]]:
        """So many calls at once: the status of each, and when its answer came (seconds from now)."""
        start = self.loop.time()

        async def one() -> tuple[int, float]:
            response = await self.call(client, **more)
            return response.status, round(self.loop.time() - start, 9)

        async def all_of_them() -> list[tuple[int, float]]:
            tasks = [self.loop.create_task(one()) for _ in range(number)]
            return [await task for task in tasks]

        return self.loop.run_until_complete(all_of_them())

    def instance(self, name: str) -> Any:
        """`back-0`."""
        return next(instance for instance in self.world.instances if instance.name == name)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was recorded under that name."""
        return [event for event in self.world.recorder.events if event["kind"] == kind]

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.loop.run_until(self.loop.time() + seconds)


def busy_seconds(instance: Instance) -> float:
    """How long its workers have been at work, all together."""
    return instance.busy.integral(instance.env.now)


@contextmanager
def platform(services: dict[str, Any], **options: Any) -> Iterator[Platform]:
    """A world that ends with the block; nobody hears what still runs then."""
    with SimLoop(seed=1) as loop:
        lab = Platform(loop, services, **options)
        yield lab
        for node in lab.world.nodes.values():
            node.check_books()
        lab.world.recorder.seal()
