"""Service code: what the user of a service class writes, and what the class gives to it.

    class Orders(Service):
        @route("POST", "/orders")
        async def create(self, request: Request) -> Response:
            stock = await self.call("inventory", "POST", "/reservations", json={"sku": request.json["sku"]})
            stock.raise_for_status()
            return Response(201, json={"id": "o-1"})

There is one object for each instance, as there is one process for each replica: what it keeps in itself is lost when the
instance is killed, and what must last belongs into a database. (Replicas share the module: keep nothing there.) Code that is
killed can do nothing any more: whatever it still asks for while it is being cancelled is cancelled too.

What it starts by asyncio itself (`asyncio.create_task`, `loop.call_later`) ends with the process as well, and an error in there that nobody
handles is an event of the run, `background.error`, and a line of its log, as one in what `spawn` runs.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import TypeAdapter, ValidationError

from sim.distributions import TimeDistribution
from sim.errors import CallError, InvalidInput
from sim.mistakes import mistakes
from sim.model import event_store
from sim.model.database import Database
from sim.model.event_store import Change, Event, Recorded
from sim.model.json_values import plain
from sim.model.logs import Log
from sim.model.messages import MESSAGE_SIZE, NO_HEADERS, Request, Response
from sim.model.messaging import Publisher
from sim.model.meters import Meter
from sim.model.place import PLACE, current_place
from sim.model.sagas import RecordedSaga
from sim.model.spans import Span, annotate
from sim.model.store_client import CacheClient
from sim.model.subjects import check_subject
from sim.model.tables import Failed, Statement, Tables
from sim.model.whose import end_tasks
from sim.resilience.errors import Rejected
from sim.resilience.saga import Saga
from sim.sampling import Sampler
from sim.streams import Stream

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.instance import Instance

T = TypeVar("T")


class Service:
    """Base of service code. Everything on `self` stands for one running process of the service.

    Override `start` and `stop` for what has to be done before the first and after the last request.
    """

    health_timeout: ClassVar[float] = 5.0  # seconds that a health check may take

    _instance: Instance
    _config: Mapping[str, Any]
    _meters: dict[tuple[str, str], Meter]
    _clients: dict[str, Client]
    _publishers: dict[str | None, Publisher]
    _caches: dict[str, CacheClient]
    _samplers: dict[str, Sampler]  # of times of work, by their words
    _alive: bool = True

    @classmethod
    def on(cls, instance: Instance, config: Mapping[str, Any], meters: dict[tuple[str, str], Meter]) -> Service:
        """A new process of this service. *config* may change under it; *meters* outlive it, as a monitoring system's counts do."""
        service = cls.__new__(cls)
        service._instance = instance
        service._config = config
        service._meters = meters
        service._clients = {}
        service._publishers = {}
        service._caches = {}
        service._samplers = {}
        service.log = Log(instance)
        service.__init__()  # type: ignore[misc]
        return service

    # its life

    async def start(self) -> None:
        """Before the first request; the instance takes none until this is done."""

    async def stop(self) -> None:
        """After the last request of an instance that is taken out of service; one that is killed has no time for it."""

    def spawn(self, job: Coroutine[Any, Any, T], name: str = "background", *, within_request: bool = False) -> asyncio.Task[T | None]:
        """Run *job* beside the requests, until it ends or the instance does. An error in it is recorded, and its result then None.

        *within_request*: it goes on with the trace, the span and the deadline at hand; it may still outlive the request.
        """
        instance = self._instance
        context = copy_context() if within_request else instance.context()
        return instance.loop.create_task(self._guarded(job), name=f"{instance.name} {name}", context=context)

    async def _guarded(self, job: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await job
        except (Exception, SystemExit) as error:
            self._instance.world.background_failed(PLACE.get(), f"{type(error).__name__}: {error}")
            return None

    def abandon(self) -> None:
        """The process is gone; called by the instance."""
        self._alive = False
        end_tasks(self._instance)

    def _check_alive(self) -> None:
        if not self._alive:
            raise CancelledError(f"{self.instance_name} was killed")

    def _client(self, callee: str) -> Client:
        """The way to *callee*, looked up once; raise TargetNotFound."""
        client = self._clients[callee] = self._instance.client(callee)
        return client

    # who and when

    @property
    def name(self) -> str:
        """The service's name in the scenario."""
        return self._instance.node.name

    @property
    def instance_name(self) -> str:
        """`orders-0`."""
        return self._instance.name

    @property
    def now(self) -> float:
        """Simulated seconds since the start of the run."""
        return self._instance.env._now

    @property
    def config(self) -> Mapping[str, Any]:
        """What the scenario says under the service's `config`, as it is now."""
        return self._config

    @property
    def rng(self) -> Stream:
        """Chance, from a stream of this instance."""
        return self._instance.world.streams[f"{self._instance.name} code"]

    def times(self, distribution: Any) -> Sampler:
        """A function that draws seconds from a distribution as YAML has it: `{"exponential": "4ms"}`, `{"lognormal": {...}}`, `"5ms"`.

        Raise InvalidInput where there is no such distribution.
        """
        try:
            spec: TimeDistribution = TypeAdapter(TimeDistribution).validate_python(distribution)
        except ValidationError as error:
            raise InvalidInput("; ".join(f"{wrong.what}: {wrong.cure}" for wrong in mistakes(error))) from None
        return spec.sampler(self._instance.stream("times"))

    # work and calls

    def work(self, time: float | str | Mapping[str, Any]) -> Awaitable[None]:
        """Compute for so long: CPU time where the service has `cpu`, and longer where the instance is slow.

        *time* is in seconds, or drawn from what `times` takes: `"20ms"`, `{"exponential": "4ms"}`.
        """
        instance = self._instance
        self._check_alive()
        try:
            seconds: float = time * instance.slowness  # type: ignore[operator]
        except TypeError:  # said in words
            seconds = self._drawn(time) * instance.slowness
        return instance.cpu.work(seconds) if instance.cpu is not None else instance.loop.sleep(seconds)

    def _drawn(self, distribution: Any) -> float:
        words = repr(distribution)
        if words not in self._samplers:
            self._samplers[words] = self.times(distribution)
        return self._samplers[words]()

    async def call(self, callee: str, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] = NO_HEADERS,
                   key: str | None = None, size: int = MESSAGE_SIZE, priority: int | None = None, optional: bool = False) -> Response:
        """Call another service under the policies that `uses` states for it; whatever happens there is a Response.

        Where there was no answer, `status` is what a gateway says (502, 503, 504) and `error` the reason. An answer that is degraded, and
        an *optional* call that fails, make the answer of this service count as degraded. *json* is copied, as the network would.
        """
        self._check_alive()
        client = self._clients.get(callee) or self._client(callee)
        place = current_place()
        trace, parent, exchange = (place.trace, place.span, place.exchange) if place is not None else (0, 0, None)
        if priority is None:
            priority = exchange.request.priority if exchange is not None else 0
        request = Request(method, path, trace, parent, 0, headers, size, json if json is None else plain(json), key, priority)
        request.operation = client.node.operation_of(request)
        response = await client.call(request)
        self._check_alive()
        if exchange is not None and (response.degraded or (optional and response.status >= 400)):
            exchange.degraded = True
        return response

    async def publish(self, subject: str, json: Any = None, *, headers: Mapping[str, str] = NO_HEADERS, key: str | None = None,
                      size: int = MESSAGE_SIZE, message_id: str | None = None, confirm: bool | None = None,
                      broker: str | None = None) -> Response:
        """Publish *json* as *subject*, to the only broker or the one named; what comes back says whether it is stored.

        Without a *confirm* (None: as the broker's delivery has it) it is 202 at once. A stream stores a *message_id* only once; messages
        of one *key* can be kept in order. *json* is copied, as the network would.
        """
        self._check_alive()
        publisher = self._publishers.get(broker)
        if publisher is None:
            publisher = self._publishers[broker] = Publisher(self._instance, broker)
        place = current_place()
        trace, parent = (place.trace, place.span) if place is not None else (0, 0)
        response = await publisher.publish(check_subject(subject), trace=trace, parent=parent, body=json if json is None else plain(json),
                                           headers=headers, key=key, size=size, message_id=message_id, confirm=confirm)
        self._check_alive()
        return response

    # data

    async def query(self, database: str, run: Callable[[Tables], T] | None = None, *, write: bool = False, time: float | None = None,
                    fresh: bool = False, key: str | None = None) -> T:
        """Run *run* in the database (see sim.model.tables) and return what it gives; without it only time passes there.

        It takes *time* seconds, or as long as the database says. An error that *run* raises is raised here; so is a failure of the call.
        Where the database has replicas, only a *write* and a *fresh* read go to the primary: any other read may miss what was written last.
        A write that says which row it is about (*key*) locks it until it is done, and waits for others that have it.
        """
        self._check_alive()
        instance = self._instance
        client = self._clients.get(database) or self._client(database)
        if not (write or fresh) and isinstance(client.node, Database):
            client = client.node.reader(instance)
        place = current_place()
        trace, parent = (place.trace, place.span) if place is not None else (0, 0)
        word = "write" if write else "read"
        operation = instance.recorder.operation(word)
        statement: Statement[Any] = Statement(run if run is not None else _nothing, time)
        response = await client.call(Request("POST", f"/{word}", trace, parent, operation, body=statement, key=key))
        self._check_alive()
        result = response.raise_for_status().body
        if type(result) is Failed:
            raise result.error
        return result  # type: ignore[no-any-return]

    @asynccontextmanager
    async def transaction(self, database: str) -> AsyncIterator[list[Callable[[Tables], Any]]]:
        """Statements that are appended inside the block are run at its end, all at once or not at all; an error in the block drops them."""
        statements: list[Callable[[Tables], Any]] = []
        yield statements

        def run(tables: Tables) -> None:
            for statement in statements:
                statement(tables)

        await self.query(database, run, write=True)

    async def append(self, database: str, stream: str, events: Sequence[Event], expected_version: int | None = None, *,
                     also: Change | None = None) -> int:
        """Append *events* to a *stream* of the event store in *database*, and do *also* in the same transaction; return the new version.

        Raise VersionConflict where the stream is not at *expected_version* any more.
        """

        def run(tables: Tables) -> int:
            version = event_store.append(tables, stream, events, expected_version)
            if also is not None:
                also(tables)
            return version

        return await self.query(database, run, write=True)

    async def project(self, database: str, name: str, apply: Callable[[Tables, Recorded], None], *, every: float = 0.2,
                      batch: int = 500) -> None:
        """For ever: let the projection *name* catch up with the event store, each *every* seconds.

        Use it as `self.spawn(self.project(...))`. A projection therefore lags; after a failure of the database it goes on where it was.
        Two instances may run the same one.
        """
        while True:
            try:
                behind = await self.query(database, lambda tables: event_store.advance(tables, name, apply, batch), write=True)
            except (CallError, Rejected, TimeoutError):
                behind = 0
            if behind < batch:
                await asyncio.sleep(every)

    def saga(self, name: str, **options: Any) -> Saga:
        """A saga (sim.resilience.saga) whose steps and ends are written into the events of the run."""
        return RecordedSaga(name, self._instance, **options)

    def cache(self, name: str) -> CacheClient:
        """A cache of the scenario: `get`, `set`, `delete` and `get_or`."""
        if name not in self._caches:
            self._caches[name] = CacheClient(self, self._instance, name)
        return self._caches[name]

    # telemetry

    log: Log

    def span(self, name: str, **attributes: Any) -> Span:
        """A span of the code's own, for a `with` block."""
        return Span(self._instance, name, attributes)

    def metric(self, name: str) -> Meter:
        """A figure of the code's own, by its *name*: a counter or a gauge of this instance."""
        key = (self.instance_name, name)
        if key not in self._meters:
            self._meters[key] = Meter(self._instance, name)
        return self._meters[key]

    def annotate(self, **attributes: Any) -> None:
        """Set attributes of the span at hand."""
        place = current_place()
        if place is not None:
            annotate(self._instance.recorder, place.span, attributes)


def _nothing(tables: Tables) -> None:
    return None
