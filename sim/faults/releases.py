"""Bad versions that go the way of all versions: by the service's own deployments, one after another.

    a fault begins ──▶ its version is deployed ──analysis──▶ rolled back: it is not tried again
          ends     ──▶ rolled back, or if it was done already, the version before is deployed
"""

from __future__ import annotations

from asyncio import Task
from typing import TYPE_CHECKING

from sim.model.deployment import LOOK, Deployment, DeploymentSpec

if TYPE_CHECKING:
    from sim.faults.injection import Injection
    from sim.model.node import Node
    from sim.model.versions import VersionSpec


class Releases:
    """What faults deploy at one *node*. Of several at once the last counts; when none is left the version that was there comes back."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._wanted: dict[Injection, DeploymentSpec] = {}
        self._here: DeploymentSpec | None = None  # whose version the node has; None: that of no fault
        self._good: VersionSpec | None = None
        self._running: tuple[Deployment, DeploymentSpec | None] | None = None
        self._task: Task[None] | None = None

    def lay(self, at: Injection, spec: DeploymentSpec) -> None:
        """The version of *spec* is to come."""
        self._wanted[at] = spec
        self._changed(f"{at.name} begins")

    def lift(self, at: Injection) -> None:
        """It is to go."""
        self._wanted.pop(at, None)
        self._changed(f"{at.name} is over")

    def _target(self) -> DeploymentSpec | None:
        return next(reversed(self._wanted.values()), None)

    def _changed(self, why: str) -> None:
        if self._running is not None and self._running[1] is not self._target():
            self._running[0].roll_back(why)
        if self._task is None or self._task.done():
            self._task = self._node.world.loop.create_task(self._settle(), name=f"{self._node.name} releases")

    async def _settle(self) -> None:
        """Deploy until the node has what is wanted."""
        node, sleep = self._node, self._node.world.loop.sleep
        while True:
            while node.deployment is not None and node.deployment.state == "running":  # somebody else's
                await sleep(LOOK)
            if self._here is None or node.version is not self._here.version:  # somebody else has deployed meanwhile
                self._here, self._good = None, node.version
            target = self._target()
            if target is self._here:
                return
            await self._deploy(target)

    async def _deploy(self, target: DeploymentSpec | None) -> None:
        if target is not None:
            deployment = Deployment(self._node, target)
            for at, spec in self._wanted.items():
                if spec is target:
                    at.count(True)
        else:
            assert self._here is not None, "there is a version to go back from"
            deployment = Deployment.back_to(self._good, self._node, self._here)
        deployment.waited_for = True  # a fault keeps nobody from what was planned for good
        self._running = deployment, target
        await deployment.run()
        self._running = None
        if deployment.state == "done":
            self._here = target
        elif target is self._target():  # its own analysis has found it bad
            self._wanted = {at: spec for at, spec in self._wanted.items() if spec is not target}
