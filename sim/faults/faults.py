"""The table of all faults, with the module and the class of each; a new one is a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from sim.faults.fault import Fault
from sim.spec import ByKind, LateTable

FAULTS: Mapping[str, type[Fault]] = LateTable({
    "network.delay": ("sim.faults.network", "NetworkDelay"),
    "network.loss": ("sim.faults.network", "NetworkLoss"),
    "network.partition": ("sim.faults.network", "NetworkPartition"),
    "network.reset": ("sim.faults.network", "NetworkReset"),
    "network.bandwidth": ("sim.faults.network", "NetworkBandwidth"),
    "network.duplicate": ("sim.faults.duplicates", "NetworkDuplicate"),
    "network.corrupt": ("sim.faults.network", "NetworkCorrupt"),
    "network.reorder": ("sim.faults.network", "NetworkReorder"),
    "instance.kill": ("sim.faults.instances", "InstanceKill"),
    "instance.unavailable": ("sim.faults.instances", "InstanceUnavailable"),
    "instance.pause": ("sim.faults.instances", "InstancePause"),
    "instance.slow": ("sim.faults.instances", "InstanceSlow"),
    "zone.outage": ("sim.faults.zones", "ZoneOutage"),
    "resource.cpu": ("sim.faults.resources", "ResourceCpu"),
    "resource.memory": ("sim.faults.resources", "ResourceMemory"),
    "resource.pool": ("sim.faults.resources", "ResourcePool"),
    "http.delay": ("sim.faults.http", "HttpDelay"),
    "http.abort": ("sim.faults.http", "HttpAbort"),
    "http.throttle": ("sim.faults.http", "HttpThrottle"),
    "db.slow": ("sim.faults.databases", "DbSlow"),
    "db.error": ("sim.faults.databases", "DbError"),
    "db.failover": ("sim.faults.databases", "DbFailover"),
    "db.replica_lag": ("sim.faults.databases", "DbReplicaLag"),
    "db.lock": ("sim.faults.databases", "DbLock"),
    "cache.flush": ("sim.faults.caches", "CacheFlush"),
    "cache.down": ("sim.faults.caches", "CacheDown"),
    "cache.limit": ("sim.faults.caches", "CacheLimit"),
    "broker.down": ("sim.faults.brokers", "BrokerDown"),
    "broker.slow_consumer": ("sim.faults.brokers", "BrokerSlowConsumer"),
    "broker.redeliver": ("sim.faults.brokers", "BrokerRedeliver"),
    "broker.poison": ("sim.faults.brokers", "BrokerPoison"),
    "registry.down": ("sim.faults.discovery", "RegistryDown"),
    "registry.stale": ("sim.faults.discovery", "RegistryStale"),
    "dns.error": ("sim.faults.discovery", "DnsError"),
    "clock.skew": ("sim.faults.clocks", "ClockSkew"),
    "cert.expire": ("sim.faults.certificates", "CertExpire"),
    "config.bad": ("sim.faults.changes", "ConfigBad"),
    "deploy.bad_version": ("sim.faults.changes", "DeployBadVersion"),
    "load.surge": ("sim.faults.load", "LoadSurge"),
})

AnyFault = Annotated[Fault, ByKind("fault", lambda: FAULTS)]
