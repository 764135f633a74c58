"""A version of a service, and what makes it another one: its speed, its errors, its configuration.

    version: {name: v2, speed: 0.5, error_rate: 5%}

The same words say what a value of the configuration does to whoever has it: see `sim.model.config`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sim.model.messages import Answer, Exchange, Response
from sim.spec import Spec
from sim.units import Share

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.station import Handle, Wrap


class Behaviour(Spec):
    """How an instance behaves: *speed* 0.5 works half as fast; a share of the requests fails with *error_status* before any work.

    One that *crashes* ends as soon as it is to take its first request, starts again, and so on.
    """

    speed: float = Field(default=1.0, gt=0, le=1000)
    error_rate: Share = 0.0
    error_status: int = Field(default=500, ge=400, le=599)
    crashes: bool = False


class VersionSpec(Behaviour):
    """A version of a service. *config* lies over what the service's own `config` says."""

    shorthand: ClassVar[str] = "name"
    name: str = Field(min_length=1, max_length=50)
    config: dict[str, Any] = {}


def together(behaviours: Sequence[Behaviour]) -> Behaviour:
    """As who has all of them behaves: speeds and the shares that go well multiply; errors have the status of the first that makes any."""
    failing = [behaviour for behaviour in behaviours if behaviour.error_rate]
    return Behaviour.model_construct(
        speed=prod(sorted(behaviour.speed for behaviour in behaviours)),
        error_rate=1 - prod(sorted(1 - behaviour.error_rate for behaviour in behaviours)),
        error_status=failing[0].error_status if failing else 500,
        crashes=any(behaviour.crashes for behaviour in behaviours),
    )


def behave(instance: Instance, behaviour: Behaviour, why: str) -> Callable[[], None]:
    """Let *instance* behave so, because of *why*; call what is returned to let it be as before."""
    instance.slow_by(why, 1 / behaviour.speed)
    failing = _failing(instance, behaviour, why) if behaviour.error_rate else None
    if failing is not None:
        instance.wrap(failing)
    if behaviour.crashes:
        instance.crash(why)

    def undo() -> None:
        instance.slow_by(why, 1.0)
        if failing is not None:
            instance.unwrap(failing)
        if behaviour.crashes:
            instance.recover(why)

    return undo


def _failing(instance: Instance, behaviour: Behaviour, why: str) -> Wrap:
    """A share of what gets a worker fails at once."""
    dice, share, status = instance.stream(f"{why} errors"), behaviour.error_rate, behaviour.error_status

    async def fail(exchange: Exchange) -> Response:
        exchange.operation = instance.node.operation_of(exchange.request)
        return Answer(status)

    def wrap(exchange: Exchange, handle: Handle) -> Awaitable[Response | None]:
        return fail(exchange) if dice.random() < share else handle(exchange)

    return wrap
