"""Health checks: the registry asks each instance over the network, or waits for its heartbeats.

A check begins at a random moment within its interval and then comes every interval; one that takes longer than that delays the next.
An instance that dies is therefore found after (F - 1/2) I on average, at most F I, and a timeout later if it hangs.
"""

from __future__ import annotations

from asyncio import Task
from typing import TYPE_CHECKING, Any

from sim.model.client import Client, UseSpec
from sim.model.messages import Request
from sim.model.registration import RegistrationSpec
from sim.model.registry_health import Health, StatusHandler, health_of
from sim.resilience.timeout import TimeoutSpec

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.registry import Registry


def tags_of(instance: Instance) -> tuple[str, ...]:
    """What *instance* registers with: the tags of its service, its version and its zone."""
    own = (instance.node.spec.registration or RegistrationSpec()).tags
    return (*own, *filter(None, (instance.version, instance.zone)))


class Registration:
    """An instance in the catalogue: who it is, where it listens, what is believed of it, since when (seconds) it is critical."""

    def __init__(self, registry: Registry, instance: Instance, status: Health) -> None:
        self.check = check = registry.check_of(instance.node)
        self.registry, self.instance = registry, instance
        self.id, self.name = instance.name, instance.node.name
        self.address = f"10.{instance.index >> 16}.{instance.index >> 8 & 255}.{instance.index & 255}"
        self.port = (instance.node.spec.registration or RegistrationSpec()).port
        self.tags = tags_of(instance)
        self.handler = StatusHandler(check.success_before_passing, check.failures_before_critical, check.failures_before_warning, status)
        self.critical_since: float | None = None
        self.passing = status is Health.PASSING  # as the registry's own gauge has it
        self._clients: dict[Instance, Client] = {}
        self._task: Task[None] | None = None
        self._expiry: Any = None

    @property
    def status(self) -> Health:
        """What is believed."""
        return self.handler.status

    def begin(self) -> None:
        """Watch over it from now on."""
        check, loop = self.check, self.registry.world.loop
        if check.ttl is not None:
            self._wait(check.ttl)
            return
        first = self.registry.dice.random() * check.interval
        self._task = loop.create_task(self._ask_for_ever(first), name=f"check of {self.id}")

    def end(self) -> None:
        """It is not in the catalogue any more."""
        if self._task is not None:
            self._task.cancel()
        if self._expiry is not None:
            self._expiry.cancel()

    # checks that ask

    async def _ask_for_ever(self, first: float) -> None:
        loop, interval = self.registry.world.loop, self.check.interval
        due = loop.time() + first
        while True:
            await loop.sleep(due - loop.time())
            leader = self.registry.leader
            if leader is not None and leader.pause_now is None:
                found = await self._ask(leader)
                if self.registry.leader is leader:
                    self.found(found)
            due = max(due + interval, loop.time())

    async def _ask(self, leader: Instance) -> Health:
        client = self._clients.get(leader)
        check, world = self.check, self.registry.world
        if client is None:
            use = UseSpec.model_construct(policies=[TimeoutSpec.model_construct(duration=check.timeout)])
            client = self._clients[leader] = world.client(self.registry.name, leader, self.name, use, self.instance)
        answer = await client.call(Request("GET", check.path, operation=world.recorder.operation(f"GET {check.path}")))
        return health_of(answer.status)

    def found(self, health: Health) -> None:
        """A check had this result."""
        if self.handler.update(health):
            self._turned()

    # checks that are told

    def heard(self) -> None:
        """A heartbeat has come; the next is due within the time to live."""
        ttl = self.check.ttl
        if ttl is None:
            return
        self._wait(ttl)
        if self.status is not Health.PASSING:
            self.handler.status = Health.PASSING
            self._turned()

    def _wait(self, ttl: float) -> None:
        """The next heartbeat is due within *ttl* seconds."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.registry.world.loop.after(ttl, self._missed, ttl)

    def _missed(self, ttl: float) -> None:
        self._expiry = None
        if self.registry.leader is None:  # nobody looks; whoever comes back gives everybody a new time
            self._wait(ttl)
        elif self.status is not Health.CRITICAL:
            self.handler.status = Health.CRITICAL
            self._turned()

    def _turned(self) -> None:
        self.critical_since = self.registry.world.loop.time() if self.status is Health.CRITICAL else None
        self.registry.turned(self)
