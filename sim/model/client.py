"""A caller's side of one dependency: discovery, balancer, policies, transport.

    call ──▶ policies, outermost first ──▶ pick an instance ──▶ message over the link ──▶ the far side works in a task of its own
                                                                    │
             the caller waits for one future ◀── answer over the link back

If the caller's patience ends, the caller leaves and the far side works on, unless the transport propagates the cancellation.
"""

from __future__ import annotations

from asyncio import CancelledError, Future
from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field, model_validator

from sim.errors import NoHealthyInstances, StatusError
from sim.model.all_instances import AllInstances
from sim.model.edge import CALL
from sim.model.failures import explain_failure
from sim.model.messages import Exchange, Request, Response
from sim.model.network import LOST, LinkFailed, Packet
from sim.model.part import Part
from sim.model.perception import Perception
from sim.model.pool import ConnectionPool, PoolSpec
from sim.model.transport_spec import CONNECTIONS_OF, ConnectionSpec, KeepaliveSpec, wrong_for, wrong_for_pinned
from sim.resilience.balancer import AnyBalancer, Balancer
from sim.resilience.deadline import current_deadline
from sim.resilience.outcomes import Outcome as CallOutcome
from sim.resilience.outlier_detection import OutlierDetectionSpec
from sim.resilience.policies import AnyPolicy
from sim.resilience.round_robin import RoundRobinSpec
from sim.spec import SharedSpec, invalid
from sim.telemetry.codes import Outcome, Reason, SpanKind
from sim.telemetry.columns import pack_span
from sim.units import Size

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.node import Node
    from sim.model.transport import Transport
    from sim.model.world import World
    from sim.resilience.pipeline import Pipeline

Send = Callable[[Request], Coroutine[Any, Any, Response]]
CLIENT, ATTEMPT = int(SpanKind.CLIENT), int(SpanKind.ATTEMPT)
CANCELLED = int(Reason.CANCELLED)
OWN_LIMITS = {"timeout": int(Reason.TIMEOUT), "deadline": int(Reason.DEADLINE)}  # policies that cancel an attempt themselves, and say so
DEPARTURE = Request("", "", size=40)  # bytes: a segment that says the end of a connection
OK, DEGRADED, FAILED, REJECTED = int(Outcome.OK), int(Outcome.DEGRADED), int(Outcome.FAILED), int(Outcome.REJECTED)


class UseSpec(SharedSpec):
    """How a service calls one of its dependencies; *policies* outermost first."""

    protocol: Literal["http", "grpc"] = "http"
    tag: str | None = None  # of a registry: only instances that have it
    connection: ConnectionSpec | None = None  # None: connections are there already, and cost nothing
    keepalive: KeepaliveSpec | None = None  # of grpc
    max_message_size: Size | None = None  # of an answer by grpc; None: 4MiB
    balancer: AnyBalancer = Field(default_factory=RoundRobinSpec)
    outlier_detection: OutlierDetectionSpec | None = None
    pool: PoolSpec | None = None  # connections to a database that each instance keeps
    policies: list[AnyPolicy] = []

    @model_validator(mode="after")
    def _of_the_protocol(self) -> UseSpec:
        wrong = [*wrong_for(self.protocol, self.connection, self.model_fields_set), *wrong_for_pinned(self.connection, self.written())]
        if wrong:
            raise invalid(*wrong)
        return self

    def by(self, protocol: Literal["http", "grpc"]) -> UseSpec:
        """The same by *protocol*, without what only the other one has."""
        if protocol == self.protocol:
            return self
        unsaid = {name: ConnectionSpec.model_fields[name].default for name in CONNECTIONS_OF[self.protocol]}
        connection = None if self.connection is None else self.connection.model_copy(update=unsaid)
        return self.model_copy(update={"protocol": protocol, "connection": connection, "keepalive": None, "max_message_size": None})


@cache
def plain_use() -> UseSpec:
    """How a service calls what its `uses` do not name."""
    return UseSpec()


class Discovered(Protocol):
    """A view of a node's instances."""

    @property
    def reachable(self) -> Sequence[Instance]:
        """Those that a call may go to."""


class Source:
    """A caller that is no instance: a workload."""

    def __init__(self, name: str, zone: str = "") -> None:
        self.name, self.zone = name, zone
        self.index = 0


class Client(Part):
    """One caller instance's way to one node. `await call(request)` gives a Response, whatever happens, unless it is cancelled."""

    __slots__ = (  # for the reason that a station has them
        "__dict__", "balancer", "carry", "counts_load", "discovered", "edge", "inner", "multiplies", "pipeline", "raises", "rng", "source",
    )

    def __init__(self, world: World, caller: str, source: Source | Instance, node: Node, use: UseSpec) -> None:
        super().__init__(world)
        self.node, self.source = node, source
        self.policies = use.policies
        self.caller = caller
        self.discovered: Discovered = node  # what discovery tells this caller; the truth, where there is no registry
        self.edge = world.edge(caller, node.name)
        self.rng = world.streams[f"client {source.name}>{node.name}"]
        self.new_balancer = partial(use.balancer.build, source.zone or None)
        self.balancer = self.new_balancer()
        if self.balancer.counts_missing:
            self.discovered = AllInstances(node)
        if use.outlier_detection is not None:
            self.balancer = Perception(self, self.balancer, use.outlier_detection)
        self.counts_load = type(self.balancer).started is not Balancer.started or type(self.balancer).finished is not Balancer.finished
        self.tells_departure = use.protocol == "grpc" or node.spec.on_caller_gone == "cancel"
        self.tells_deadline = use.protocol == "grpc"  # and the far side refuses what comes too late
        self.carry: Callable[[Exchange, float], None] | None = None  # if a transport does it itself: take a message and its delay
        self.pipeline: Pipeline | None = world.pipeline(self) if use.policies else None
        self.multiplies = any(word in ("retry", "hedge") for word in self.edge.policies)
        self.raises = self.pipeline is not None  # an answer that says 'failed' is an error to what is around the attempts
        self.inner: Send | None = self._attempt if use.policies else None  # one attempt; kept, so that the pipeline composes once
        self._compose: Callable[[], Send] | None = None
        self.transport = transport_for(self, use)
        self.pool = ConnectionPool(self, use.pool) if use.pool is not None else None

    @property
    def send(self) -> Send:
        """What makes each attempt."""
        return self.inner or self._attempt

    def see_through(self, view: Discovered) -> None:
        """From now on this caller goes by *view*, which need not be true."""
        self.discovered = view
        if not isinstance(self.balancer, Perception):
            self.balancer = Perception(self, self.balancer)
        self.balancer.knows_the_truth = False

    def surround_with(self, compose: Callable[[Send], Send], raises: bool = False, multiplies: bool = False) -> None:
        """As `surround`, with what *compose* makes of what is there; a new process composes it anew."""
        self._compose = partial(compose, self.send)
        self.surround(self._compose(), raises, multiplies)

    def surround(self, send: Send, raises: bool = False, multiplies: bool = False) -> None:
        """From now on *send* makes each attempt, inside the policies. *raises*: it wants answers that say 'failed' as errors; *multiplies*:
        it may make more than one of one."""
        self.inner = send
        self.raises = self.raises or raises
        self.multiplies = self.multiplies or multiplies

    def balance_through(self, around: Callable[[Balancer], Perception]) -> None:
        """From now on *around* has its say before the balancer has."""
        outer = around(self.balancer)
        outer.knows_the_truth = not isinstance(self.balancer, Perception) or self.balancer.knows_the_truth
        self.balancer = outer
        self.counts_load = True

    async def call(self, request: Request) -> Response:
        """Send *request*, under the policies; record it."""
        world, edge = self.world, self.edge
        env, recorder = world.env, world.recorder
        edge.started += 1
        start = env._now
        request.span = recorder.next_span()
        try:
            if self.pipeline is None:
                response = await (self._attempt(request) if self.inner is None else self.inner(request))
            else:
                CALL.set(request.span)
                response = await self.pipeline.call(self.inner or self._attempt, request)
        except StatusError as error:
            response = error.response
        except CancelledError:
            edge.finished += 1
            recorder.write_span(pack_span(
                request.span, request.parent, request.trace, start, env._now, 0.0, edge.caller_index, edge.callee_index,
                request.operation, self.source.index, CANCELLED, request.attempts, CLIENT, FAILED))
            raise
        except Exception as error:
            response = explain_failure(error)
        status = response.status
        if status < 400:
            outcome = DEGRADED if response.degraded else OK
        else:
            outcome = REJECTED if response.rejected else FAILED
        edge.finished += 1
        recorder.write_span(pack_span(
            request.span, request.parent, request.trace, start, env._now, 0.0, edge.caller_index, edge.callee_index,
            request.operation, self.source.index, response.reason or status, request.attempts, CLIENT, outcome))
        return response

    async def _attempt(self, request: Request, instance: Instance | None = None) -> Response:
        """One attempt at one instance (None: whom the balancer chooses); if it `raises`, an answer that says 'failed' is a StatusError."""
        world, edge, balancer = self.world, self.edge, self.balancer
        now = world.env._now
        request.attempts = attempt = request.attempts + 1
        span = world.recorder.next_span() if self.multiplies else request.span
        if instance is None:
            hosts = self.discovered.reachable
            if len(hosts) == 1:
                instance = hosts[0]
            else:
                instance = self._pick(hosts, request, now) if self.multiplies else balancer.pick(hosts, now, self.rng, request.key)
        if instance is None:
            self._write_attempt(request, span, attempt, now, int(Reason.UNAVAILABLE), FAILED)
            raise NoHealthyInstances(self.node.name)
        request.deadline = current_deadline()
        answer: Future[Response] = Future(loop=world.loop)
        exchange = Exchange(request, answer, instance, self, attempt, span)
        latencies = edge.free_there
        try:
            delay = latencies.pop() if latencies else edge.there.delay(self.source, instance, request, None, exchange)
        except LinkFailed as failed:
            delay = LOST
            world.loop.post(failed.verdict.after, self.broken, exchange, failed.verdict.error())
        else:
            edge.sent += 1
            if delay == LOST:
                edge.lost += 1
            if self.carry is not None:
                self.carry(exchange, delay)
            elif delay != LOST:
                world.loop.post(delay, instance.arrive, exchange)
        if self.counts_load:
            balancer.started(instance, now)
        try:
            response = await answer
        except CancelledError as cancelled:
            if self.tells_departure and delay != LOST:
                self._tell_departure(exchange, now + delay)
            limit = _own_limit(cancelled)
            self._attempt_ended(exchange, balancer, now, limit or CANCELLED, FAILED,
                                CallOutcome.CANCELLED if limit is None else CallOutcome.FAILURE)
            raise
        except Exception as error:
            self._attempt_ended(exchange, balancer, now, explain_failure(error).reason, FAILED, CallOutcome.FAILURE)
            raise
        status = response.status
        bad = status >= 500 or status == 429
        if self.counts_load or self.multiplies:
            self._attempt_ended(exchange, balancer, now, status, FAILED if bad else OK,
                                CallOutcome.FAILURE if bad else CallOutcome.SUCCESS)
        if bad and self.raises:
            raise StatusError(response)
        return response

    def _tell_departure(self, exchange: Exchange, arrives: float) -> None:
        """The word that nobody waits any more crosses the link like everything else; it does not overtake the request."""
        def arrive(delay: float) -> None:
            after = arrives - self.env._now + 1e-9  # a nanosecond, for what rounding may take away
            self.loop.post(max(delay, after), exchange.instance.caller_gone, exchange)

        self.edge.there.send(Packet(arrive), self.source, exchange.instance, DEPARTURE)

    def _pick(self, hosts: Sequence[Instance], request: Request, now: float) -> Instance | None:
        """An instance that *request* has not been sent to before, where there is one (Envoy's retry predicate previous_hosts)."""
        tried = request.tried
        instance = self.balancer.pick(hosts, now, self.rng, request.key, tried) if tried else None
        if instance is None:
            instance = self.balancer.pick(hosts, now, self.rng, request.key)
        if instance is not None:
            request.tried = (*tried, instance.name)
        return instance

    def _attempt_ended(self, exchange: Exchange, balancer: Balancer, start: float, status: int, outcome: int, judged: CallOutcome) -> None:
        """*balancer* was told of the start."""
        if self.counts_load:
            now = self.env._now
            balancer.finished(exchange.instance, now, now - start, judged)
        self._write_attempt(exchange.request, exchange.parent, exchange.attempt, start, status, outcome)

    def _write_attempt(self, request: Request, span: int, attempt: int, start: float, status: int, outcome: int) -> None:
        if self.multiplies:
            self.recorder.write_span(pack_span(
                span, request.span, request.trace, start, self.env._now, 0.0, self.edge.caller_index, self.edge.callee_index,
                request.operation, self.source.index, status, attempt, ATTEMPT, outcome))

    # for transports

    def choose(self, request: Request) -> Instance:
        """Whom the balancer chooses; raise NoHealthyInstances."""
        hosts = self.discovered.reachable
        found = hosts[0] if len(hosts) == 1 else self._pick(hosts, request, self.env._now)
        if found is None:
            raise NoHealthyInstances(self.node.name)
        return found

    def attempt(self, request: Request, instance: Instance | None = None) -> Coroutine[Any, Any, Response]:
        """One attempt, at *instance* if one is given."""
        return self._attempt(request, instance)

    def not_sent(self, request: Request, instance: Instance | None, start: float, error: Exception | CancelledError) -> None:
        """An attempt has failed before anything was sent, or was given up."""
        request.attempts += 1
        reason, judged = CANCELLED, CallOutcome.CANCELLED
        if not isinstance(error, CancelledError):
            reason, judged = explain_failure(error).reason, CallOutcome.FAILURE
        elif (limit := _own_limit(error)) is not None:
            reason, judged = limit, CallOutcome.FAILURE
        if self.counts_load and instance is not None:
            self.balancer.started(instance, start)
            self.balancer.finished(instance, self.env._now, self.env._now - start, judged)
        self._write_attempt(request, self.recorder.next_span(), request.attempts, start, reason, FAILED)

    # the life of its process

    def process_ended(self) -> None:
        """Its process is gone: what its policies kept open is over."""
        for policy in self.pipeline.policies if self.pipeline is not None else ():
            policy.process_ended(self.env._now)

    def begin_anew(self) -> None:
        """Its process was started again: policies, balancer and connections know nothing of the one before."""
        if self.pipeline is not None:
            self.pipeline = self.world.pipeline(self)
        if self._compose is not None:
            self.inner = self._compose()
        self.balancer = self.balancer.renewed(self.new_balancer)
        if self.transport is not None:
            self.transport.begin_anew()
        if self.pool is not None:
            self.pool.close()

    # called by the network

    @staticmethod
    def answered(exchange: Exchange, response: Response) -> None:
        """The answer has come back."""
        if not exchange.answer.done():
            exchange.answer.set_result(response)

    @staticmethod
    def broken(exchange: Exchange, error: Exception) -> None:
        """The connection was refused or has broken."""
        if not exchange.answer.done():
            exchange.answer.set_exception(error)


def _own_limit(cancelled: CancelledError) -> int | None:
    """The reason of the policy that has cancelled an attempt as too slow, which is the callee's failure."""
    return OWN_LIMITS.get(cancelled.args[0]) if cancelled.args else None


def transport_for(client: Client, use: UseSpec) -> Transport | None:
    """What carries the calls of *client*, where that is more than sending them over the link."""
    if use.protocol == "grpc":
        from sim.model.transport_grpc import GrpcTransport  # only who uses them pays for them

        return GrpcTransport(client, use)
    if use.connection is not None:
        from sim.model.transport_http import HttpTransport

        return HttpTransport(client, use.connection)
    return None
