"""The world of one run: loop, streams, recorder, and every part of the simulated system by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sim.errors import TargetNotFound
from sim.model.client import Client, Source, UseSpec, plain_use
from sim.model.edge import Edge
from sim.model.logs import Log
from sim.model.mesh import dress
from sim.model.messages import Exchange, Request, Response
from sim.model.network import Link, NetworkSpec
from sim.model.node import UNBOUNDED
from sim.model.one_instance import OneInstance
from sim.model.place import Place
from sim.model.whose import owner_of
from sim.resilience.events import Event
from sim.resilience.pipeline import Pipeline
from sim.resilience.policy import Policy, PolicyParts, PolicySpec
from sim.spec import did_you_mean
from sim.streams import Streams
from sim.telemetry.recorder import Recorder

if TYPE_CHECKING:
    from sim.kernel import SimLoop
    from sim.model.instance import Instance
    from sim.model.node import Node, NodeSpec
    from sim.model.registry import Registry
    from sim.model.registry_spec import RegistrySpec

REGISTRY = "registry"  # the name of its node
MOST_GAUGED_INSTANCES = 256  # beyond it only whole nodes are sampled


class Way(NamedTuple):
    """From one instance of a caller to a callee."""

    caller: str
    source: str
    callee: str


class World:
    """Built from specs; *services* by name. Everything that runs is made here, and nothing of it outlives the run."""

    __slots__ = ("__dict__", "__weakref__", "env", "in_service", "loop", "recorder")  # what requests look up

    def __init__(self, loop: SimLoop, seed: int, services: Mapping[str, NodeSpec], network: NetworkSpec | None = None,
                 registry: RegistrySpec | None = None) -> None:
        self.loop, self.env = loop, loop.env
        self.seed = seed
        self.streams = Streams(seed)
        self.network = network or NetworkSpec()
        self.zones = dict(self.network.zones)
        self.recorder = Recorder(loop.time)
        self.edges: dict[str, Edge] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self.meshed = any(spec.mesh is not None for spec in (*services.values(), registry) if spec is not None)
        self._link_watchers: list[Callable[[Link], None]] = []
        self._instance_watchers: list[Callable[[Instance], object]] = []
        self._readable: dict[Way, dict[tuple[Client, str], list[Policy]]] = {}
        self._gauged = False
        self.in_service: dict[Exchange, None] = {}  # what all instances are at; one table stays in the processor's cache, thousands do not
        self.nodes: dict[str, Node] = {}
        if any(spec.has_user_code() for spec in services.values()):
            loop.owner_of = owner_of
        for name, spec in services.items():
            self.nodes[name] = spec.build(name, self)
        self.registry: Registry | None = registry.build(REGISTRY, self) if registry is not None else None
        if self.registry is not None:
            self.nodes[REGISTRY] = self.registry  # the last one: it starts when all others have
        for node in self.nodes.values():
            node.start()
        self._gauge_levels()

    # parts by name

    def node(self, name: str) -> Node:
        """The node of that name; raise TargetNotFound with the nearest name."""
        if name not in self.nodes:
            raise TargetNotFound(f"no service {name!r}: {did_you_mean(name, self.nodes)}")
        return self.nodes[name]

    @property
    def instances(self) -> Iterator[Instance]:
        """Every instance of every node."""
        for node in self.nodes.values():
            yield from node.instances

    def link(self, source: str, target: str) -> Link:
        """The one direction from *source* to *target*."""
        link = self._links.get((source, target))
        if link is None:
            apart = self.network.between_zones if self.zones else None
            link = Link(source, target, self.network.link(source, target), self.streams, self.loop.time, apart)
            self._links[source, target] = link
            if self.meshed:
                dress(self, link)
            for watch in list(self._link_watchers):
                watch(link)
        return link

    @contextmanager
    def each_link(self, wanted: Callable[[Link], bool], use: Callable[[Link], None]) -> Iterator[None]:
        """Call *use* for each link that is *wanted*, and while the block lasts for each that comes to be."""
        def watch(link: Link) -> None:
            if wanted(link):
                use(link)

        for link in list(self._links.values()):
            watch(link)
        self._link_watchers.append(watch)
        try:
            yield
        finally:
            self._link_watchers.remove(watch)

    def edge(self, caller: str, callee: str) -> Edge:
        """The counts of the calls from *caller* to *callee*."""
        name = f"{caller}->{callee}"
        if name not in self.edges:
            there, back, index = self.link(caller, callee), self.link(callee, caller), self.recorder.node
            self.edges[name] = Edge(caller, callee, there, back, index(caller), index(callee))
        return self.edges[name]

    def client(self, caller: str, source: Source | Instance, callee: str, use: UseSpec | None = None,
               only: Instance | None = None) -> Client:
        """A caller's side of one dependency; *only*: it is told which instance to call."""
        use = use or plain_use()
        client = Client(self, caller, source, self.node(callee), use)
        if only is not None:
            client.discovered = OneInstance(only)
        elif self.registry is not None and source.index and self.registry.covers(client.node):  # a workload (0) has an address
            client.see_through(self.registry.view(caller, cast("Instance", source), client.node, use.tag))
        client.node.adopt(client)
        return client

    def pipeline(self, client: Client, specs: Sequence[PolicySpec] | None = None, layer: str = "") -> Pipeline:
        """The policies of *client*, telling the recorder what they do; or *specs*, where another *layer* around its calls has some too."""
        edge, source, these = client.edge, client.source.name, object()
        parts = PolicyParts(now=self.loop.time(), rng=client.rng, mark_degraded=_marked, read=_reader,
                            make_response=lambda status, degraded: Response(status, degraded=degraded))

        def listen(event: Event) -> None:
            word = event.policy.removeprefix(f"{edge.name}.")
            edge.count(word, event, self.loop.time(), these)
            fields = {key: value for key, value in vars(event).items() if key not in ("at", "kind", "policy") and value is not None}
            self.recorder.event(f"{word}.{event.kind}", edge=edge.name, caller=source, **fields)

        policies = [spec.build(parts) for spec in (client.policies if specs is None else specs)]
        if specs is None:
            edge.policies = [policy.word for policy in policies]
        self._show(client, layer, policies)
        return Pipeline(f"{edge.name}.{layer}" if layer else edge.name, policies, rng=client.rng, on_event=listen)

    # what happens

    def instances_changed(self, node: Node, before: Sequence[Instance]) -> None:
        """A node's reachable instances may have changed; *before* is who they were."""
        old, new = set(before), set(node.reachable)
        for instance in before:
            if instance not in new:
                self.recorder.event("instance.down", node=node.name, instance=instance.name)
        for instance in node.reachable:
            if instance not in old:
                self.recorder.event("instance.up", node=node.name, instance=instance.name)
        self.recorder.event("instances", node=node.name, reachable=len(node.reachable), of=len(node.instances))

    def drained(self, instance: Instance) -> None:
        """An instance that was to stop has finished its last request."""
        instance.node.drained(instance)

    def handler_failed(self, instance: Instance, exchange: Exchange, error: Exception) -> None:
        """Code of a service raised: the request ends with 500 and the run goes on. Our own code does not raise."""
        if not instance.node.runs_user_code:
            self.bug(error, instance.name)
        self.recorder.event("handler.error", node=instance.node.name, instance=instance.name, trace=exchange.request.trace,
                            error=f"{type(error).__name__}: {error}")

    def background_failed(self, place: Place, error: str, at: float | None = None) -> None:
        """Code of a service raised beside its requests, at *place*: an event and a line of the log, for nobody waits for it."""
        instance, at = place.instance, self.loop.time() if at is None else at
        trace = {"trace": place.trace} if place.trace else {}
        self.recorder.event("background.error", node=instance.node.name, instance=instance.name, error=error, at=at, **trace)
        Log(instance).write("error", "error in the background", {"error": error}, at, place)

    def tell_failures(self, *, held: bool) -> None:
        """Take down what nobody handled in code of services: see `SimLoop.take_failures`. Each comes last of all that was at its time."""
        failures = self.loop.take_failures(held=held)
        for failure in failures:
            self.background_failed(failure.owner, failure.error, failure.at)
        if failures:
            self.recorder.put_in_order()

    def bug(self, error: BaseException, where: str) -> None:
        """End the run: our own code raised, in the part named *where*."""
        self.loop.call_exception_handler({"message": where, "exception": error, "source": where})

    def shut(self) -> None:
        """The run is over: nobody who is still in line is served any more."""
        for node in self.nodes.values():
            for instance in node.ever:
                instance.up = False

    # gauges

    @cached_property
    def _few(self) -> bool:
        return sum(1 for _ in self.instances) <= MOST_GAUGED_INSTANCES

    def _each(self, node: Node) -> bool:
        """The instances of *node* have gauges of their own, which start each sampling step anew."""
        return self._few and len(node.instances) > 1

    def _show(self, client: Client, layer: str, policies: list[Policy]) -> None:
        """What can be read off *policies* is sampled: for each caller and callee the highest there is, if it has several ways there."""
        readable = [policy for policy in policies if policy.readings(self.loop.time())]
        if readable:
            way = Way(client.caller, client.source.name, client.node.name)
            if way not in self._readable and self._gauged:
                self._gauge_policies(way, readable)
            self._readable.setdefault(way, {})[client, layer] = readable

    def _gauge_policies(self, way: Way, policies: list[Policy]) -> None:
        if self._few:
            source = way.source if way.source != way.caller else ""
            for measure in dict.fromkeys(name for policy in policies for name in policy.readings(self.loop.time())):
                self.recorder.reading(way.caller, source, f"{measure} {way.callee}", partial(self._highest, way, measure))

    def _highest(self, way: Way, measure: str, now: float) -> float | None:
        found = [policy.readings(now).get(measure) for policies in self._readable[way].values() for policy in policies]
        return max((value for value in found if value is not None), default=None)

    def _gauge_levels(self) -> None:
        self._gauged = True
        for way, of_clients in self._readable.items():
            self._gauge_policies(way, [policy for policies in of_clients.values() for policy in policies])
        for node in self.nodes.values():
            for measure, level in (("busy", "busy"), ("queue", "waiting")):
                read = _sum_of(node, level, resets=not self._each(node))
                self.recorder.gauge(node.name, "", measure, read, parts=len(node.instances))
            if node.workers < UNBOUNDED:
                self.recorder.gauge(node.name, "", "capacity", node.workforce.reading)
            if self._each(node):
                for instance in node.instances:
                    self._gauge(instance)

    @contextmanager
    def each_new_instance(self, use: Callable[[Instance], object]) -> Iterator[None]:
        """Call *use* for each instance that is added while the block lasts."""
        self._instance_watchers.append(use)
        try:
            yield
        finally:
            self._instance_watchers.remove(use)

    def instance_added(self, instance: Instance) -> None:
        """Tell who wants to know, and sample its own levels, where nodes are few enough for that."""
        for watch in list(self._instance_watchers):
            watch(instance)
        self._gauge(instance)

    def _gauge(self, instance: Instance) -> None:
        if self._few:
            self.recorder.gauge(instance.node.name, instance.name, "busy", instance.busy.reading)
            self.recorder.gauge(instance.node.name, instance.name, "queue", instance.waiting.reading)


def _sum_of(node: Node, name: str, resets: bool) -> Callable[[float], tuple[float, float]]:
    """Reads the levels of that *name* of all instances together; *resets*: nobody else asks them for their peaks."""
    level_of = attrgetter(name)

    def read(now: float) -> tuple[float, float]:
        area = highest = 0.0
        for level in map(level_of, node.instances):
            area += level.moment + level.value * now  # as `Level.integral` has it, without a call for each
            highest += level.highest
            if resets and level.highest != level.value:
                level.peak()
        for level in map(level_of, node.retired):
            area += level.integral(now)
        return area, highest

    return read


def _marked(response: Response) -> Response:
    return Response(response.status, response.body, headers=response.headers, size=response.size, degraded=True)


def _reader(attribute: str) -> Callable[..., Any]:
    """Reads *attribute* of a request for a policy that tells calls apart: a header of that name (`idempotency_key`: `idempotency-key`),
    else what the request itself has under it, else None."""
    header = attribute.replace("_", "-").lower()

    def read(request: Request) -> Any:
        return request.headers[header] if header in request.headers else getattr(request, attribute, None)

    return read
