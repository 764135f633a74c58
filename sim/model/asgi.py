"""A service that is a user's own ASGI app (Starlette, FastAPI, anything): `asgi: package.module:app`.

Every instance has the app to itself, loaded anew, as every replica is a process of its own: its modules are loaded once for each, and
again when it is started after a kill. The app's lifespan is run before the first request and, when an instance is drained, after the
last one. Python code takes no simulated time by itself: `work` in the scenario says what a request costs.

A request comes as one piece and an answer goes as one, when the app has sent all of it. What the app does after that, such as a
framework's background tasks, goes on beside the requests: it holds neither answer nor worker, ends with the instance, and is waited for
before the shutdown of one that is drained. Websockets are refused with 501.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from asyncio import FIRST_COMPLETED, CancelledError
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.mistakes import Mistake, invalid
from sim.model.foreign import CancelledItself, Exited, check_status, is_called_off, settle_in
from sim.model.headers import headers_of, lines_of
from sim.model.instance import Instance
from sim.model.loading import HOW, find, load
from sim.model.messages import Exchange, Request, Response
from sim.model.node import Handler, Node
from sim.model.paths import plain_path
from sim.model.place import PLACE, Place
from sim.model.spans import annotate, error_attributes
from sim.model.whose import end_tasks

if TYPE_CHECKING:
    from sim.model.service import ServiceSpec
    from sim.model.world import World

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
VERSION = {"version": "3.0", "spec_version": "2.4"}
HEAD = 200  # bytes of an answer beside its body
NO_WEBSOCKETS = {"error": "websockets are not simulated: call the service by plain requests"}
_CONVERTER = re.compile(r"\{(\w+):(\w+)\}")


class AppFailed(Exception):
    """The app broke the rules of ASGI, or said that it could not start."""


def check_asgi_app(reference: str) -> str:
    """*reference*, if it names something that can be an app; for the validator of a scenario."""
    found = find(reference)
    if (wrong := _no_app(found)) is not None:
        what, cure = wrong
        raise invalid(Mistake((), f"{reference!r} is {what}, and no ASGI app", cure))
    return reference


def _no_app(found: Any) -> tuple[str, str] | None:
    """What *found* is if it cannot be an app, and a cure. An object with a `__call__` for three is taken for one: many of these are
    decorated, or hand on what another app gives them to await."""
    if not callable(found) or (isinstance(found, type) and not hasattr(found, "__await__")):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        return what, "name the app object itself: `app = Starlette(...)`, `asgi: module:app`"
    function = found
    while isinstance(function, functools.partial):
        function = function.func
    if not _takes_three(found):
        return ("a callable that does not take the three arguments of one", "an app is called with (scope, receive, send); "
                "of a factory name what it makes, `app = create_app()`; one of WSGI needs a wrapper, `app = WsgiToAsgi(app)` of asgiref")
    if inspect.isroutine(function) and not any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function)))):
        return "no coroutine function", "write `async def app(scope, receive, send)`, or name the app object itself"
    return None


def _takes_three(found: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(found, follow_wrapped=False)  # of a decorated one, what is called is the wrapper
    except (TypeError, ValueError):  # of some, Python cannot tell
        return True
    try:
        signature.bind("scope", "receive", "send")
    except TypeError:
        return False
    return True


class Listed(NamedTuple):
    """A route of the app, as far as it can be told from outside."""

    operation: int


class AsgiService(Node):
    """The runtime of a service that is an ASGI app."""

    spec: ServiceSpec
    runs_user_code = True

    def __init__(self, name: str, spec: ServiceSpec, world: World) -> None:
        super().__init__(name, spec, world)
        assert spec.asgi is not None, HOW
        self.processes: dict[Instance, Process] = {}
        for method, path in routes_of(find(spec.asgi)):
            self.routes.add(method, path, Listed(world.recorder.operation(f"{method} {path}")))

    def operation_of(self, request: Request) -> int:
        listed = self.routes.find(request.method, request.path)
        return listed.operation if listed is not None else self.world.recorder.operation(f"{request.method} {plain_path(request.path)}")

    # processes

    def start(self) -> None:
        super().start()
        for instance in self.instances:
            self._begin(instance)

    def boot(self, instance: Instance) -> None:
        """A killed instance runs again: the app is loaded anew."""
        instance.set_handler(self.handler(instance))
        self._begin(instance)

    def killed(self, instance: Instance) -> None:
        """Its process is gone."""
        end_tasks(instance)

    def drained(self, instance: Instance) -> None:
        """Its last request is answered: let the app shut down, then end it."""
        process = self.processes[instance]
        process.spawn(self._stop(instance, process))

    def _begin(self, instance: Instance) -> None:
        process = self.processes[instance]
        instance.set_accepting(False)
        process.spawn(self._start(instance, process))

    async def _start(self, instance: Instance, process: Process) -> None:
        try:
            await process.lifespan.startup()
        except AppFailed as error:
            self.world.recorder.event("startup.failed", node=self.name, instance=instance.name, error=str(error))
            return
        if instance.up and not instance.draining:
            instance.set_accepting(True)

    async def _stop(self, instance: Instance, process: Process) -> None:
        await process.at_rest()
        try:
            await process.lifespan.shutdown()
        except AppFailed as error:
            self.world.recorder.event("shutdown.failed", node=self.name, instance=instance.name, error=str(error))
        instance.kill()

    # requests

    def handler(self, instance: Instance) -> Handler:
        assert self.spec.asgi is not None
        process = self.processes[instance] = Process(instance, instance.begin(load, self.spec.asgi))
        settle_in()
        work = self.spec.work.sampler(instance.stream("work")) if self.spec.work is not None else None

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            exchange.operation = self.operation_of(request)
            PLACE.set(Place(instance, exchange, request.trace, exchange.span))
            if "upgrade" in request.headers and request.headers["upgrade"].lower() == "websocket":
                return Response(501, json=NO_WEBSOCKETS)
            if work is not None:
                seconds = work() * instance.slowness
                await (instance.cpu.work(seconds) if instance.cpu is not None else instance.loop.sleep(seconds))
            try:
                return await process.answer(exchange)
            except Exception as error:
                annotate(instance.recorder, exchange.span, error_attributes(error))
                raise

        return serve


def routes_of(app: Any) -> list[tuple[str, str]]:
    """Methods and paths of an app that lists its routes as Starlette does; none of any other."""
    listed = []
    for route in getattr(app, "routes", ()):
        path, methods = getattr(route, "path", None), getattr(route, "methods", None)
        if isinstance(path, str) and path.startswith("/") and methods:
            pattern = _CONVERTER.sub(lambda found: "*" if found[2] == "path" else f"{{{found[1]}}}", path)
            listed += [(method, pattern) for method in sorted(methods)]
    return listed


class Process:
    """One running copy of an app."""

    def __init__(self, instance: Instance, app: App) -> None:
        self.instance, self.app = instance, app
        self.serving: dict[asyncio.Task[Any], None] = {}  # those that serve requests, also after the answer
        self.state: dict[str, Any] = {}
        self.lifespan = Lifespan(self)

    def spawn(self, job: Coroutine[Any, Any, Any], context: Context | None = None) -> asyncio.Task[Any]:
        """Run *job* as long as the process lives."""
        context = self.instance.context() if context is None else context
        return self.instance.loop.create_task(job, name=f"{self.instance.name} app", context=context)

    async def at_rest(self) -> None:
        """Return when the app is done with all requests."""
        while self.serving:
            await asyncio.wait(list(self.serving))

    async def answer(self, exchange: Exchange) -> Response:
        """Let the app serve one request; its answer is there when the app has sent it, whatever it does then."""
        conversation = Conversation(exchange)
        serving = self.spawn(self._serve(exchange, conversation), copy_context())
        self.serving[serving] = None
        serving.add_done_callback(lambda done: self.serving.pop(done, None))
        try:
            await conversation.over
        except CancelledError:
            if not serving.cancelling():
                serving.cancel()
                await asyncio.wait((serving,))  # for what it cleans up
            raise
        return conversation.response()

    async def _serve(self, exchange: Exchange, conversation: Conversation) -> None:
        try:
            await self.app(self.scope(exchange), conversation.receive, conversation.send)
            conversation.end(AppFailed("the app returned without a complete answer"))
        except CancelledError:
            conversation.end(None if is_called_off(exchange) else CancelledItself())
            raise
        except SystemExit as asked:
            self._failed(exchange, conversation, Exited(asked))
        except Exception as error:
            self._failed(exchange, conversation, error)

    def _failed(self, exchange: Exchange, conversation: Conversation, error: Exception) -> None:
        """The app raised. With a 500 a framework has said so before it raises; after a good answer, it was at something else."""
        world = self.instance.world
        if not conversation.complete:
            conversation.end(error)
        elif conversation.status >= 500:
            annotate(self.instance.recorder, exchange.span, error_attributes(error))
            world.handler_failed(self.instance, exchange, error)
        else:
            world.background_failed(PLACE.get(), f"{type(error).__name__}: {error}")

    def scope(self, exchange: Exchange) -> Scope:
        """What ASGI tells the app of a request."""
        request = exchange.request
        path, _, query = request.path.partition("?")
        headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in lines_of(request.headers)]
        if "host" not in request.headers:
            headers.insert(0, (b"host", self.instance.node.name.encode()))
        if request.body is not None:
            if "content-type" not in request.headers:
                headers.append((b"content-type", b"application/json"))
            if "content-length" not in request.headers:
                headers.append((b"content-length", str(len(request.content)).encode()))
        return {"type": "http", "asgi": VERSION, "http_version": "1.1", "method": request.method, "scheme": "http", "path": path,
                "raw_path": path.encode("latin-1", "replace"), "query_string": query.encode("latin-1"), "root_path": "", "headers": headers,
                "client": (exchange.client.source.name, 0), "server": (self.instance.node.name, 80), "state": self.state.copy()}


class Conversation:
    """What passes between the server and the app about one request."""

    __slots__ = ("_asked", "_chunks", "_exchange", "_headers", "complete", "over", "status")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asked = False
        self._headers: Mapping[str, str] = {}
        self._chunks: list[bytes] = []
        self.status = 0
        self.complete = False
        self.over: asyncio.Future[None] = exchange.instance.loop.create_future()  # the answer is complete, or will never be

    def end(self, error: Exception | None) -> None:
        """The app has ended, because of *error* or since it was told to; after a complete answer this changes nothing."""
        if self.over.done():
            return
        if error is None:
            self.over.cancel()
        else:
            self.over.set_exception(error)

    async def receive(self) -> dict[str, Any]:
        """The whole request; asked again, that there is nobody to talk to any more, once the caller has gone or has its answer."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._exchange.request.content, "more_body": False}
        await asyncio.wait((self._exchange.answer, self.over), return_when=FIRST_COMPLETED)
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """A piece of the answer."""
        kind = message["type"]
        if kind == "http.response.start":
            if self.status:
                raise AppFailed("the app has begun its answer twice")
            check_status(message["status"])
            self.status = message["status"]
            self._headers = headers_of(message.get("headers", ()))
        elif kind == "http.response.body":
            if not self.status or self.complete:
                raise AppFailed("a body without a beginning" if not self.status else "a body after its end")
            self._chunks.append(bytes(message.get("body", b"")))
            self.complete = not message.get("more_body", False)
            if self.complete and not self.over.done():
                self.over.set_result(None)
        else:
            raise AppFailed(f"the app sent {kind!r}, which this server does not offer")

    def response(self) -> Response:
        """The answer, once it is complete."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        retry_after = self._headers.get("retry-after", "")
        return Response(self.status, body, headers=self._headers, size=len(body) + HEAD,
                        retry_after=float(retry_after) if retry_after.isdecimal() else None)


class Lifespan:
    """ASGI's lifespan: the app is told when it starts and when it is to stop. An app that does not know of it goes without."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[Any] | None = None

    async def startup(self) -> None:
        """Let the app start; raise AppFailed if it cannot."""
        self._task = self._process.spawn(self._run())
        await self._say("startup")

    async def shutdown(self) -> None:
        """Let the app stop; raise AppFailed if it says that something went wrong."""
        if self._task is not None and not self._task.done():
            await self._say("shutdown")

    async def _say(self, word: str) -> None:
        self._to_app.put_nowait({"type": f"lifespan.{word}"})
        answer = await self._from_app.get()
        if answer["type"] == f"lifespan.{word}.failed":
            raise AppFailed(f"the app's {word} failed: {answer.get('message', '')}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": VERSION, "state": self._process.state}
        try:
            await self._process.app(scope, self._to_app.get, self._from_app.put)
        except Exception:  # by the specification: this app does not support lifespan, and is served without
            pass
        except SystemExit as asked:
            self._from_app.put_nowait({"type": "lifespan.startup.failed", "message": str(Exited(asked))})
        finally:
            self._from_app.put_nowait({"type": "lifespan.over"})
