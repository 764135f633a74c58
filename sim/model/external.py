"""An external party: it answers after a latency of its own, and sometimes with an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sim.distributions import Constant, TimeDistribution
from sim.model.instance import Instance
from sim.model.messages import Exchange, Response
from sim.model.node import Handler, Node, NodeSpec
from sim.units import Share

if TYPE_CHECKING:
    from sim.model.world import World


class ExternalSpec(NodeSpec):
    """Somebody else's service, of which only latency, errors and a limit of concurrency are known."""

    word: ClassVar[str] = "external"
    kind: Literal["external"] = "external"
    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.05))
    error_rate: Share = 0.0
    error_status: int = Field(default=500, ge=400, le=599)

    def build(self, name: str, world: World) -> Node:
        return External(name, self, world)


class External(Node):
    """The runtime of an external party."""

    spec: ExternalSpec

    def handler(self, instance: Instance) -> Handler:
        draw = self.spec.latency.sampler(instance.stream("latency"))
        dice, share, loop = instance.stream("errors"), self.spec.error_rate, self.world.loop
        good, bad = Response(200), Response(self.spec.error_status)

        async def serve(exchange: Exchange) -> Response:
            exchange.operation = exchange.request.operation
            await loop.sleep(draw() * instance.slowness)
            return bad if share and dice.random() < share else good

        return serve
