"""A service mesh: each instance has a sidecar, and all its calls go through it.

    application ──▶ own sidecar ──over the link, with mTLS──▶ sidecar of the callee ──allowed?──▶ application
                     │ timeout, retry, outlier detection of the callee's mesh             └─ no: 403

A sidecar costs latency on every message that passes it. What a callee's mesh says about timeouts, retries and ejections is done in the
sidecars of its callers, inside whatever policies the application has itself: the two know nothing of each other, so that three
attempts of the one and three of the other are nine.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sim.distributions import Constant, TimeDistribution
from sim.model.edge import CALL
from sim.model.mesh_tls import Certificates, Handshakes, MtlsSpec
from sim.model.messages import Exchange, Request, Response
from sim.model.messaging import DELIVER
from sim.model.network import Delay, Link, Rule
from sim.model.perception import Perception
from sim.resilience.outlier_detection import OutlierDetectionSpec
from sim.resilience.policy import PolicySpec
from sim.resilience.retry import RetrySpec
from sim.resilience.timeout import TimeoutSpec
from sim.spec import SharedSpec, Spec
from sim.units import PositiveDuration

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sim.model.client import Client, Send
    from sim.model.instance import Instance
    from sim.model.node import Node
    from sim.model.world import World

REGISTRY = "registry"  # its health checks are let through, without a certificate: as those of an agent beside the instance


class SidecarSpec(Spec):
    """What a message takes longer for each sidecar that it passes."""

    shorthand: ClassVar[str] = "latency"
    latency: TimeDistribution = Field(default_factory=lambda: Constant.model_construct(value=0.0005))


class MeshSpec(SharedSpec):
    """A *sidecar* at each instance, with *mtls* to other sidecars. Only callers in *allow* are let in (none given: all are).

    Callers that have a sidecar too give a call *timeout* altogether and *per_try_timeout* for an attempt, try again by *retry*, and
    leave out instances by *outlier_detection*.
    """

    sidecar: SidecarSpec = Field(default_factory=SidecarSpec)
    mtls: MtlsSpec | None = None
    allow: list[str] | None = None
    timeout: PositiveDuration | None = None
    per_try_timeout: PositiveDuration | None = None
    retry: RetrySpec | None = None
    outlier_detection: OutlierDetectionSpec | None = None

    def policies(self) -> list[PolicySpec]:
        """Of the callers' sidecars, outermost first."""
        outer = [TimeoutSpec.model_construct(duration=self.timeout)] if self.timeout is not None else []
        inner = [TimeoutSpec.model_construct(duration=self.per_try_timeout)] if self.per_try_timeout is not None else []
        return [*outer, *([self.retry] if self.retry is not None else []), *inner]

    def build(self, node: Node) -> Mesh:
        """At the start of a run."""
        return Mesh(node, self)


class Mesh:
    """The sidecars of one *node*."""

    def __init__(self, node: Node, spec: MeshSpec) -> None:
        self.node, self.spec = node, spec
        self.certificates = Certificates(node, spec.mtls) if spec.mtls is not None else None

    def guard(self, instance: Instance) -> None:
        """A new instance has a sidecar that lets in whom it may."""
        if self.spec.allow is not None:
            instance.intercept(partial(self._let_in, frozenset((*self.spec.allow, *_unasked(self.node.world)))))

    def _let_in(self, allowed: frozenset[str], exchange: Exchange, proceed: Callable[[Exchange], None]) -> None:
        if exchange.client.caller in allowed or exchange.request.method == DELIVER:  # messages come over a connection of our own making
            proceed(exchange)
        else:
            exchange.client.edge.note("mesh.not_allowed", exchange.request.span)
            exchange.instance.reply(exchange, Response(403, body=f"{exchange.client.caller} is not allowed"))

    def equip(self, client: Client) -> None:
        """The sidecar of a caller does what this mesh says about calls to it."""
        if self.spec.outlier_detection is not None:
            client.balance_through(lambda inner: Perception(client, inner, self.spec.outlier_detection))
        policies = self.spec.policies()
        if policies:
            client.surround_with(partial(_compose, client, policies), raises=True, multiplies=self.spec.retry is not None)


def _compose(client: Client, policies: list[PolicySpec], send: Send) -> Send:
    for policy in reversed(client.world.pipeline(client, policies, "mesh").policies):
        send = partial(policy.__call__, send)
    return partial(_in_call, send)


def _in_call(send: Send, request: Request) -> Coroutine[Any, Any, Response]:
    CALL.set(request.span)
    return send(request)


def _unasked(world: World) -> tuple[str, ...]:
    """Who is let through anyway: a service that only has that name is not."""
    return (REGISTRY,) if world.registry is not None else ()


def dress(world: World, link: Link) -> None:
    """Lay on a new *link* what the sidecars at its two ends do with messages."""
    ends = [node.mesh if (node := world.nodes.get(name)) is not None else None for name in (link.source, link.target)]
    link.rules += tuple(_passing(world, mesh, link) for mesh in ends if mesh is not None)
    source, target = ends
    if target is not None and target.certificates is not None and link.source not in _unasked(world):
        link.rules += (_towards(Handshakes(world, target.certificates, source.certificates if source is not None else None)),)


def _passing(world: World, mesh: Mesh, link: Link) -> Rule:
    draw = mesh.spec.sidecar.latency.sampler(world.streams[f"link {link.source}>{link.target} sidecar of {mesh.node.name}"])
    return lambda message: Delay(draw())


def _towards(connect: Rule) -> Rule:
    """Calls alone make connections: answers come back over those that are there."""
    return lambda message: connect(message) if message.response is None else None
