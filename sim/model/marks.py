"""The decorators of service code: they only mark a method, and the node that runs the class reads the marks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sim.model.messaging import Deliver, Subscription
from sim.model.subjects import check_pattern

Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])
ROUTES, CHECKS, SUBSCRIPTIONS = "_mesocosm_routes", "_mesocosm_check", "_mesocosm_subscriptions"


def route(method: str, path: str) -> Callable[[Method], Method]:
    """The decorated method serves *method* and *path*; a `{name}` in the path is handed to it as an argument of that name."""

    def mark(function: Method) -> Method:
        setattr(function, ROUTES, [*getattr(function, ROUTES, ()), (method.upper(), path)])
        return function

    return mark


def subscribe(subject: str, *, group: str = "", everyone: bool = False, prefetch: int | None = None, broker: str | None = None,
              deliver: Deliver = "new", start_after: float = 0.0, in_progress: float | None = None) -> Callable[[Method], Method]:
    """The decorated method is handed each message (a Delivery) whose subject fits; `order.*` and `order.>` are patterns.

    The instances of the service share the messages, or each gets all (*everyone*). A message is acknowledged when the method returns;
    if it raises, or returns a Response that failed, a stream delivers it again; a Response of 422 says that no further try can help.

    A group that comes *start_after* seconds into the run may want `all` that a stream has, or its `last` message (*deliver*). Who handles a
    message for long says so every *in_progress* seconds, or by `Delivery.in_progress()`, and the stream goes on waiting.
    """
    check_pattern(subject)
    subscription = Subscription(group, everyone, prefetch, broker, deliver, start_after, in_progress)

    def mark(function: Method) -> Method:
        setattr(function, SUBSCRIPTIONS, {**getattr(function, SUBSCRIPTIONS, {}), subject: subscription})
        return function

    return mark


def health_check(name: str) -> Callable[[Method], Method]:
    """The decorated method is one of the checks behind `GET /health`: what it returns is the message, what it raises says what is wrong."""

    def mark(function: Method) -> Method:
        setattr(function, CHECKS, name)
        return function

    return mark
