"""The table of all kinds of services that a scenario can name, with the module and the class of each; a new one is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from sim.model.node import NodeSpec
from sim.spec import ByKind, LateTable

SERVICES: Mapping[str, type[NodeSpec]] = LateTable({
    "service": ("sim.model.service", "ServiceSpec"),
    "gateway": ("sim.model.gateway", "GatewaySpec"),
    "database": ("sim.model.database", "DatabaseSpec"),
    "cache": ("sim.model.cache", "CacheSpec"),
    "broker": ("sim.model.broker", "BrokerSpec"),
    "external": ("sim.model.external", "ExternalSpec"),
})

AnyService = Annotated[NodeSpec, ByKind("service", lambda: SERVICES, default="service")]
