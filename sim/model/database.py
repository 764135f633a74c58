"""A database: a number of connections, each running one statement at a time; who finds none free waits in line."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sim.distributions import Constant, TimeDistribution
from sim.model.instance import Instance
from sim.model.messages import Exchange, Response
from sim.model.node import Handler, Node, NodeSpec, QueueSpec
from sim.model.tables import Statement, Tables

if TYPE_CHECKING:
    from sim.model.world import World


class DatabaseSpec(NodeSpec):
    """Statements take *query* (or what a step says); *connections* run at once."""

    word: ClassVar[str] = "database"
    kind: Literal["database"] = "database"
    connections: int = Field(default=20, ge=1)
    queue: QueueSpec = Field(default_factory=lambda: QueueSpec.model_construct(limit=10_000, order="fifo"))
    query: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.002))

    def workers_each(self) -> int:
        return self.connections

    def queue_spec(self) -> QueueSpec:
        return self.queue

    def build(self, name: str, world: World) -> Node:
        return Database(name, self, world)


class Database(Node):
    """The runtime of a database."""

    spec: DatabaseSpec

    def __init__(self, name: str, spec: DatabaseSpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.tables = Tables()  # what service code keeps here; steps only take time

    def handler(self, instance: Instance) -> Handler:
        draw, loop = self.spec.query.sampler(instance.stream("query")), self.world.loop
        good = Response(200)

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            exchange.operation = request.operation
            body = request.body
            if type(body) is Statement:
                await loop.sleep((draw() if body.time is None else body.time) * instance.slowness)
                return Response(200, body.execute(self.tables))
            await loop.sleep((body if isinstance(body, float) else draw()) * instance.slowness)
            return good

        return serve
