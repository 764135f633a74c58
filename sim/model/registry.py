"""A service registry in the manner of Consul: who is there, who is healthy, and who is told so when.

    instance ──register──▶ catalogue ◀──health checks over the network── registry
                               │ after the propagation delay
                               ▼
                           what queries see ──a watch, or a cache that is refreshed──▶ the view of a caller

None of this is the truth. A check may fail over a bad link, or succeed where everything else is broken; a view may be old. At
the start of a run everybody is registered and passing, and every caller knows it; from then on all comes over the network. A caller that
comes later has asked as it started; one that finds the registry away knows nobody.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sim.model.instance import Instance
from sim.model.messages import Exchange, Request, Response
from sim.model.node import Handler, Node
from sim.model.registry_agent import DEREGISTER, HEARTBEAT, REGISTER, Agent
from sim.model.registry_checks import Registration, tags_of
from sim.model.registry_health import Health
from sim.model.registry_query import how_long
from sim.model.registry_view import Outsider, View
from sim.telemetry.integrals import Level

if TYPE_CHECKING:
    from sim.model.registration import CheckSpec
    from sim.model.registry_spec import RegistrySpec
    from sim.model.world import World

ENTRY_SIZE = 300  # bytes of an instance in an answer
MOST_LISTS_GAUGED = 256  # instances
MOST_VIEWS_TOLD = 256  # beyond it only the registry's own view is written into the events
Seen = tuple[int, tuple[Instance, ...]]  # up to which change, and who was listed then
UNKNOWN = Response(404)
DONE = Response(200)


@dataclass
class Listing:
    """What queries for one service see."""

    index: int
    instances: tuple[Instance, ...]


class Operation(NamedTuple):
    """What the registry does at a path: as the node's routes have it."""

    operation: int
    act: Callable[[Request], Awaitable[Response]]


class Registry(Node):
    """The runtime of a registry."""

    spec: RegistrySpec

    def __init__(self, name: str, spec: RegistrySpec, world: World) -> None:
        super().__init__(name, spec, world)
        self.catalogue: dict[Instance, Registration] = {}
        self.listings: dict[str, Listing] = {}
        self.views: dict[tuple[str, str, str | None], View] = {}  # by caller, service and tag
        self._views_from: dict[str, list[View]] = {}  # by the caller's node
        self.leader: Instance | None = None  # who runs the checks
        self.dice = world.streams[f"{name} times"]
        self._propagation = spec.propagation.sampler(world.streams[f"{name} propagation"])
        self._extra_lag = 0.0
        self._lagging: list[tuple[str, float, Seen | None]] = []  # of which service, when it would be seen without the lag, and what
        self.withheld = 0  # changes that were seen later because of a fault
        self._frozen: dict[str, Seen | None] | None = None  # services with news that nobody gets
        self._changes = 0
        self._shown: dict[str, int] = {}  # by service: up to which change
        self._index = 1
        self._waiting: dict[str, dict[Future[None], None]] = {}
        self._agents: dict[Instance, Agent] = {}
        self._listed: dict[str, Level] = {}  # by service: how many instances
        self._lists: dict[Instance, Level] = {}  # 1 while it is listed
        self._running = False
        for method, path, act in (
            ("PUT", REGISTER, self._register), ("PUT", DEREGISTER, self._deregister), ("PUT", HEARTBEAT, self._heartbeat),
            ("GET", "/v1/health/service/{name}", self._query),
        ):
            self.routes.add(method, path, Operation(world.recorder.operation(f"{method} {path}"), act))

    def covers(self, node: Node) -> bool:
        """Callers find the instances of *node* by this registry."""
        return self.spec.covers(node.name, node.spec.word)

    def check_of(self, node: Node) -> CheckSpec:
        """How the health of its instances is found."""
        own = node.spec.registration.check if node.spec.registration is not None else None
        return own or self.spec.check

    def start(self) -> None:
        super().start()
        self._running = True
        for node in self.world.nodes.values():
            if node is not self and self.covers(node):
                self._adopt(node)
        for node in self.world.nodes.values():
            node.watchers.append(partial(self._look_at, node))
        for view in self.views.values():
            view.begin(self.answer(view.node.name, view.tag))
        if self.spec.deregister_critical_after is not None:
            self.world.loop.after(self.spec.reap_interval, self._reap, self.spec.deregister_critical_after)

    def _adopt(self, node: Node) -> None:
        """Those who are there at the start have been for a while."""
        self.listings[node.name] = Listing(self._index, ())
        self._listed[node.name] = level = Level()
        self.world.recorder.gauge(node.name, "", "registry_view", level.reading)
        for instance in node.reachable:
            self.catalogue[instance] = Registration(self, instance, Health.PASSING)
            self.catalogue[instance].begin()
            self._agents[instance] = Agent(self, instance)
            self._agents[instance].begin(registered=True)
        self._publish(node.name)

    def changed(self) -> None:
        super().changed()
        self.leader = self.reachable[0] if self.reachable else None

    # processes come and go

    def _look_at(self, node: Node) -> None:
        """An instance of *node* has come up, gone down, or is about to stop."""
        if node.name in self.listings:
            for instance in node.instances:
                if instance.up and instance.accepting and not instance.draining and instance not in self._agents:
                    self._agents[instance] = Agent(self, instance)
                    self._agents[instance].begin()
            for instance in node.ever:
                agent = self._agents.get(instance)
                if agent is not None and not instance.up:
                    agent.end()
                    del self._agents[instance]
                elif agent is not None and (instance.draining or instance.terminating) and not agent.leaving:
                    agent.leave()
        for view in self._views_from.get(node.name, ()):
            view.mind()

    # callers

    def view(self, caller: str, source: Instance | Outsider, node: Node, tag: str | None = None) -> View:
        """What *source*, a part of *caller*, believes about those of *node* with the *tag*: one view for all its ways there."""
        view = self.views.get((source.name, node.name, tag))
        if view is None:
            view = self.views[source.name, node.name, tag] = View(self, caller, source, node, tag)
            self._views_from.setdefault(caller, []).append(view)
            if self._running:
                self._begin(view)
        return view

    def _begin(self, view: View) -> None:
        """A caller is new: it has been told as it started, unless the registry was away; then it knows nobody until it has an answer."""
        if any(not instance.paused for instance in self.reachable):
            view.begin(self.answer(view.node.name, view.tag))
        else:
            view.mind()

    def seen(self, view: View) -> None:
        """A caller believes something new."""
        if len(self.views) <= MOST_VIEWS_TOLD:
            about = {} if view.tag is None else {"tag": view.tag}
            self.world.recorder.event("registry.view", node=view.node.name, caller=view.source.name,
                                      instances=[instance.name for instance in view.reachable], **about)

    # operations

    def handler(self, instance: Instance) -> Handler:
        draw, loop = self.spec.latency.sampler(instance.stream("latency")), self.world.loop

        async def serve(exchange: Exchange) -> Response:
            request = exchange.request
            found: Operation | None = self.routes.find(request.method, request.path)
            if found is None:
                exchange.operation = request.operation
                return UNKNOWN
            exchange.operation = found.operation
            await loop.sleep(draw() * instance.slowness)
            return await found.act(request)

        return serve

    async def _register(self, request: Request) -> Response:
        instance: Instance = request.body
        if instance not in self.catalogue:  # else its process has been started again: what is believed of it stays
            registration = self.catalogue[instance] = Registration(self, instance, Health.CRITICAL)
            registration.critical_since = self.world.loop.time()
            self.world.recorder.event("registry.registered", node=registration.name, instance=registration.id,
                                      address=f"{registration.address}:{registration.port}", tags=list(registration.tags))
            registration.begin()
            self._spread(registration.name)
        return DONE

    async def _deregister(self, request: Request) -> Response:
        self._strike_off(request.body, "it said so")
        return DONE

    async def _heartbeat(self, request: Request) -> Response:
        registration = self.catalogue.get(request.body)
        if registration is None:
            return UNKNOWN
        registration.heard()
        return DONE

    async def _query(self, request: Request) -> Response:
        name = request.path.partition("?")[0].rpartition("/")[2]
        listing = self.listings.get(name)
        if listing is None:
            return UNKNOWN
        index, wait, tag = request.body
        if index and index >= listing.index:
            await self._news(name, how_long(wait, self.dice.random()))
        instances = self.answer(name, tag)
        return Response(200, (listing.index, instances), size=ENTRY_SIZE * max(1, len(instances)))

    def answer(self, name: str, tag: str | None) -> tuple[Instance, ...]:
        """Who is listed as *name*, and has the *tag* if one is asked for."""
        listed = self.listings[name].instances
        return listed if tag is None else tuple(instance for instance in listed if tag in tags_of(instance))

    async def _news(self, name: str, seconds: float) -> None:
        """Wait for a change, for so long at most."""
        waiting = self._waiting.setdefault(name, {})
        come: Future[None] = self.world.loop.create_future()
        waiting[come] = None
        timer = self.world.loop.after(seconds, _wake, come)
        try:
            await come
        finally:
            timer.cancel()
            waiting.pop(come, None)

    # what is believed

    def turned(self, registration: Registration) -> None:
        """The status of a registration has changed."""
        self.world.recorder.event("registry.status", node=registration.name, instance=registration.id, status=registration.status.value)
        self._spread(registration.name)

    def _strike_off(self, instance: Instance, why: str) -> None:
        registration = self.catalogue.pop(instance, None)
        if registration is not None:
            registration.end()
            self.world.recorder.event("registry.deregistered", node=registration.name, instance=registration.id, why=why)
            self._spread(registration.name)

    def _reap(self, after: float) -> None:
        now = self.world.loop.time()
        if self.leader is not None:
            for instance, registration in list(self.catalogue.items()):
                if registration.critical_since is not None and now - registration.critical_since >= after:
                    self._strike_off(instance, f"critical for {now - registration.critical_since:g} s")
        self.world.loop.after(self.spec.reap_interval, self._reap, after)

    def _spread(self, name: str) -> None:
        """Queries see the change in a while, as it is now, whatever changes until then."""
        self._changes += 1
        spreads, lag = self._propagation(), self._extra_lag
        seen = (self._changes, self._present(name)) if spreads + lag else None
        if lag:
            self.withheld += 1
            self._lagging.append((name, self.world.loop.time() + spreads, seen))
        self.world.loop.after(spreads + lag, self._publish, name, seen)

    def _present(self, name: str) -> tuple[Instance, ...]:
        return tuple(instance for instance, registration in self.catalogue.items() if registration.name == name
                     and (registration.status is Health.PASSING or not self.spec.passing_only))

    def _publish(self, name: str, seen: Seen | None = None) -> None:
        """Let queries see the present, or what was *seen* before, unless they have seen something newer."""
        if self._frozen is not None:
            before = self._frozen.setdefault(name, seen)
            if before is not None and (seen is None or seen[0] > before[0]):
                self._frozen[name] = seen
            self.withheld += 1
            return
        number, instances = seen or (self._changes, self._present(name))
        if number < self._shown.get(name, 0):
            return
        self._shown[name] = number
        listing = self.listings[name]
        if instances == listing.instances:
            return
        self._index += 1
        listing.index, listing.instances = self._index, instances
        level, now = self._listed[name], self.world.loop.time()
        level.change(len(instances) - level.value, now)
        for instance in self.world.node(name).instances:
            if (one := self._level_of(instance)) is not None:
                one.change((instance in instances) - one.value, now)
        self.world.recorder.event("registry.view", node=name, instances=[instance.name for instance in instances])
        for come in self._waiting.pop(name, {}):
            _wake(come)
        deployment = self.world.node(name).deployment
        if deployment is not None:
            deployment.changed()

    def lists(self, instance: Instance) -> bool:
        """Who asks is told of *instance*, or does not need to ask."""
        listing = self.listings.get(instance.node.name)
        return listing is None or instance in listing.instances

    def _level_of(self, instance: Instance) -> Level | None:
        """What its gauge shows; None if there are too many instances for gauges of their own."""
        level = self._lists.get(instance)
        if level is None and len(self._lists) < MOST_LISTS_GAUGED:
            level = self._lists[instance] = Level()
            self.world.recorder.gauge(instance.node.name, instance.name, "registry_view", level.reading)
        return level

    # faults

    def down(self) -> None:
        """All its instances refuse connections; what it knows is kept."""
        for instance in self.instances:
            instance.kill()

    def recover(self) -> None:
        """It runs again."""
        for instance in self.instances:
            instance.start()

    def set_lag(self, seconds: float) -> None:
        """Every change takes so much longer to be seen; where that is less than before, also those that are under way."""
        less, self._extra_lag, now = seconds < self._extra_lag, seconds, self.world.loop.time()
        if less:
            for name, due, seen in self._lagging:
                self.world.loop.after(max(0.0, due + seconds - now), self._publish, name, seen)
        if not seconds:
            self._lagging.clear()

    def freeze(self) -> None:
        """Queries see what they see now, whatever happens: a follower that has lost its leader."""
        self._frozen = self._frozen if self._frozen is not None else {}

    def thaw(self) -> None:
        """Queries see the present again."""
        frozen, self._frozen = self._frozen or {}, None
        for name, seen in frozen.items():
            self._publish(name, seen)


def _wake(come: Future[None]) -> None:
    if not come.done():
        come.set_result(None)
