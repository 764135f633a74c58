"""The table of all faults; a new one is a line here."""

from __future__ import annotations

from typing import Annotated

from sim.faults.caches import CacheDown, CacheFlush, CacheLimit
from sim.faults.databases import DbError, DbLock, DbSlow
from sim.faults.fault import Fault
from sim.faults.http import HttpAbort, HttpDelay, HttpThrottle, NetworkDuplicate
from sim.faults.instances import InstanceKill, InstancePause, InstanceSlow, InstanceUnavailable
from sim.faults.load import LoadSurge
from sim.faults.network import (
    NetworkBandwidth,
    NetworkCorrupt,
    NetworkDelay,
    NetworkLoss,
    NetworkPartition,
    NetworkReorder,
    NetworkReset,
)
from sim.faults.resources import ResourceCpu, ResourceMemory, ResourcePool
from sim.faults.zones import ZoneOutage
from sim.spec import ByKind

FAULTS: dict[str, type[Fault]] = {
    "network.delay": NetworkDelay,
    "network.loss": NetworkLoss,
    "network.partition": NetworkPartition,
    "network.reset": NetworkReset,
    "network.bandwidth": NetworkBandwidth,
    "network.duplicate": NetworkDuplicate,
    "network.corrupt": NetworkCorrupt,
    "network.reorder": NetworkReorder,
    "instance.kill": InstanceKill,
    "instance.unavailable": InstanceUnavailable,
    "instance.pause": InstancePause,
    "instance.slow": InstanceSlow,
    "zone.outage": ZoneOutage,
    "resource.cpu": ResourceCpu,
    "resource.memory": ResourceMemory,
    "resource.pool": ResourcePool,
    "http.delay": HttpDelay,
    "http.abort": HttpAbort,
    "http.throttle": HttpThrottle,
    "db.slow": DbSlow,
    "db.error": DbError,
    "db.lock": DbLock,
    "cache.flush": CacheFlush,
    "cache.down": CacheDown,
    "cache.limit": CacheLimit,
    "load.surge": LoadSurge,
}

AnyFault = Annotated[Fault, ByKind("fault", lambda: FAULTS)]
