"""The decorators of service code: they only mark a method, and the node that runs the class reads the marks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sim.model.messaging import Subscription
from sim.model.subjects import check_pattern

Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])
ROUTES, CHECKS, SUBSCRIPTIONS = "_mesocosm_routes", "_mesocosm_check", "_mesocosm_subscriptions"


def route(method: str, path: str) -> Callable[[Method], Method]:
    """The decorated method serves *method* and *path*; a `{name}` in the path is handed to it as an argument of that name."""

    def mark(function: Method) -> Method:
        setattr(function, ROUTES, [*getattr(function, ROUTES, ()), (method.upper(), path)])
        return function

    return mark


def subscribe(subject: str, *, group: str = "", everyone: bool = False, prefetch: int | None = None,
              broker: str | None = None) -> Callable[[Method], Method]:
    """The decorated method is handed each message (a Delivery) whose subject fits; `order.*` and `order.>` are patterns.

    The instances of the service share the messages, or each gets all (*everyone*). A message is acknowledged when the method returns;
    if it raises, or returns a Response that failed, a stream delivers it again; a Response of 422 says that no further try can help.
    """
    check_pattern(subject)

    def mark(function: Method) -> Method:
        setattr(function, SUBSCRIPTIONS, {**getattr(function, SUBSCRIPTIONS, {}), subject: Subscription(group, everyone, prefetch, broker)})
        return function

    return mark


def health_check(name: str) -> Callable[[Method], Method]:
    """The decorated method is one of the checks behind `GET /health`: what it returns is the message, what it raises says what is wrong."""

    def mark(function: Method) -> Method:
        setattr(function, CHECKS, name)
        return function

    return mark
