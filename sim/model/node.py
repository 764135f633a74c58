"""A node: a service, gateway, database, cache, broker or external party. They differ only in what stands behind `handler`."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from sim.distributions import TimeDistribution
from sim.model.client import UseSpec
from sim.model.door import with_codel
from sim.model.instance import Instance
from sim.model.mesh import Mesh, MeshSpec
from sim.model.messages import Exchange, Request, Response
from sim.model.messaging import Subscription, broker_of
from sim.model.paths import Routes
from sim.model.registration import RegistrationSpec
from sim.resilience.admission import AdmissionSpec
from sim.spec import Spec
from sim.telemetry.integrals import Level
from sim.units import Duration

if TYPE_CHECKING:
    from sim.model.client import Client
    from sim.model.config import Configuration
    from sim.model.deployment import Deployment
    from sim.model.steps import Step
    from sim.model.versions import VersionSpec
    from sim.model.world import World

Handler = Callable[[Exchange], Awaitable[Response | None]]  # None: answered with 200
UNBOUNDED = 2**62


class QueueSpec(Spec):
    """The line in front of the workers; beyond *limit* a request is answered with 503, and so is one that has waited for *max_wait*.

    `codel` is first come, first served, with CoDel at its end as `admission` has it by default; state it there to set it.
    """

    limit: int = Field(default=128, ge=0)
    order: Literal["fifo", "lifo", "priority", "codel"] = "fifo"
    max_wait: TimeDistribution | None = None  # drawn for each; as HAProxy's `timeout queue`


class CpuSpec(Spec):
    """The cores of an instance; `work` then shares them equally."""

    cores: float = Field(gt=0, le=4096)


class NodeSpec(Spec):
    """What all nodes have."""

    word: ClassVar[str] = "service"
    instances: int = Field(default=1, ge=0, le=100_000)
    zone: str | None = None  # a zone's name, or `spread`: the instances take turns
    weights: list[Annotated[float, Field(gt=0, le=1e6, strict=False)]] = []  # of the instances, which take turns; none: all alike
    startup: Duration = 0.0
    on_caller_gone: Literal["continue", "cancel"] = "continue"
    admission: AdmissionSpec | None = None
    mesh: MeshSpec | None = None
    registration: RegistrationSpec | None = None  # what it says of itself to the registry
    uses: dict[str, UseSpec] = {}

    def workers_each(self) -> int:
        """Requests that one instance serves at once."""
        return UNBOUNDED

    def queue_spec(self) -> QueueSpec:
        """The line in front of the workers."""
        return QueueSpec.model_construct(limit=UNBOUNDED, order="fifo")

    def cores_each(self) -> float | None:
        """Cores of one instance, or None where work needs no CPU."""
        return None

    def largest_message(self) -> int | None:
        """Bytes of a request by gRPC that it takes at most; None: as many as a server takes by default."""
        return None

    def has_user_code(self) -> bool:
        """What is behind it is the user's own code, and not ours."""
        return False

    def code_subscriptions(self) -> Mapping[str, Subscription]:
        """By pattern, the messages that the user's code wants."""
        return {}

    def calls(self) -> Mapping[str, list[Step]]:
        """By operation, the steps that it runs: for checks and `explain`."""
        return {}

    def config_of(self, version: VersionSpec | None) -> dict[str, Any]:
        """What an instance of *version* reads as its configuration."""
        return {}

    def begin(self, node: Node) -> None:
        """The instances of *node* are there: begin with what goes on beside them."""

    def build(self, name: str, world: World) -> Node:
        """The runtime node."""
        raise NotImplementedError


class Node:
    """A named part of the system with its instances."""

    __slots__ = ("__dict__", "reachable")  # for the reason that a station has them

    runs_user_code = False  # True: what its handler raises is the user's own error and ends one request, not the run

    def __init__(self, name: str, spec: NodeSpec, world: World) -> None:
        self.name, self.spec, self.world = name, spec, world
        self.index = world.recorder.node(name, spec.word)
        self.workers = spec.workers_each()
        line = spec.queue_spec()
        self.queue_limit, self.queue_order, self.max_wait = line.limit, line.order, line.max_wait
        self.startup = spec.startup
        self.cores = spec.cores_each()
        self.admission = with_codel(spec.admission) if line.order == "codel" else spec.admission
        self.routes: Routes[Any] = Routes()
        self.instances: list[Instance] = []
        self.retired: list[Instance] = []  # taken out of service for good; what they have done still counts
        self.workforce = Level()  # workers of all instances, over time
        self.clients: list[Client] = []  # of all callers
        self.version: VersionSpec | None = None  # what new instances are, unless a deployment says otherwise
        self.weights: Mapping[str, float] | None = None  # shares of the calls by version, where a deployment has set them
        self.deployment: Deployment | None = None  # the last one
        self.configuration: Configuration | None = None  # where it changes
        self.mesh: Mesh | None = spec.mesh.build(self) if spec.mesh is not None else None
        self.watchers: list[Callable[[], None]] = []  # called when an instance comes, goes, or takes requests again
        self.reachable: tuple[Instance, ...] = ()

    def start(self) -> None:
        """Make the instances; all nodes exist by now."""
        for number in range(self.spec.instances):
            self._append(self.new_instance(number))
        self.reachable = tuple(self.instances)
        self.changed()
        for pattern, subscription in self.subscriptions().items():
            broker_of(self.world, subscription.broker).subscribe(self, pattern, subscription)
        self.spec.begin(self)

    def new_instance(self, number: int, version: VersionSpec | None = None) -> Instance:
        """Instance *number*, not yet part of the node."""
        return Instance(self.world, self, number, self.zone_of(number), version)

    def zone_of(self, number: int) -> str:
        """Where instance *number* stands."""
        if self.spec.zone != "spread":
            return self.spec.zone or ""
        zones = sorted(self.world.zones)
        return zones[number % len(zones)] if zones else ""

    def _append(self, instance: Instance) -> None:
        self.instances.append(instance)
        self.workforce.change(self.workers, self.world.loop.time())

    @property
    def ever(self) -> list[Instance]:
        """All instances there are and were."""
        return self.instances + self.retired

    def add_instance(self, version: VersionSpec | None = None) -> Instance:
        """One more instance, of *version* where that is given; it takes requests when it has started."""
        number = len(self.instances) + len(self.retired)
        instance = self.new_instance(number, version)
        instance.up = instance.accepting = instance.healthy = False
        self._append(instance)
        instance.start()
        self.world.instance_added(instance)
        return instance

    def staying(self) -> list[Instance]:
        """Instances that are not about to leave."""
        return [instance for instance in self.instances if not instance.draining]

    def left(self, instance: Instance) -> None:
        """*instance* was taken out of service and has ended."""
        if instance in self.instances:
            self.instances.remove(instance)
            self.retired.append(instance)
            self.workforce.change(-self.workers, self.world.loop.time())
            self.changed()

    def adopt(self, client: Client) -> None:
        """A caller has got its way here."""
        self.clients.append(client)
        if self.mesh is not None and (caller := self.world.nodes.get(client.caller)) is not None and caller.mesh is not None:
            self.mesh.equip(client)
        if self.weights is not None and self.deployment is not None:
            self.deployment.adopt(client)

    def configure(self, instance: Instance) -> None:
        """A process of *instance* starts: it reads the configuration as it is now."""
        if self.configuration is not None:
            self.configuration.read(instance)

    def measure_from_here(self) -> None:
        """The warm-up is over: `figures` count from now on."""

    def subscriptions(self) -> Mapping[str, Subscription]:
        """By pattern, the messages that its instances want; they come as requests with the method DELIVER and the pattern as path."""
        return {}

    def handler(self, instance: Instance) -> Handler:
        """What an instance does with a request."""
        raise NotImplementedError

    def handler_tasks(self, instance: Instance) -> list[Task[None]]:
        """The tasks in which the user's own handlers serve requests at *instance*, in the order in which they began."""
        return []

    def endpoint(self, method: str, path: str) -> object | None:
        """What serves such requests, for callers who ask for nothing else: they may say so in each. None: it is found for each."""
        return None

    def operation_of(self, request: Request) -> int:
        """The name index under which a request is recorded here: that of its endpoint, or else the one that its caller has for it."""
        found = self.routes.find(request.method, request.path)
        return found.operation if found is not None else request.operation

    def boot(self, instance: Instance) -> None:
        """A started instance is ready for its first request; a node with a process behind each instance starts a new one."""
        instance.set_accepting(True)

    def killed(self, instance: Instance) -> None:
        """An instance is gone, and what it kept in memory with it."""

    def drained(self, instance: Instance) -> None:
        """An instance that takes no more requests has answered its last one."""
        instance.kill()

    def changed(self) -> None:
        """An instance went up or down."""
        before = self.reachable
        self.reachable = tuple(instance for instance in self.instances if instance.up and instance.accepting and not instance.draining)
        self.world.instances_changed(self, before)
        for watch in self.watchers:
            watch()

    def figures(self) -> dict[str, Any]:
        """What the summary says of it beside what it says of every service: under `databases`, `caches` or `brokers`, by its kind."""
        return {}

    def check_books(self) -> None:
        """Raise AssertionError if something that was handed to it has gone missing."""

    def listens_on(self, path: str) -> bool:
        """Some endpoint has this path."""
        return self.routes.methods_of(path)
