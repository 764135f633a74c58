"""Faults of certificates in a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

from sim.faults.injection import Injection
from sim.faults.instances import InstanceFault
from sim.faults.reasons import Reason, because
from sim.faults.system import System
from sim.spec import Mistake

if TYPE_CHECKING:
    from sim.model.instance import Instance
    from sim.model.mesh_tls import Certificates


class CertExpire(InstanceFault):
    """The certificates of the instances are over, whatever was said about their rotation; when the fault ends they have new ones.

    What is connected goes on, and only new connections fail, so that a system goes down bit by bit. With *drop_connections* all
    connections to the service end as the fault begins, as if its sidecars had been restarted.

    `{kind: cert.expire, target: {service: payments}, schedule: {at: 60s, for: 30s}, drop_connections: true}`
    """

    kind: Literal["cert.expire"] = "cert.expire"
    drop_connections: bool = False

    def fits(self, instance: Instance) -> bool:
        return super().fits(instance) and certificates_of(instance) is not None

    def figure(self, instance: Instance, at: Injection) -> Callable[[], float] | None:
        certificates = certificates_of(instance)
        assert certificates is not None, "candidates have them"
        return lambda: certificates.refused[instance]

    def missed(self, at: Injection) -> Reason:
        return because("no new connection", where=", ".join(at.targets))

    @contextmanager
    def strike(self, instance: Instance, at: Injection) -> Iterator[None]:
        certificates = certificates_of(instance)
        assert certificates is not None, "candidates have them"
        with at.hold(instance, "certificate", partial(certificates.expire, [instance]), partial(certificates.renew, [instance])):
            if self.drop_connections and at.world.loop.time() == at.start:
                certificates.drop_connections()
            yield

    def mistakes(self, system: System) -> Iterator[Mistake]:
        yield from super().mistakes(system)
        target, key = self.target, self.target.selector
        meant = [spec for service, spec in system.services.items() if service == target.node or spec.word == target.kind]
        if meant and all(getattr(getattr(spec, "mesh", None), "mtls", None) is None for spec in meant):
            yield Mistake(("target", key), f"{getattr(target, key)!r} has no certificates",
                          "add `mesh: {mtls: {}}` to it and to its callers")


def certificates_of(instance: Instance) -> Certificates | None:
    """Those of its service, where there are any."""
    mesh = instance.node.mesh
    return mesh.certificates if mesh is not None else None
