"""What a workload sends: requests of several kinds, by weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from sim.model.keys import AnyKeys
from sim.model.messages import MESSAGE_SIZE, NO_HEADERS, Request
from sim.model.paths import template
from sim.model.steps import CallTarget
from sim.spec import Spec
from sim.streams import Streams
from sim.units import Size
from sim.workload.bodies import body_maker, check_body

if TYPE_CHECKING:
    from sim.telemetry.recorder import Recorder


class SendSpec(Spec):
    """One kind of request: method and path, with its share of the load."""

    shorthand: ClassVar[str] = "send"
    send: CallTarget
    weight: float = Field(default=1.0, gt=0, le=1e9)
    headers: dict[str, str] = {}
    json_: Annotated[Any, AfterValidator(check_body)] = Field(default=None, alias="json")  # the body; its texts may hold draws, as paths do
    size: Size = MESSAGE_SIZE
    key: AnyKeys | None = None
    priority: int = 0


class Mix:
    """Draws the next request of a workload."""

    def __init__(self, sends: list[SendSpec], name: str, streams: Streams, recorder: Recorder) -> None:
        self._dice = streams[f"workload {name} mix"]
        self._makers = [_maker(spec, index, name, streams, recorder) for index, spec in enumerate(sends)]
        total = sum(spec.weight for spec in sends)
        reached = 0.0
        self._until: list[float] = []
        for spec in sends:
            reached += spec.weight / total
            self._until.append(reached)
        self._until[-1] = 1.0

    def draw(self) -> Request:
        """A new request."""
        makers = self._makers
        if len(makers) == 1:
            return makers[0]()
        at = self._dice.random()
        for until, make in zip(self._until, makers, strict=True):
            if at < until:
                return make()
        return makers[-1]()


def _maker(spec: SendSpec, index: int, name: str, streams: Streams, recorder: Recorder) -> Callable[[], Request]:
    path = template(spec.send.path, streams[f"workload {name} path {index}"])
    key = spec.key.drawer(streams[f"workload {name} key {index}"]) if spec.key is not None else None
    operation = recorder.operation(spec.send.operation)
    headers: Mapping[str, str] = {name.lower(): value for name, value in spec.headers.items()} or NO_HEADERS
    method, size, priority = spec.send.method, spec.size, spec.priority
    body = body_maker(spec.json_, streams[f"workload {name} body {index}"]) if spec.json_ is not None else _no_body

    def make() -> Request:
        return Request(method, path(), 0, 0, operation, headers, size, body(), str(key()) if key is not None else None, priority)

    return make


def _no_body() -> None:
    return None
