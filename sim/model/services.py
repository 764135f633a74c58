"""The table of all kinds of services that a scenario can name; a new one is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.model.broker import BrokerSpec
from sim.model.cache import CacheSpec
from sim.model.database import DatabaseSpec
from sim.model.external import ExternalSpec
from sim.model.gateway import GatewaySpec
from sim.model.node import NodeSpec
from sim.model.service import ServiceSpec
from sim.spec import ByKind

SERVICES: dict[str, type[NodeSpec]] = {
    "service": ServiceSpec,
    "gateway": GatewaySpec,
    "database": DatabaseSpec,
    "cache": CacheSpec,
    "broker": BrokerSpec,
    "external": ExternalSpec,
}

AnyService = Annotated[NodeSpec, ByKind("service", lambda: SERVICES, default="service")]
