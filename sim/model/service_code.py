"""A service whose endpoints are the handlers of a class: `code: package.module:Class`."""

from __future__ import annotations

import inspect
import re
from asyncio import CancelledError, Task
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import copy_context
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.errors import CallError, StatusError
from sim.mistakes import Mistake, invalid
from sim.model.failures import explain_failure, pass_on
from sim.model.foreign import CancelledItself, Exited, check_status, is_called_off, settle_in
from sim.model.handlers import Service
from sim.model.health import PATH as HEALTH
from sim.model.health import report, tell
from sim.model.instance import Instance
from sim.model.json_values import plain
from sim.model.loading import HOW, find, load
from sim.model.marks import CHECKS, ROUTES, SUBSCRIPTIONS
from sim.model.messages import Exchange, Response
from sim.model.messaging import DELIVER, Subscription, consume
from sim.model.meters import Meter
from sim.model.node import Handler, Node
from sim.model.place import PLACE, Place
from sim.model.spans import annotate, error_attributes
from sim.resilience.errors import Rejected

if TYPE_CHECKING:
    from sim.model.service import ServiceSpec
    from sim.model.world import World

NOT_FOUND, NOT_ALLOWED = Response(404), Response(405)
Act = Callable[..., Awaitable[Any]]


def check_service_class(reference: str) -> str:
    """*reference*, if it names a subclass of Service; for the validator of a scenario."""
    found = find(reference)
    if not (isinstance(found, type) and issubclass(found, Service)):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        cure = "derive it: `from sim import Service`, `class Name(Service): ...`"
        raise invalid(Mistake((), f"{reference!r} is {what}, and no service", cure))
    if not list(routes_of(found)) and not list(subscriptions_of(found)):
        raise invalid(Mistake((), f"{reference!r} serves nothing", 'mark its handlers: `@route("GET", "/things")`'))
    for attribute in called_by_us(found):
        method = inspect.getattr_static(found, attribute)
        written = inspect.unwrap(method)
        if isinstance(written, FunctionType) and not any(map(inspect.iscoroutinefunction, (method, written))):
            code = written.__code__
            raise invalid(Mistake((), f"{found.__name__}.{attribute} is no coroutine function ({code.co_filename}:{code.co_firstlineno})",
                                  f"write `async def {attribute}(...)`"))
    return reference


def called_by_us(cls: type[Service]) -> Iterator[str]:
    """The names of its methods that are awaited for the user: handlers, checks of health, start and stop."""
    marks = (ROUTES, SUBSCRIPTIONS, CHECKS)
    attributes = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for attribute in attributes:
        if attribute in ("start", "stop") or any(hasattr(inspect.getattr_static(cls, attribute), mark) for mark in marks):
            yield attribute


class CodeRoute(NamedTuple):
    """A handler method: where it listens, and the name under which its requests are recorded."""

    method: str
    path: str
    attribute: str


class Endpoint(NamedTuple):
    """As the node's routes have it: *pattern* finds the values of the path's names, None where it has none."""

    operation: int
    attribute: str
    pattern: re.Pattern[str] | None


def routes_of(cls: type[Service]) -> Iterator[CodeRoute]:
    """All routes of a class, its own and inherited ones, in the order in which they are written."""
    attributes = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for attribute in attributes:
        for method, path in getattr(inspect.getattr_static(cls, attribute), ROUTES, ()):
            yield CodeRoute(method, path, attribute)


def subscriptions_of(cls: type[Service]) -> Iterator[tuple[str, Subscription, str]]:
    """All subscriptions of a class: the pattern, who gets what fits it, and the name of the method."""
    attributes = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for attribute in attributes:
        for pattern, subscription in getattr(inspect.getattr_static(cls, attribute), SUBSCRIPTIONS, {}).items():
            yield pattern, subscription, attribute


def subscriptions_in(reference: str) -> Mapping[str, Subscription]:
    """Those of the class that *reference* names."""
    return {pattern: subscription for pattern, subscription, _ in subscriptions_of(find(reference))}


def named(path: str) -> re.Pattern[str] | None:
    """A pattern that finds the values of the names in *path*: `/orders/{id}`."""
    if "{" not in path:
        return None
    pieces = re.split(r"\{([A-Za-z_]\w*)\}", path)
    return re.compile("".join(f"(?P<{piece}>[^/]+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)))


class CodeService(Node):
    """The runtime of a service that is written in Python."""

    spec: ServiceSpec
    runs_user_code = True

    def __init__(self, name: str, spec: ServiceSpec, world: World) -> None:
        super().__init__(name, spec, world)
        assert spec.code is not None, HOW
        self.processes: dict[Instance, Service] = {}
        self.endpoints: list[Endpoint] = []
        self.meters: dict[tuple[str, str], Meter] = {}
        self.service_class: type[Service] = copy_context().run(load, spec.code)
        settle_in()
        for found in routes_of(self.service_class):
            operation = world.recorder.operation(f"{found.method} {found.path}")
            self.endpoints.append(Endpoint(operation, found.attribute, named(found.path)))
            self.routes.add(found.method, found.path, self.endpoints[-1])
        if self.routes.find("GET", HEALTH) is None:
            self.routes.add("GET", HEALTH, Endpoint(world.recorder.operation(f"GET {HEALTH}"), "", None))

    def subscriptions(self) -> Mapping[str, Subscription]:
        return {pattern: subscription for pattern, subscription, _ in subscriptions_of(self.service_class)}

    # processes

    def start(self) -> None:
        super().start()
        for instance in self.instances:
            self._begin(instance)

    def boot(self, instance: Instance) -> None:
        """A killed instance runs again: a new process, which knows nothing of the old one."""
        instance.set_handler(self.handler(instance))
        self._begin(instance)

    def killed(self, instance: Instance) -> None:
        """Its process is gone, with all that it kept in memory."""
        self.processes[instance].abandon()

    def drained(self, instance: Instance) -> None:
        """Its last request is answered: let it clean up, then end it."""
        process = self.processes[instance]
        if type(process).stop is Service.stop:
            instance.kill()
        else:
            process.spawn(self._stop(instance, process), "stop")

    async def _stop(self, instance: Instance, process: Service) -> None:
        try:
            await process.stop()
        finally:
            instance.kill()

    def _begin(self, instance: Instance) -> None:
        """Let the process start; until it has, the instance takes no requests."""
        process = self.processes[instance]
        if type(process).start is Service.start:
            instance.set_accepting(True)
            return
        instance.set_accepting(False)
        process.spawn(self._start(instance, process), "start")

    async def _start(self, instance: Instance, process: Service) -> None:
        await process.start()
        if process._alive and not instance.draining:
            instance.set_accepting(True)

    # requests

    def handler_tasks(self, instance: Instance) -> list[Task[None]]:
        return [exchange.task for exchange in instance.serving]

    def handler(self, instance: Instance) -> Handler:
        process = self.processes[instance] = instance.begin(self.service_class.on, instance, instance.config, self.meters)
        acts: dict[str, Act] = {endpoint.attribute: getattr(process, endpoint.attribute) for endpoint in self.endpoints}
        acts[""] = lambda request: health(process)
        acts.update({attribute: getattr(process, attribute) for _, _, attribute in subscriptions_of(self.service_class)})
        find_endpoint, other = self.routes.find, self.world.recorder.operation("(no endpoint)")
        work = self.spec.work.sampler(instance.stream("work")) if self.spec.work is not None else None

        subscriptions = self.subscriptions()
        consumers = {pattern: Endpoint(0, attribute, None) for pattern, _, attribute in subscriptions_of(self.service_class)}

        async def consumed(exchange: Exchange) -> Response:
            return await act_on(consumers[exchange.request.path], exchange, exchange.request.body)

        async def serve(exchange: Exchange) -> Response | None:
            request = exchange.request
            endpoint = find_endpoint(request.method, request.path)
            if endpoint is None:
                if request.method == DELIVER:
                    return await consume(exchange, instance, consumed, subscriptions[request.path].in_progress)
                exchange.operation = other
                return NOT_ALLOWED if self.routes.methods_of(request.path) else NOT_FOUND
            exchange.operation = endpoint.operation
            return await act_on(endpoint, exchange, request)

        async def act_on(endpoint: Endpoint, exchange: Exchange, what: Any) -> Response:
            PLACE.set(Place(instance, exchange, exchange.request.trace, exchange.span))
            if work is not None:
                await process.work(work())
            try:
                return await answer(acts[endpoint.attribute], endpoint, what)
            except (CallError, Rejected, TimeoutError) as error:  # of a call that the handler did not care about
                noted(exchange, error)
                return pass_on(error.response if isinstance(error, StatusError) else explain_failure(error))
            except Exception as error:
                noted(exchange, error)
                raise
            except SystemExit as asked:
                raise noted(exchange, Exited(asked)) from asked
            except CancelledError as cancelled:
                if is_called_off(exchange):
                    raise
                raise noted(exchange, CancelledItself()) from cancelled

        return serve


def noted(exchange: Exchange, error: Exception) -> Exception:
    """*error*, of which the span of *exchange* tells from now on."""
    annotate(exchange.instance.recorder, exchange.span, error_attributes(error))
    return error


async def answer(act: Act, endpoint: Endpoint, request: Any) -> Response:
    """What the handler answers to a request or a message; anything but a Response is the body of a 200."""
    if endpoint.pattern is None:
        result = await act(request)
    else:
        match = endpoint.pattern.fullmatch(request.path.partition("?")[0])
        result = await act(request, **match.groupdict() if match is not None else {})
    if not isinstance(result, Response):
        return Response(200, plain(result))
    check_status(result.status)
    if result.body is not None:
        result.body = plain(result.body)
    return result


# health

async def health(process: Service) -> Response:
    """All named checks of a process."""
    checks = {name: getattr(process, attribute) for attribute in dir(type(process))
              if (name := getattr(inspect.getattr_static(type(process), attribute), CHECKS, None)) is not None}
    found = await report(process.name, checks, process.health_timeout)
    place = PLACE.get()
    tell(place.instance.recorder, place.span, found)
    return found
