"""What a user's code may have brought along, taught where it is after the code was loaded.

httpx calls over the simulated network, OpenTelemetry reports its spans, asyncio shows the tasks of one process alone, and what would leave
the simulation by a way of its own is refused.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from sim.model.httpx_transport import carry_httpx
from sim.model.messages import Exchange
from sim.model.otel import report_opentelemetry
from sim.model.whose import confine_all_tasks

_MARK = "_mesocosm_refused"
STATUSES = range(100, 1000)  # what fits the three digits of HTTP
GRPC = "use httpx, or `self.call` of a service with `protocol: grpc` in its `uses`, which has gRPC's connections, deadlines and limits"


class Exited(RuntimeError):
    """Code of a service has called `sys.exit`. That ends a program, and here it would be the simulation."""

    def __init__(self, asked: SystemExit) -> None:
        super().__init__(f"sys.exit({asked.code!r}) in service code: answer with a status, or raise an error")


class CancelledItself(RuntimeError):
    """A handler has ended as cancelled, and nobody had told it to."""

    def __init__(self) -> None:
        super().__init__("CancelledError in a request that nobody has called off: its code awaited a task that was cancelled, or cancelled "
                         "its own; catch the error where the task is awaited")


def is_called_off(exchange: Exchange) -> bool:
    """Nobody wants the work for *exchange* any more: its caller has gone or is answered, or its instance was killed."""
    instance = exchange.instance
    return exchange.answer.done() or not instance.up or exchange not in instance.world.in_service


def check_status(status: object) -> None:
    """Raise TypeError or ValueError where no answer over HTTP can have this *status*."""
    if not isinstance(status, int):
        raise TypeError(f"the status {status!r} is a {type(status).__name__}: write a number, such as 200")
    if status not in STATUSES:
        raise ValueError(f"there is no status {status}: write one of three digits, such as 200")


def settle_in() -> None:
    """Look at what is loaded by now; what was settled before stays as it is."""
    confine_all_tasks()
    carry_httpx()
    report_opentelemetry()
    refuse_grpc()


def refuse_grpc() -> None:
    """gRPC's Python library brings its own sockets and threads past the event loop: inside of a simulation its channels are refused."""
    aio: Any = getattr(sys.modules.get("grpc"), "aio", None)
    if aio is None or hasattr(aio, _MARK):
        return
    for name in ("insecure_channel", "secure_channel", "server"):
        setattr(aio, name, _refused(f"grpc.aio.{name}", getattr(aio, name)))
    setattr(aio, _MARK, True)


def _refused(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    from sim.kernel import NotSimulated, SimLoop

    def refuse(*args: Any, **options: Any) -> Any:
        if isinstance(asyncio._get_running_loop(), SimLoop):
            raise NotSimulated(name, GRPC)
        return original(*args, **options)

    return refuse
